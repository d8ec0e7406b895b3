package coraza_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
)

// TestDetectSaysWhatBlockDoes judges requests in both modes: the interruption has to be the same, but only in block may
// the caller see it.
func TestDetectSaysWhatBlockDoes(t *testing.T) {
	engine := coraza.New(coraza.Options{})
	const (
		attack = "/?id=1%27+union+select+1,2,3--+-"
		clean  = "/?q=shoes"
	)
	for _, c := range []struct {
		name string
		text string // in front of CRS
		// policy without CRS, if set
		alone  string
		target string
		want   *rules.Interruption
	}{
		{name: "clean", target: clean},
		{name: "CRS", target: attack, want: &rules.Interruption{Rule: 949110, Phase: 2, Action: "deny", Status: 403}},
		{
			name: "deny in phase 1", target: attack, text: `SecAction "id:1,phase:1,deny,status:451,log"`,
			want: &rules.Interruption{Rule: 1, Phase: 1, Action: "deny", Status: 451},
		},
		{
			name: "drop", target: clean, text: `SecAction "id:1,phase:2,drop,status:418,log"`,
			want: &rules.Interruption{Rule: 1, Phase: 2, Action: "drop"},
		},
		{
			name: "redirect", target: clean, text: `SecAction "id:1,phase:1,redirect:'https://shop.example.com/sorry',log"`,
			want: &rules.Interruption{Rule: 1, Phase: 1, Action: "redirect", Status: 302, Data: "https://shop.example.com/sorry"},
		},
		{
			name: "redirect with status", target: clean, text: `SecAction "id:1,phase:1,redirect:'https://shop.example.com/sorry',status:307"`,
			want: &rules.Interruption{Rule: 1, Phase: 1, Action: "redirect", Status: 307, Data: "https://shop.example.com/sorry"},
		},
		{
			name: "response", target: clean, text: `SecRule RESPONSE_BODY "@contains fine" "id:1,phase:4,deny,status:500,log"`,
			want: &rules.Interruption{Rule: 1, Phase: 4, Action: "deny", Status: 500},
		},
		{
			name: "response headers", target: clean, text: `SecRule RESPONSE_STATUS "@eq 200" "id:1,phase:3,deny,log"`,
			want: &rules.Interruption{Rule: 1, Phase: 3, Action: "deny", Status: 403},
		},
		{name: "logging cannot refuse", target: clean, text: `SecAction "id:1,phase:5,deny,log"`},
		{
			name: "first of two", target: clean, text: "SecAction \"id:1,phase:1,pass\"\nSecAction \"id:2,phase:1,deny\"\nSecAction \"id:3,phase:1,drop\"",
			want: &rules.Interruption{Rule: 2, Phase: 1, Action: "deny", Status: 403},
		},
		{
			name: "block by default action", target: clean,
			alone: "SecDefaultAction \"phase:1,log,deny,status:410\"\nSecAction \"id:1,phase:1,block\"",
			want:  &rules.Interruption{Rule: 1, Phase: 1, Action: "deny", Status: 410},
		},
		{
			name: "default action applies without block", target: clean,
			alone: "SecDefaultAction \"phase:2,log,drop\"\nSecAction \"id:1,phase:2,log\"",
			want:  &rules.Interruption{Rule: 1, Phase: 2, Action: "drop"},
		},
		{
			name: "action changed after the fact", target: clean,
			alone: "SecAction \"id:1,phase:1,deny\"\nSecRuleUpdateActionById 1 \"pass\"\nSecAction \"id:2,phase:1,pass\"\nSecRuleUpdateActionById 2 \"deny,status:429\"",
			want:  &rules.Interruption{Rule: 2, Phase: 1, Action: "deny", Status: 429},
		},
		{
			name: "chain", target: clean,
			text: "SecRule REQUEST_METHOD \"@streq GET\" \"id:1,phase:1,deny,chain\"\n SecRule REQUEST_URI \"@contains shoes\" \"t:none\"",
			want: &rules.Interruption{Rule: 1, Phase: 1, Action: "deny", Status: 403},
		},
		{
			name: "chain that fails", target: clean,
			text: "SecRule REQUEST_METHOD \"@streq GET\" \"id:1,phase:1,deny,chain\"\n SecRule REQUEST_URI \"@contains boots\" \"t:none\"",
		},
		{name: "allow", target: attack, text: `SecAction "id:1,phase:1,allow,log"`},
		{name: "allow in phase 2", target: attack, text: `SecAction "id:1,phase:2,allow,log"`},
		{
			name: "allow the request only", target: attack, text: "SecAction \"id:1,phase:1,allow:request\"\nSecAction \"id:2,phase:3,deny\"",
			want: &rules.Interruption{Rule: 2, Phase: 3, Action: "deny", Status: 403},
		},
		{
			name: "allow the phase only", target: attack, text: `SecAction "id:1,phase:1,allow:phase"`,
			want: &rules.Interruption{Rule: 949110, Phase: 2, Action: "deny", Status: 403},
		},
		{
			name: "allow skips a score", target: clean,
			alone: `SecAction "id:1,phase:1,allow:phase"
SecAction "id:2,phase:1,pass,setvar:tx.score=5"
SecRule TX:score "@ge 5" "id:3,phase:2,deny"`,
		},
		{
			name: "deny before allow", target: clean, text: "SecAction \"id:1,phase:1,deny\"\nSecAction \"id:2,phase:1,allow\"",
			want: &rules.Interruption{Rule: 1, Phase: 1, Action: "deny", Status: 403},
		},
		{name: "inspection switched off", target: attack, text: `SecAction "id:1,phase:1,pass,ctl:ruleEngine=Off"`},
		{name: "detection only for some", target: attack, text: `SecAction "id:1,phase:1,pass,ctl:ruleEngine=DetectionOnly"`},
		{
			name: "detection only, then on", target: attack,
			text: "SecAction \"id:1,phase:1,pass,ctl:ruleEngine=DetectionOnly\"\nSecAction \"id:2,phase:2,pass,ctl:ruleEngine=On\"",
			want: &rules.Interruption{Rule: 949110, Phase: 2, Action: "deny", Status: 403},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := crsPolicy(t, c.text)
			if c.alone != "" {
				p.Sources = []rules.Source{{Name: "base", Text: baseText}, {Name: "custom", Text: c.alone}}
			}
			set := mustLoad(t, engine, p)
			for _, mode := range []string{"block", "detect"} {
				r := request("GET", c.target)
				r.Detect = mode == "detect"
				result, seen := inspect(t, set, r, rules.Body{Length: 0})
				if diff := cmp.Diff(c.want, result.Interruption); diff != "" {
					t.Errorf("%s: interruption (-want +got):\n%s", mode, diff)
				}
				wantSeen := c.want
				if r.Detect {
					wantSeen = nil
				}
				if diff := cmp.Diff(wantSeen, seen); diff != "" {
					t.Errorf("%s: seen by the caller (-want +got):\n%s", mode, diff)
				}
			}
		})
	}
}

// TestDetectGoesOn shows that in detect the rules behind a refusal still run, where that changes nothing.
func TestDetectGoesOn(t *testing.T) {
	set := mustLoad(t, coraza.New(coraza.Options{}), crsPolicy(t, `SecAction "id:1,phase:1,deny,log"`))
	r := request("GET", "/?id=1%27+union+select+1,2,3--+-")
	r.Detect = true
	result, _ := inspect(t, set, r, rules.Body{})
	if result.Interruption == nil || result.Interruption.Rule != 1 || result.Scores.Inbound < 5 || len(result.Matches) < 3 {
		t.Errorf("got %+v", result)
	}
}
