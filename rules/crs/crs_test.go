package crs

import (
	"errors"
	"io/fs"
	"regexp"
	"sort"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func TestVersionsNewestFirst(t *testing.T) {
	if diff := cmp.Diff([]string{"4.25.0", "4.22.0"}, Versions()); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestLoad(t *testing.T) {
	componentVersion := regexp.MustCompile(`ver:'OWASP_CRS/([0-9.]+)'`)
	fromFile := regexp.MustCompile(`@pmFromFile ([^"]+)"`)
	for _, version := range Versions() {
		t.Run(version, func(t *testing.T) {
			r, err := Load(version)
			if err != nil {
				t.Fatal(err)
			}
			if r.Version != version || r.Dir() != "crs-"+version {
				t.Errorf("got version %q in %q", r.Version, r.Dir())
			}
			if !strings.Contains(r.SetupExample, "SecDefaultAction") {
				t.Error("the setup example has no SecDefaultAction")
			}
			if !sort.SliceIsSorted(r.Rules, func(i, j int) bool { return r.Rules[i].Name < r.Rules[j].Name }) {
				t.Error("rule files are not in load order")
			}
			ruleCount, dataCount := 0, 0
			for _, s := range r.Rules {
				if !strings.HasPrefix(s.Name, r.Dir()+"/RE") {
					t.Errorf("unexpected name %q", s.Name)
				}
				for _, m := range componentVersion.FindAllStringSubmatch(s.Text, -1) {
					ruleCount++
					if m[1] != version {
						t.Fatalf("%s: a rule says that it is of version %s", s.Name, m[1])
					}
				}
				for _, m := range fromFile.FindAllStringSubmatch(s.Text, -1) {
					dataCount++
					if _, err := fs.ReadFile(r.Data, m[1]); err != nil {
						t.Errorf("%s: %v", s.Name, err)
					}
				}
			}
			if ruleCount < 500 || dataCount < 15 {
				t.Errorf("only %d rules and %d data files seen", ruleCount, dataCount)
			}
		})
	}
}

func TestLoadNewest(t *testing.T) {
	r, err := Load("")
	if err != nil || r.Version != Versions()[0] {
		t.Errorf("got %q, %v", r.Version, err)
	}
}

func TestLoadUnknownNamesTheEmbedded(t *testing.T) {
	_, err := Load("3.3.4")
	want := `CRS "3.3.4" is not embedded; choose one of 4.25.0, 4.22.0, or leave the version empty for the newest`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDataShowsDataFilesOnly(t *testing.T) {
	r, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"REQUEST-901-INITIALIZATION.conf", "../LICENSE", "/etc/passwd", "@crs-setup.conf.example", "."} {
		if _, err := r.Data.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, want a file that does not exist", name, err)
		}
	}
}

// TestTextIsShared shows that a release is in memory once, however often it is loaded, and that who changes the list of its
// files changes it for nobody else.
func TestTextIsShared(t *testing.T) {
	first, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	for i := range first.Rules {
		if unsafe.StringData(first.Rules[i].Text) != unsafe.StringData(second.Rules[i].Text) {
			t.Fatalf("%s is there twice", first.Rules[i].Name)
		}
	}
	first.Rules[0].Text = "SecRuleEngine Off"
	if third, err := Load(""); err != nil || third.Rules[0].Text != second.Rules[0].Text {
		t.Errorf("a caller changed what others get: %v", err)
	}
}
