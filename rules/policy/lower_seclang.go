package policy

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/crs"
	"gatehouse/rules/seclang"
)

// customText is the operator's SecLang around CRS.
type customText struct{ before, after []rules.Source }

// splitSecLang checks the operator's SecLang and splits it: rules run before CRS, so that their ctl actions reach it,
// and SecRuleRemove* and SecRuleUpdate* act on rules that are loaded already, so they come after it. Both halves keep
// the name and every line in its place, so that positions in errors and records stay right.
func splitSecLang(sources []rules.Source, release crs.Release) (customText, error) {
	var (
		out   customText
		errs  rules.TextErrors
		trees []*seclang.File
		ids   = map[int]seclang.Position{}
	)
	for _, s := range sources {
		if problems := seclang.Check(s); problems != nil {
			errs = append(errs, problems...)
			continue
		}
		f, problems := seclang.Parse(s)
		errs = append(errs, problems...)
		trees = append(trees, f)
		for _, d := range f.Directives {
			if d.Rule == nil {
				continue
			}
			id := d.Rule.ID()
			if first, taken := ids[id]; taken {
				errs = append(errs, rules.TextError{
					Source: s.Name, Line: d.Line,
					Message: fmt.Sprintf("id:%d is already the id of the rule at %s; ids are unique in a policy", id, first),
				})
				continue
			}
			ids[id] = d.Position
		}
	}
	if len(errs) > 0 {
		return customText{}, errs
	}
	if len(sources) == 0 {
		return customText{}, nil
	}
	loaded, err := loadedRules(release, trees)
	if err != nil {
		return customText{}, err
	}
	for i, s := range sources {
		before, after, problems := split(s, trees[i], loaded)
		errs = append(errs, problems...)
		out.before = append(out.before, rules.Source{Name: s.Name, Text: before})
		if strings.TrimSpace(after) != "" {
			out.after = append(out.after, rules.Source{Name: s.Name, Text: after})
		}
	}
	if len(errs) > 0 {
		return customText{}, errs
	}
	return out, nil
}

// loadedRules are the operator's own and CRS's.
func loadedRules(release crs.Release, own []*seclang.File) ([]*seclang.Rule, error) {
	files := own[:len(own):len(own)]
	for _, s := range release.Rules {
		f, errs := seclang.Parse(s)
		if errs != nil {
			return nil, fmt.Errorf("CRS %s: %w", release.Version, errs)
		}
		files = append(files, f)
	}
	var out []*seclang.Rule
	for _, f := range files {
		for _, d := range f.Directives {
			if d.Rule != nil {
				out = append(out, d.Rule)
			}
		}
	}
	return out, nil
}

// split moves the lines of directives that change loaded rules to the second text.
func split(s rules.Source, f *seclang.File, loaded []*seclang.Rule) (before, after string, errs rules.TextErrors) {
	first := strings.Split(s.Text, "\n")
	second := make([]string, len(first))
	for _, d := range f.Directives {
		if d.Selection == nil {
			continue
		}
		for i := d.Line - 1; i < d.End; i++ {
			first[i], second[i] = "", first[i]
		}
		text, err := resolve(d, loaded)
		if err != nil {
			errs = append(errs, rules.TextError{Source: s.Name, Line: d.Line, Message: err.Error()})
			continue
		}
		if text != "" {
			clear(second[d.Line-1 : d.End])
			second[d.Line-1] = text
		}
	}
	return strings.Join(first, "\n"), strings.Join(second, "\n"), errs
}

// resolve finds the rules that a directive selects. It is an error if there are none, which is a mistyped id more
// often than anything else. A selection by message is rewritten to the rules' ids, since the engine cannot compare
// the messages of rules that have none.
func resolve(d *seclang.Directive, loaded []*seclang.Rule) (string, error) {
	found := map[int]bool{}
	var ids []string
	for _, r := range loaded {
		if id := r.ID(); selects(d.Selection, r, id) && !found[id] {
			found[id] = true
			ids = append(ids, strconv.Itoa(id))
		}
	}
	if len(ids) == 0 {
		return "", fmt.Errorf("%s %s selects no rule of this policy; check it against the CRS release, or remove it", d.Name, selectionText(d.Selection))
	}
	if d.Name != seclang.SecRuleRemoveByMsg {
		return "", nil
	}
	return seclang.SecRuleRemoveByID + " " + strings.Join(ids, " "), nil
}

func selects(s *seclang.Selection, r *seclang.Rule, id int) bool {
	for _, x := range s.IDs {
		if id >= x.First && id <= x.Last {
			return true
		}
	}
	if s.Message != "" {
		msg, ok := r.Action("msg")
		return ok && msg.Value == s.Message
	}
	for _, tag := range r.All("tag") {
		if s.Tag != "" && tag.Value == s.Tag {
			return true
		}
	}
	return false
}

func selectionText(s *seclang.Selection) string {
	switch {
	case s.Tag != "":
		return s.Tag
	case s.Message != "":
		return strconv.Quote(s.Message)
	case len(s.IDs) == 1 && s.IDs[0].First == s.IDs[0].Last:
		return strconv.Itoa(s.IDs[0].First)
	}
	return fmt.Sprintf("%d-%d", s.IDs[0].First, s.IDs[0].Last)
}
