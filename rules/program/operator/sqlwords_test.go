package operator

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"gatehouse/rules/program/byteset"
)

var update = flag.Bool("update", false, "renew sqlwords.bin")

// sqlTable is libinjection's table, as its source has it: the types of words and phrases, and 'F' for fingerprints,
// which are in upper case behind a "0".
func sqlTable(t testing.TB) map[string]byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/corazawaf/libinjection-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	table := make(map[string]byte)
	for keys, value := range composites(t, filepath.Join(strings.TrimSpace(string(dir)), "sqli_data.go"), "sqlKeywords") {
		table[keys] = value[0]
	}
	if len(table) < 5000 {
		t.Fatalf("the table has %d entries; is it read as it is written now?", len(table))
	}
	return table
}

// composites reads the literal of a variable whose elements are key: 'c', or {"key", ...}.
func composites(t testing.TB, file, variable string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := func(e ast.Expr) string {
		if l, ok := e.(*ast.BasicLit); ok {
			if s, err := strconv.Unquote(l.Value); err == nil {
				return s
			}
		}
		t.Fatalf("%s: %T is no string", file, e)
		return ""
	}
	out := make(map[string]string)
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != variable {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			switch e := e.(type) {
			case *ast.KeyValueExpr:
				out[text(e.Key)] = text(e.Value)
			case *ast.CompositeLit:
				out[text(e.Elts[0])] = ""
			default:
				out[text(e)] = ""
			}
		}
		return false
	})
	if len(out) == 0 {
		t.Fatalf("%s has no %s", file, variable)
	}
	return out
}

// sqlWordList are the words that are not plain.
func sqlWordList(t testing.TB) map[string]bool {
	list := make(map[string]bool)
	for entry, kind := range sqlTable(t) {
		if kind == 'F' || !isLetter(entry[0]) && entry[0] != '_' {
			continue
		}
		first, _, _ := strings.Cut(entry, " ")
		first, _, _ = strings.Cut(first, ".")
		list[first] = true
	}
	return list
}

// TestSQLWords compares sqlwords.bin with the library in use. After another version of it is taken, "go test -run
// TestSQLWords -update" renews the file.
func TestSQLWords(t *testing.T) {
	want := make([]byte, 1<<12)
	for word := range sqlWordList(t) {
		var h wordHash
		for i := range len(word) {
			h = h.add(word[i])
		}
		p, q := h.bits()
		want[p>>3] |= 1 << (p & 7)
		want[q>>3] |= 1 << (q & 7)
	}
	if *update {
		if err := os.WriteFile("sqlwords.bin", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(want) != sqlWords {
		t.Error("sqlwords.bin is not of the library in use; renew it with -update")
	}
}

// TestSQLTable checks what mayBeSQLi's comment says of the table.
func TestSQLTable(t *testing.T) {
	excused := map[string]bool{"1U": true, "VU": true} // unless tokens were folded away
	for entry, kind := range sqlTable(t) {
		if kind != 'F' {
			if words := strings.Split(entry, " "); len(words) > 1 || isLetter(entry[0]) {
				for _, word := range words {
					if byteset.Of(word).Intersects(sqlWordEnds) || strings.ToUpper(word) != word {
						t.Errorf("%q of %q is no word in upper case", word, entry)
					}
				}
			}
			continue
		}
		print := entry[1:]
		switch {
		case print == "X": // a comment in a comment
		case len(print) <= 2 && !strings.ContainsAny(print, "CS") && !excused[print]:
			t.Errorf("fingerprint %s is of two tokens without a comment", print)
		case len(print) == 3 && (print[:2] == "NO" || print[:2] == "N,"):
			t.Errorf("fingerprint %s is of a word, an operator and something", print)
		case len(print) <= 3 && (strings.HasPrefix(print, "11") || strings.HasPrefix(print, "N1")):
			t.Errorf("fingerprint %s is of two numbers and something", print)
		case strings.HasPrefix(print, "1NN") || strings.HasPrefix(print, "N1N"):
			t.Errorf("fingerprint %s begins with a number and two words", print)
		case print[0] == 'O':
			t.Errorf("fingerprint %s begins with an operator", print)
		case strings.Trim(print, "1NO,:.;?{}") == "":
			t.Errorf("fingerprint %s is of numbers, operators and words", print)
		case len(print) > 1 && print[0] == 'N' && strings.IndexByte("N(:?V", print[1]) >= 0:
			t.Errorf("fingerprint %s begins with a word and %c", print, print[1])
		}
	}
}

func TestMayFoldToASCII(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if upper := strings.ToUpper(string(r)); strings.IndexFunc(upper, func(r rune) bool { return r < 0x80 }) >= 0 && r != 0x131 && r != 0x17f {
			t.Errorf("%U is %q in upper case", r, upper)
		}
	}
}
