package incident

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 34, 56, 0, time.UTC)
	for name, want := range map[string]ID{
		"epoch":    {Time: time.Unix(epoch, 0).UTC()},
		"ordinary": {Time: at, Gateway: GatewayHash("gw-1"), Sequence: 12345},
		"largest":  {Time: time.Unix(epoch+1<<32-1, 0).UTC(), Gateway: 1023, Sequence: sequenceMask},
	} {
		t.Run(name, func(t *testing.T) {
			id := want.String()
			if !regexp.MustCompile(`^GH(-[0-9A-HJKMNP-TV-Z]{4}){3}$`).MatchString(id) {
				t.Errorf("%q has not the form of an incident ID", id)
			}
			got, err := Parse(id)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", id, d)
			}
		})
	}
}

func TestClampsTime(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := Parse(ID{Time: at}.String()); err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
}

func TestParse(t *testing.T) {
	const canonical = "GH-01HK-0Z7A-BC1D"
	for name, c := range map[string]struct{ in, err string }{
		"canonical":       {in: canonical},
		"lower case":      {in: "gh-01hk-0z7a-bc1d"},
		"no hyphens":      {in: "GH01HK0Z7ABC1D"},
		"no prefix":       {in: "01HK-0Z7A-BC1D"},
		"neither":         {in: "01hk0z7abc1d"},
		"spaces":          {in: "  GH 01HK 0Z7A BC1D\n"},
		"O for 0":         {in: "GH-O1HK-oZ7A-BC1D"},
		"I and l for 1":   {in: "GH-0IHK-0Z7A-BClD"},
		"too short":       {in: "GH-01HK-0Z7A-BC1", err: "want 12 characters"},
		"too long":        {in: "GH-01HK-0Z7A-BC1DE", err: "want 12 characters"},
		"empty":           {in: "", err: "want 12 characters"},
		"U":               {in: "GH-01HK-0Z7A-BCUD", err: `'U' is not among`},
		"not ASCII":       {in: "GH-01HK-0Z7A-BCé", err: "is not among"},
		"absurdly long":   {in: strings.Repeat("0", 1000), err: "not 1000 characters"},
		"other prefix":    {in: "XX-01HK-0Z7A-BC1D", err: "want 12 characters"},
		"prefix as digit": {in: "GH-GHGH-GHGH-GHGH"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(c.in)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := canonical
			if name == "prefix as digit" {
				want = c.in
			}
			if got.String() != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestSourceTellsTimeAndGateway(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 34, 56, 789, time.UTC)
	got, err := Parse(NewSource("gw-7").Next(at))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Time.Equal(at.Truncate(time.Second)) || got.Gateway != GatewayHash("gw-7") {
		t.Errorf("got %+v", got)
	}
}

func TestSourceIsUniqueWithinASecond(t *testing.T) {
	const workers, each = 8, 1 << sequenceBits / 8
	s, at := NewSource("gw"), time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	lists := make([][]string, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				lists[w] = append(lists[w], s.Next(at))
			}
		})
	}
	wg.Wait()
	seen := make(map[string]bool, workers*each)
	for _, list := range lists {
		for _, id := range list {
			if seen[id] {
				t.Fatalf("%s was made twice", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 1<<sequenceBits {
		t.Errorf("made %d IDs, want %d", len(seen), 1<<sequenceBits)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"GH-01HK-0Z7A-BC1D", "gh01hk0z7abc1d", "", "GH-", "\xff", "OIL0000000000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(i.String())
		if err != nil || again != i {
			t.Errorf("%q: %v, then %v, %v", s, i, again, err)
		}
	})
}
