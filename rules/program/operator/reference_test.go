package operator

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/google/go-cmp/cmp"
)

// answer is what an operator says of a value, in a rule that does not capture and in one that does.
type answer struct {
	Plain, Capturing bool
	// Fields are TX:0 to TX:9 after the second, "-" for one that is not set and "=" with the text for one that is.
	Fields [10]string
	Path   map[string]string
}

// reference asks Coraza, with one rule that captures after one that does not.
type reference struct{ waf coraza.WAF }

// testData has the files and datasets of the tests.
var (
	testFiles = map[string]string{
		"words.data":  "# words\n\nUnion\n select \n/etc/passwd\n.git/\nunions\nK\u212alvin\n#\n\xff\xfe\nx\r\n",
		"empty.data":  "# nothing\n\n",
		"nets.data":   "# nets\n10.0.0.0/8\n 192.0.2.1 \n2001:db8::/32,198.51.100.7\nnonsense\n::ffff:203.0.113.0/120\n",
		"single.data": "a",
	}
	testSets = map[string][]string{
		"words": {"Union", "SELECT", "a b"},
		"nets":  {"10.0.0.0/8", "2001:db8::1"},
	}
)

func ourData() Data { return dataWith(testFiles) }

func dataWith(contents map[string]string) Data {
	return Data{
		File: func(name string) ([]byte, error) {
			content, ok := contents[name]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(content), nil
		},
		Dataset: func(name string) ([]string, bool) {
			lines, ok := testSets[name]
			return lines, ok
		},
	}
}

// load makes the reference for an operator; refused is Coraza's reason not to.
func load(t testing.TB, name, argument string, contents map[string]string) (r *reference, refused error) {
	files := fstest.MapFS{}
	for file, content := range contents {
		files[file] = &fstest.MapFile{Data: []byte(content)}
	}
	var text strings.Builder
	text.WriteString("SecRuleEngine On\nSecRxPreFilter Off\n")
	for set, lines := range testSets {
		fmt.Fprintf(&text, "SecDataset %s `\n%s\n`\n", set, strings.Join(lines, "\n"))
	}
	operator := strings.ReplaceAll("@"+name+" "+argument, `"`, `\"`)
	for id, action := range []string{"", ",capture"} {
		// A transaction begins with all fields set to nothing; this shows which of them the operator sets.
		text.WriteString("SecAction \"phase:1,pass,nolog,id:" + strconv.Itoa(id+10))
		for field := range 10 {
			fmt.Fprintf(&text, ",setvar:tx.%d=%s", field, unset)
		}
		text.WriteString("\"\n")
		fmt.Fprintf(&text, "SecRule ARGS_GET \"%s\" \"id:%d,phase:1,pass,log%s\"\n", operator, id+1, action)
	}
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(files).WithDirectives(text.String()))
	if err != nil {
		return nil, err
	}
	if closer, ok := waf.(experimental.WAFCloser); ok {
		t.Cleanup(func() { closer.Close() })
	}
	return &reference{waf}, nil
}

// ask also reports a panic of the operator, after which there is no answer.
func (r *reference) ask(value string) (a answer, panicked any) {
	tx := r.waf.NewTransaction()
	defer tx.Close()
	defer func() { panicked = recover() }()
	tx.AddGetRequestArgument("v", value)
	tx.ProcessRequestHeaders()
	for _, match := range tx.MatchedRules() {
		a.Plain = a.Plain || match.Rule().ID() == 1
		a.Capturing = a.Capturing || match.Rule().ID() == 2
	}
	variables := tx.(plugintypes.TransactionState).Variables()
	for i := range a.Fields {
		a.Fields[i] = "-"
		if texts := variables.TX().Get(strconv.Itoa(i)); len(texts) > 0 && texts[0] != unset {
			a.Fields[i] = "=" + texts[0]
		}
	}
	for _, found := range variables.ArgsPath().FindAll() {
		if a.Path == nil {
			a.Path = make(map[string]string)
		}
		a.Path[found.Key()] = found.Value()
	}
	return a, nil
}

// unset is what no test captures.
const unset = "(unset)"

// ours is the answer of this package.
func ours(op Operator, value string) answer {
	var c Captures
	a := answer{Plain: op.Match(value, nil), Capturing: op.Match(value, &c)}
	for i := range a.Fields {
		a.Fields[i] = "-"
		if text, ok := c.Field(i); ok {
			a.Fields[i] = "=" + text
		}
	}
	for _, found := range c.Path {
		if a.Path == nil {
			a.Path = make(map[string]string)
		}
		a.Path[found.Name] = found.Value
	}
	return a
}

// loadable tells arguments that stand in a rule as they are: the text around them is trimmed, and macros are expanded.
func loadable(argument string) bool {
	return argument == strings.TrimSpace(argument) && !strings.ContainsAny(argument, "\"\n\r`") &&
		!strings.HasSuffix(argument, `\`) && !strings.Contains(argument, "%{")
}

// pair is an operator in both engines; both nil if both refuse the argument.
type pair struct {
	op        Operator
	reference *reference
}

func newPair(t testing.TB, name, argument string) pair {
	t.Helper()
	return newPairWith(t, name, argument, testFiles)
}

func newPairWith(t testing.TB, name, argument string, files map[string]string) pair {
	t.Helper()
	r, refused := load(t, name, argument, files)
	op, err := Compile(name, argument, dataWith(files))
	if (err != nil) != (refused != nil) {
		t.Fatalf("@%s %q: error %v, want %v", name, argument, err, refused)
	}
	return pair{op, r}
}

func (p pair) check(t testing.TB, name, argument, value string) {
	t.Helper()
	if p.op == nil {
		return
	}
	got := ours(p.op, value)
	want, panicked := p.reference.ask(value)
	if panicked != nil {
		if name != "validateNid" {
			t.Errorf("@%s %q on %q: the reference panics: %v", name, argument, value, panicked)
		}
		return // TestNidWithoutDigits is about these
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("@%s %q on %q (-want +got):\n%s", name, argument, value, diff)
	}
}
