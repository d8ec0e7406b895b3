package wiretest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The marks in texts.
const (
	hostMark = "{host}"
	withMark = "{with}"
)

// Load reads the cases of files, in order.
func Load(files ...string) ([]*Case, error) {
	var list []*Case
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		cases, err := Parse(file, data)
		if err != nil {
			return nil, err
		}
		list = append(list, cases...)
	}
	return list, nil
}

// Parse reads the cases in data; file is what errors call it.
func Parse(file string, data []byte) ([]*Case, error) {
	r := &reader{file: file, names: map[string]bool{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("%s:1: the file is empty; it needs families", file)
	}
	var families *yaml.Node
	err := r.mapping(doc.Content[0], map[string]func(*yaml.Node) error{
		"families": func(n *yaml.Node) error { families = n; return nil },
	})
	if err != nil {
		return nil, err
	}
	if err := r.list(families, doc.Content[0], "families", r.family); err != nil {
		return nil, err
	}
	return r.cases, nil
}

// reader reads one file.
type reader struct {
	file  string
	names map[string]bool
	cases []*Case
}

// draft is a case, or what a family gives to its cases, as far as it has been read.
type draft struct {
	name, listener string
	template, with []byte
	send           []byte
	status         []int
	statusSet      bool
	end            End
	half           bool
	upstream       []Expected
	upstreamSet    bool
	tunnel         []byte
}

func (r *reader) errorAt(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", r.file, n.Line, fmt.Sprintf(format, args...))
}

// family reads a family and then its cases, each from what the family gives.
func (r *reader) family(n *yaml.Node) error {
	var given draft
	var cases *yaml.Node
	keys := r.draftKeys(&given)
	keys["template"] = r.text(&given.template)
	keys["cases"] = func(n *yaml.Node) error { cases = n; return nil }
	if err := r.mapping(n, keys); err != nil {
		return err
	}
	if given.name == "" {
		return r.errorAt(n, "the family has no name")
	}
	return r.list(cases, n, "cases", func(n *yaml.Node) error { return r.readCase(n, given) })
}

func (r *reader) readCase(n *yaml.Node, d draft) error {
	family := d.name
	d.name = ""
	if err := r.mapping(n, r.draftKeys(&d)); err != nil {
		return err
	}
	if d.name == "" {
		return r.errorAt(n, "the case has no name")
	}
	c := &Case{
		Place: fmt.Sprintf("%s:%d", r.file, n.Line), Name: family + "/" + d.name,
		Listener: d.listener, Half: d.half, Status: d.status, End: d.end, Upstream: d.upstream, Tunnel: d.tunnel,
	}
	if r.names[c.Name] {
		return r.errorAt(n, "a second case %q", c.Name)
	}
	r.names[c.Name] = true
	switch {
	case d.send != nil && d.with != nil, d.send == nil && d.with == nil:
		return r.errorAt(n, "case %q needs either send or with", c.Name)
	case d.send != nil:
		c.Send = d.send
	case !bytes.Contains(d.template, []byte(withMark)):
		return r.errorAt(n, "case %q: with needs a template that has {with} in it", c.Name)
	default:
		c.Send = bytes.ReplaceAll(d.template, []byte(withMark), d.with)
	}
	if r.has(n, "status") && !r.has(n, "end") {
		c.End = "" // the family's belongs to the family's status
	}
	if !d.statusSet {
		return r.errorAt(n, "case %q has no status", c.Name)
	}
	forwarded := slices.ContainsFunc(c.Status, func(s int) bool { return s < 300 })
	if forwarded && !d.upstreamSet {
		return r.errorAt(n, "case %q has a status under 300; say in upstream what reaches the upstream ([] for nothing)", c.Name)
	}
	if !forwarded && !r.has(n, "upstream") {
		c.Upstream = nil // the family's are those of its cases that are forwarded
	}
	if c.End == "" {
		c.End = usualEnd(c.Status)
	}
	r.cases = append(r.cases, c)
	return nil
}

func (r *reader) has(n *yaml.Node, key string) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// usualEnd is what becomes of a connection if the case does not say so.
func usualEnd(status []int) End {
	if len(status) == 0 {
		return Closed
	}
	switch last := status[len(status)-1]; {
	case last < 400:
		return Open
	case slices.Contains([]int{400, 408, 431, 505}, last):
		return Closed
	}
	return Any
}

func (r *reader) draftKeys(d *draft) map[string]func(*yaml.Node) error {
	return map[string]func(*yaml.Node) error{
		"name":     r.word(&d.name),
		"listener": r.word(&d.listener),
		"send":     r.text(&d.send),
		"with":     r.text(&d.with),
		"tunnel":   r.text(&d.tunnel),
		"half": func(n *yaml.Node) error {
			if err := n.Decode(&d.half); err != nil {
				return r.errorAt(n, "half: %q is not true or false", n.Value)
			}
			return nil
		},
		"end": func(n *yaml.Node) error {
			if d.end = End(n.Value); d.end != Open && d.end != Closed && d.end != Any {
				return r.errorAt(n, "end: %q is not open, closed or any", n.Value)
			}
			return nil
		},
		"status": func(n *yaml.Node) error {
			d.status, d.statusSet = nil, true
			return r.status(n, &d.status)
		},
		"upstream": func(n *yaml.Node) error {
			d.upstream, d.upstreamSet = nil, true
			if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
				return nil
			}
			return r.list(n, n, "upstream", func(n *yaml.Node) error {
				e, err := r.expected(n)
				d.upstream = append(d.upstream, e)
				return err
			})
		},
	}
}

