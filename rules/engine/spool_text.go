package engine

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
	"gatehouse/rules/policy"
	"gatehouse/rules/rulestest"
)

// policyText is the head of a test file, compressed: what a policy consists of.
func policyText(p *sampledPolicy) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	limits := limitsOf(p.Limits)
	fmt.Fprintf(w, "Policy %s, SHA-256 %s\n\n-- limits --\narguments %d\njson_depth %d\n", p.Name, p.digest, limits.Arguments, limits.JSONDepth)
	for _, s := range p.Sources {
		fmt.Fprintf(w, "\n-- policy %s --\n%s\n", s.Name, strings.TrimRight(s.Text, "\n"))
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress policy %s: %w", p.Name, err)
	}
	return b.Bytes(), nil
}

// requestText is a request as HTTP/1.1 text, for gatehouse inspect.
func requestText(x *compare.Exchange) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\n", x.Request.Method, x.Request.Target, x.Request.Protocol)
	for _, h := range x.Request.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n")
	if x.Body == nil {
		return b.Bytes()
	}
	if strings.EqualFold(header(x, "Transfer-Encoding"), "chunked") {
		if len(x.Body.Data) > 0 {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(x.Body.Data), x.Body.Data)
		}
		b.WriteString("0\r\n\r\n")
		return b.Bytes()
	}
	b.Write(x.Body.Data)
	return b.Bytes()
}

func header(x *compare.Exchange, name string) string {
	for _, h := range x.Request.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// caseText is a test file without its policy: what is known of a disagreement, in comments, the request and its reply, and
// what the reference makes of them.
func caseText(p *sampledPolicy, policyFile string, c *Comparison) []byte {
	r := &c.Exchange.Request
	sections := requestSections(&c.Exchange) + "\n-- expect --\n" + expectation(modeOf(r), c.Reference)
	about := []string{"The compiled program and the reference engine disagree.", ""}
	for _, line := range [][2]string{
		{"built from", buildText()},
		{"policy", fmt.Sprintf("%s, SHA-256 %s", p.Name, p.digest)},
		{"request", r.ID},
		{"application", fmt.Sprintf("%s, route %s, mode %s", r.Application, r.Route, modeOf(r))},
		{"host, path", fmt.Sprintf("%q, %q", r.Host, r.Path)},
		{"client, server", fmt.Sprintf("%s, %s", r.Client, r.Server)},
		{"judged as of", r.Time.UTC().Format(time.RFC3339Nano)},
	} {
		about = append(about, fmt.Sprintf("  %-14s  %s", line[0], line[1]))
	}
	about = append(about, "", "To see it again:",
		fmt.Sprintf("  gatehouse inspect -config gatehouse.yaml -engine both -client %s request.http", r.Client.Addr()),
		"As a test file for engines, the output of:", fmt.Sprintf("  zcat %s | cat - case%s", policyFile, rulestest.Extension))
	for _, note := range notes(c, sections) {
		about = append(about, "Not as it was: "+note)
	}
	about = append(about, "", "Difference:", indented(strings.Join(c.Difference.Verdict, "\n")), "", "Reference:", indented(c.Reference.String()),
		"", "Program, called candidate above:", indented(c.Program.String()))
	var b bytes.Buffer
	for line := range strings.SplitSeq(strings.Join(about, "\n"), "\n") {
		fmt.Fprintln(&b, strings.TrimSpace("# "+line)) // a comment also to the policy that may stand before it
	}
	b.WriteString(sections)
	return b.Bytes()
}

func indented(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

func modeOf(r *rules.Request) rulestest.Mode {
	if r.Detect {
		return rulestest.ModeDetect
	}
	return rulestest.ModeBlock
}

// buildText says what the binary was built from.
func buildText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
			text += " " + s.Key + "=" + s.Value
		}
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/corazawaf/coraza/v3" {
			text += " Coraza " + m.Version
		}
	}
	return text + " " + info.GoVersion
}

