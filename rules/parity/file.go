package parity

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/rulestest"
)

// File writes a case as a test file that expects what the reference answers. An error says that the file
// would not say the same: a truncated body and some bytes in a head cannot be written.
func File(about string, found Case) (string, error) {
	p := found.Draft.Policy()
	engine := Reference()
	set, err := engine.Load(p)
	if err != nil {
		return "", fmt.Errorf("write a test file: %w", err)
	}
	defer set.Close()

	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(about), "\n") {
		if strings.HasPrefix(line, "-- ") {
			line = "| " + line
		}
		b.WriteString(line + "\n")
	}
	if p.Limits != (rules.Limits{}) {
		fmt.Fprintf(&b, "\n-- limits --\narguments %d\njson_depth %d\n", p.Limits.Arguments, p.Limits.JSONDepth)
	}
	for _, s := range p.Sources {
		fmt.Fprintf(&b, "\n-- policy %s --\n%s\n", s.Name, strings.TrimRight(s.Text, "\n"))
	}
	for i, x := range found.Before {
		if err := writeCase(&b, set, fmt.Sprintf("before it, %d", i+1), x); err != nil {
			return b.String(), err
		}
	}
	err = writeCase(&b, set, "found", found.Exchange)
	return b.String(), err
}

// writeCase writes an exchange with what the reference answers to it.
func writeCase(b *strings.Builder, set rules.RuleSet, name string, x *Exchange) error {
	var one strings.Builder
	writeExchange(&one, name, x)
	b.WriteString(one.String())
	file, err := rulestest.Parse("found", one.String()+"\n-- expect --\npass\n")
	if err != nil {
		return fmt.Errorf("write a test file: %w", err)
	}
	c := &file.Cases[0]
	if err := sameRequest(x, c); err != nil {
		return fmt.Errorf("write a test file: %w", err)
	}
	expected, err := expectations(set, c)
	if err != nil {
		return fmt.Errorf("write a test file: %w", err)
	}
	b.WriteString("\n-- expect --\n" + expected)
	return nil
}

func writeExchange(b *strings.Builder, name string, x *Exchange) {
	r := &x.Request
	fmt.Fprintf(b, "\n-- request %s --\n%s %s %s\n", name, r.Method, r.Target, r.Protocol)
	for _, h := range r.Headers {
		fmt.Fprintf(b, "%s: %s\n", h.Name, h.Value)
	}
	if len(x.Body) > 0 {
		b.WriteString("\n-- body quoted --\n")
		for chunk := range bytes.SplitAfterSeq(x.Body, []byte("\n")) {
			if len(chunk) > 0 {
				fmt.Fprintln(b, strconv.Quote(string(chunk)))
			}
		}
	}
	standard := NewRequest(r.Method, r.Target)
	var given []string
	if r.Client != standard.Client {
		given = append(given, "client "+r.Client.Addr().String())
	}
	if r.Traffic != standard.Traffic {
		given = append(given, "traffic "+r.Traffic)
	}
	if x.HeadersOnly {
		given = append(given, "response headers")
	}
	if len(given) > 0 {
		b.WriteString("\n-- given --\n" + strings.Join(given, "\n") + "\n")
	}
	if x.Response != nil {
		fmt.Fprintf(b, "\n-- response --\n%s %d\n", x.Response.Protocol, x.Response.Status)
		for _, h := range x.Response.Headers {
			fmt.Fprintf(b, "%s: %s\n", h.Name, h.Value)
		}
		if len(x.ResponseBody) > 0 {
			fmt.Fprintf(b, "\n%s\n", x.ResponseBody)
		}
	}
}

// sameRequest says what of an exchange a test file does not have.
func sameRequest(x *Exchange, c *rulestest.Case) error {
	r := &x.Request
	response := c.Response
	if response == nil {
		response = &rulestest.Response{Response: rules.Response{Status: 200, Protocol: "HTTP/1.1"}}
	}
	switch {
	case x.Truncated:
		return fmt.Errorf("the body is truncated")
	case x.HeadersOnly != c.Given.HeadersOnly:
		return fmt.Errorf("phase 4 runs in one alone")
	case c.Request.Method != r.Method || c.Request.Target != r.Target || c.Request.Protocol != r.Protocol:
		return fmt.Errorf("the request line reads back as %q %q %q", c.Request.Method, c.Request.Target, c.Request.Protocol)
	case !slices.Equal(c.Request.Headers, r.Headers):
		return fmt.Errorf("the headers read back as %q", c.Request.Headers)
	case !bytes.Equal(c.Request.Body, x.Body):
		return fmt.Errorf("the body reads back as %q", c.Request.Body)
	case x.Response != nil && (!slices.Equal(response.Headers, x.Response.Headers) || !bytes.Equal(response.Body, x.ResponseBody)):
		return fmt.Errorf("the response reads back as %q %q", response.Headers, response.Body)
	}
	return nil
}

// expectations are what the reference answers to a case, in both modes.
func expectations(set rules.RuleSet, c *rulestest.Case) (string, error) {
	block, detect := rulestest.Judge(set, c, rulestest.ModeBlock), rulestest.Judge(set, c, rulestest.ModeDetect)
	var b strings.Builder
	b.WriteString(string(block.Verdict))
	if (block.Err != nil) != (detect.Err != nil) {
		return "", errors.New("inspection fails in one mode and not in the other")
	}
	if block.Verdict == rulestest.VerdictError {
		return b.String() + "\n", nil
	}
	if block.Status != 0 {
		fmt.Fprintf(&b, " %d", block.Status)
	}
	b.WriteByte('\n')
	if i := block.Result.Interruption; i != nil {
		fmt.Fprintf(&b, "by %d\nphase %d\naction %s\n", i.Rule, i.Phase, i.Action)
	}
	both := func(lines func(rulestest.Outcome) []string) {
		inBlock, inDetect := lines(block), lines(detect)
		if slices.Equal(inBlock, inDetect) {
			for _, line := range inBlock {
				b.WriteString(line + "\n")
			}
			return
		}
		for _, line := range inBlock {
			b.WriteString("in block " + line + "\n")
		}
		for _, line := range inDetect {
			b.WriteString("in detect " + line + "\n")
		}
	}
	both(func(o rulestest.Outcome) []string { return []string{onlyText(o.Result)} })
	both(func(o rulestest.Outcome) []string { return matchTexts(o.Result) })
	both(func(o rulestest.Outcome) []string {
		return []string{fmt.Sprintf("score inbound %d", o.Result.Scores.Inbound)}
	})
	return b.String(), nil
}

func onlyText(r *rules.Result) string {
	var ids []int
	for _, m := range r.Matches {
		ids = append(ids, m.Rule)
	}
	slices.Sort(ids)
	text := "only"
	for _, id := range ids {
		text += " " + strconv.Itoa(id)
	}
	return text
}

// matchTexts are the variables that rules matched, as far as they can stand in a line.
func matchTexts(r *rules.Result) []string {
	var out []string
	for _, m := range r.Matches {
		for _, t := range m.Targets {
			line := fmt.Sprintf("match %d %s", m.Rule, t.Variable)
			if strings.Join(strings.Fields(line), " ") == line && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out
}