func (r *reader) status(n *yaml.Node, to *[]int) error {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			if err := r.status(item, to); err != nil {
				return err
			}
		}
		return nil
	}
	if n.Value == "closed" {
		return nil
	}
	status, err := strconv.Atoi(n.Value)
	if err != nil || status < 100 || status > 599 {
		return r.errorAt(n, "status: %q is not a status (200), a list of them ([200, 400]) or closed", n.Value)
	}
	*to = append(*to, status)
	return nil
}

func (r *reader) expected(n *yaml.Node) (e Expected, err error) {
	if n.Kind == yaml.ScalarNode {
		e.Request = n.Value
	} else {
		err = r.mapping(n, map[string]func(*yaml.Node) error{
			"request": r.word(&e.Request),
			"body":    r.text(&e.Body),
			"fields":  r.words(&e.Fields),
			"absent":  r.words(&e.Absent),
		})
	}
	if err == nil && strings.Count(e.Request, " ") != 1 {
		err = r.errorAt(n, "request: %q is not a method and a target, as in \"GET /a\"", e.Request)
	}
	return e, err
}

// mapping calls the function of each key of a mapping.
func (r *reader) mapping(n *yaml.Node, keys map[string]func(*yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return r.errorAt(n, "this must be a mapping (key: value)")
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		read, ok := keys[key.Value]
		if !ok {
			known := make([]string, 0, len(keys))
			for k := range keys {
				known = append(known, k)
			}
			slices.Sort(known)
			return r.errorAt(key, "unknown key %q (%s)", key.Value, strings.Join(known, ", "))
		}
		if seen[key.Value] {
			return r.errorAt(key, "a second key %q", key.Value)
		}
		seen[key.Value] = true
		if err := read(n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// list calls a function for each item of a list that must have some; of says where, if the list is missing.
func (r *reader) list(n, of *yaml.Node, key string, read func(*yaml.Node) error) error {
	if n == nil {
		return r.errorAt(of, "%s: is missing", key)
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return r.errorAt(n, "%s: must be a list with at least one item", key)
	}
	for _, item := range n.Content {
		if err := read(item); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) word(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || n.Value == "" {
			return r.errorAt(n, "this must be a text that is not empty")
		}
		*to = n.Value
		return nil
	}
}

func (r *reader) words(to *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return r.list(n, n, "this", func(n *yaml.Node) error {
			b, err := toBytes(n.Value)
			if err != nil {
				return r.errorAt(n, "%v", err)
			}
			*to = append(*to, string(b))
			return nil
		})
	}
}

func (r *reader) text(to *[]byte) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode {
			return r.errorAt(n, "this must be a text")
		}
		text, err := repeat(n.Value)
		if err != nil {
			return r.errorAt(n, "%v", err)
		}
		if *to, err = toBytes(text); err != nil {
			return r.errorAt(n, "%v", err)
		}
		return nil
	}
}

// toBytes turns characters into the bytes of the same value.
func toBytes(s string) ([]byte, error) {
	b := make([]byte, 0, len(s))
	for _, c := range s {
		if c > 0xff {
			return nil, fmt.Errorf("%q is not a byte; write UTF-8 as its bytes, as in \"\\xe2\\x82\\xac\"", c)
		}
		b = append(b, byte(c))
	}
	return b, nil
}

// repeat writes out {repeat TEXT N}.
func repeat(s string) (string, error) {
	const mark = "{repeat "
	for {
		begin := strings.Index(s, mark)
		if begin < 0 {
			return s, nil
		}
		length := strings.IndexByte(s[begin:], '}')
		if length < 0 {
			return "", errors.New("{repeat TEXT N} has no end")
		}
		inside := s[begin+len(mark) : begin+length]
		space := strings.LastIndexByte(inside, ' ')
		n, err := strconv.Atoi(inside[space+1:])
		if space < 1 || err != nil || n < 0 || n*space > 1<<20 {
			return "", fmt.Errorf("%q: want {repeat TEXT N}, at most 1 MiB", s[begin:begin+length+1])
		}
		s = s[:begin] + strings.Repeat(inside[:space], n) + s[begin+length+1:]
	}
}