// requestSections are a request and its reply as sections of a test file.
func requestSections(x *compare.Exchange) string {
	var b strings.Builder
	r := &x.Request
	fmt.Fprintf(&b, "\n-- request %s --\n%s %s %s\n", disagreementName, r.Method, r.Target, r.Protocol)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	if x.Body != nil && len(x.Body.Data) > 0 {
		b.WriteString("\n-- body quoted --\n")
		for chunk := range bytes.SplitAfterSeq(x.Body.Data, []byte("\n")) {
			if len(chunk) > 0 {
				fmt.Fprintln(&b, strconv.Quote(string(chunk)))
			}
		}
	}
	b.WriteString("\n-- given --\n")
	fmt.Fprintf(&b, "client %s\ntime %s\n", r.Client.Addr(), r.Time.UTC().Format(time.RFC3339Nano))
	if r.Traffic != "" {
		fmt.Fprintf(&b, "traffic %s\n", r.Traffic)
	}
	if r.Application != "" {
		fmt.Fprintf(&b, "application %s\n", r.Application)
	}
	if x.Response != nil {
		fmt.Fprintf(&b, "\n-- response --\n%s %d\n", x.Response.Protocol, x.Response.Status)
		for _, h := range x.Response.Headers {
			fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
		}
		if x.ResponseBody != nil && len(x.ResponseBody.Data) > 0 {
			fmt.Fprintf(&b, "\n%s\n", x.ResponseBody.Data)
		}
	}
	return b.String()
}

const disagreementName = "disagreement"

// notes say what of an exchange the files do not have.
func notes(compared *Comparison, sections string) []string {
	var out []string
	x := &compared.Exchange
	note := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if b := x.Body; b != nil {
		if len(b.Data) > 0 && header(x, "Content-Encoding") != "" {
			note("the body is decoded; inspect takes it only without its Content-Encoding")
		}
		if b.Truncated {
			note("the body went on: its length was %d (-1: not known), and %d bytes were inspected", b.Length, len(b.Data))
		}
	}
	if x.Response == nil && compared.Program.Interruption == nil {
		note("the reply was not inspected, and the test file has an empty one")
	}
	if x.Response != nil && x.ResponseBody != nil && x.ResponseBody.Truncated {
		note("the body of the reply went on")
	}
	if x.Response != nil {
		note("inspect answers with an empty 200 instead of the reply in the test file")
	}
	file, err := rulestest.Parse("case", sections)
	if err != nil {
		note("the test file is not one: %v", strings.ReplaceAll(err.Error(), "\n", " "))
		return out
	}
	c := &file.Cases[0]
	if c.Request.Method != x.Request.Method || c.Request.Target != x.Request.Target || c.Request.Protocol != x.Request.Protocol {
		note("the request line of the test file reads back as %q %q %q", c.Request.Method, c.Request.Target, c.Request.Protocol)
	}
	if !slices.Equal(c.Request.Headers, x.Request.Headers) {
		note("the headers of the test file read back as %q", c.Request.Headers)
	}
	if c.Response != nil && x.Response != nil {
		var body []byte
		if x.ResponseBody != nil {
			body = x.ResponseBody.Data
		}
		if !slices.Equal(c.Response.Headers, x.Response.Headers) || !bytes.Equal(c.Response.Body, body) {
			note("the reply of the test file reads back as %q %q", c.Response.Headers, c.Response.Body)
		}
	}
	return out
}

// expectation is what the reference made of a request in a mode. The verdict stands as it is in mode block.
func expectation(mode rulestest.Mode, o compare.Outcome) string {
	var b strings.Builder
	i := o.Interruption
	switch {
	case o.Err != "":
		return "error\n"
	case i != nil && i.Status >= http.StatusOK:
		fmt.Fprintf(&b, "block %d\n", i.Status)
	case i != nil:
		b.WriteString("block\n")
	case slices.ContainsFunc(o.Matches, func(m rules.Match) bool { return slices.Contains(m.Tags, policy.TagStageDetect) }):
		b.WriteString("detect\n")
	default:
		b.WriteString("pass\n")
	}
	if i != nil {
		fmt.Fprintf(&b, "by %d\nphase %d\naction %s\n", i.Rule, i.Phase, i.Action)
	}
	in := func(format string, args ...any) {
		fmt.Fprintf(&b, "in %s "+format+"\n", append([]any{mode}, args...)...)
	}
	only, targets := "only", []string(nil)
	for _, m := range o.Matches {
		only += " " + strconv.Itoa(m.Rule)
		for _, t := range m.Targets {
			targets = append(targets, fmt.Sprintf("match %d %s", m.Rule, t.Variable))
		}
	}
	in("%s", only)
	slices.Sort(targets)
	for _, line := range slices.Compact(targets) {
		if strings.Join(strings.Fields(line), " ") == line { // else it cannot stand in a line
			in("%s", line)
		}
	}
	in("score inbound %d", o.Scores.Inbound)
	in("score outbound %d", o.Scores.Outbound)
	in("score detection %d", o.Scores.Detection)
	if o.Uninspected {
		in("uninspected")
	}
	return b.String()
}
