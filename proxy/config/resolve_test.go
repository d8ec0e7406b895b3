package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/policy"
)

func TestResolvePolicy(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "base.conf", "SecAction \"id:7,phase:1,pass,nolog\"\n")
	l := load(t, write(t, dir, "g.yaml", `
applications: [{ hosts: [a.example], upstream: "http://a.internal", policy: child }]
policies:
  - name: child
    extends: parent
    crs: { paranoia: 3 }
    rules: [{ name: c, when: { client: office, path: /c }, then: block, stage: detect }]
    seclang: |

      # the child's
      SecAction "id:8,phase:1,pass,nolog"
  - name: grandparent
    crs: { version: "4.22.0", paranoia: 2, inbound_threshold: 9 }
    seclang_file: base.conf
  - name: parent
    extends: grandparent
    crs: { inbound_threshold: 6, setup: stock }
    rules: [{ name: p, when: { path: /p }, then: block }]
    exclusions: [{ name: e, rules: [942100], hosts: a.example, path: /x, targets: "json:a", reason: r }]
lists: [{ name: office, addresses: [10.0.0.0/8, { address: 192.0.2.1, expires: 2026-06-30 }, { address: 192.0.2.2, expires: 2026-07-01 }] }]
`))
	got, err := l.ResolvePolicy("child")
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Set{
		Name: "child",
		CRS:  policy.CRS{Version: "4.22.0", Setup: policy.SetupStock, Paranoia: 3, InboundThreshold: 6, OutboundThreshold: 4},
		Rules: []policy.Rule{
			{Name: "p", When: policy.When{Path: policy.Strings{"/p"}}, Then: policy.ActionBlock, Stage: policy.StageEnforce},
			{Name: "c", When: policy.When{Client: policy.Strings{"office"}, Path: policy.Strings{"/c"}}, Then: policy.ActionBlock, Stage: policy.StageDetect},
		},
		SecLang: []rules.Source{
			{Name: filepath.Join(dir, "base.conf"), Text: "SecAction \"id:7,phase:1,pass,nolog\"\n"},
			{Name: "policies.child.seclang", Text: "\n# the child's\nSecAction \"id:8,phase:1,pass,nolog\"\n"},
		},
		Exclusions: []policy.Exclusion{{Name: "e", Rules: []int{942100}, Hosts: policy.Strings{"a.example"}, Path: "/x", Targets: policy.Strings{"json:a"}, Reason: "r"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
	if _, err := l.ResolvePolicy("nobody"); err == nil {
		t.Error("an unknown policy resolves")
	}
	if got := fmt.Sprint(l.Lists()); got != "map[office:[{10.0.0.0/8 } {192.0.2.2/32 2026-07-01}]]" {
		t.Errorf("lists %s", got)
	}

	problems := l.Place(fmt.Errorf("load: %w", rules.TextErrors{
		{Source: "policies.child.seclang", Line: 3, Message: "inline"},
		{Source: filepath.Join(dir, "base.conf"), Line: 1, Message: "in a file"},
		{Source: "gatehouse/rules.conf", Line: 5, Message: "elsewhere"},
	}))
	want2 := "base.conf:1: policies[1].seclang_file: in a file\ng.yaml:11:7: policies[0].seclang: inline\ngatehouse/rules.conf:5: elsewhere\n3 problems; nothing was loaded"
	if got := strings.ReplaceAll(problems.Error(), dir+"/", ""); got != want2 {
		t.Errorf("places:\n%s\nwant:\n%s", got, want2)
	}
	if got := l.Place(&rules.TextErrors{{Source: "x", Line: 1, Message: "m"}}); len(got) != 1 {
		t.Errorf("by pointer: %v", got)
	}
	if got := l.Place(errors.New("another")); got != nil {
		t.Errorf("another error: %v", got)
	}
}
