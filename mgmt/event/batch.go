package event

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/incident"
)

// Gateway is who sends events, as its certificate says.
type Gateway struct {
	Name, Group string
}

// Bounds of what a batch may hold.
const (
	maxLine    = 64 << 10 // bytes of one record; gateways make 32 KiB at most
	maxBlock   = 512 << 10
	maxSpool   = 64
	maxCounts  = 100_000
	maxMatched = 64   // rules of one event
	maxEvents  = 1e12 // of one count
	// maxAhead is how far the clock of a gateway may be ahead of the manager's.
	maxAhead = time.Hour
)

// The longest texts that an event is found by, in bytes.
const (
	longName = 256
	longPath = 2048
)

// prepared is a batch that is ready to be written.
type prepared struct {
	from     Gateway
	spool    string
	sequence int64
	blocks   []block
	counts   []fleetapi.Count
	refused  int // events that are none
	late     int

	duplicate bool
	done      chan error
}

// block are events of one day that are kept together.
type block struct {
	day  int64
	rows []row
	data []byte // their lines, compressed
}

// row is what one event is found by.
type row struct {
	at                           time.Time
	incident                     string
	application, verdict, reason string
	client                       []byte
	host, path                   string
	rules                        []int
}

// read reads a batch.
func (s *Service) read(from Gateway, body []byte) (*prepared, error) {
	text, err := s.decoder.DecodeAll(body, nil)
	if err != nil {
		return nil, problem.New(problem.Malformed, "the batch is not what zstd makes, or has more than %d bytes: %v", fleetapi.MaxEvents, err)
	}
	var b fleetapi.Batch
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, problem.New(problem.Malformed, "the batch is not JSON: %v", err)
	}
	switch {
	case b.Spool == "" || len(b.Spool) > maxSpool || clean(b.Spool, maxSpool) != b.Spool:
		return nil, problem.Field("body.spool", nil, "must be 1 to %d characters", maxSpool)
	case b.Sequence < 1:
		return nil, problem.Field("body.sequence", b.Sequence, "must be 1 or more")
	case len(b.Counts) > maxCounts:
		return nil, problem.Field("body.counts", len(b.Counts), "are more than %d", maxCounts)
	}
	p := &prepared{from: from, spool: b.Spool, sequence: b.Sequence, done: make(chan error, 1)}
	if p.counts, err = s.counts(b.Counts); err != nil {
		return nil, err
	}
	s.pack(p, b.Events)
	return p, nil
}

// counts are those of a batch that are not too old.
func (s *Service) counts(list []fleetapi.Count) ([]fleetapi.Count, error) {
	now := s.db.Now()
	var out []fleetapi.Count
	for i, c := range list {
		if c.Sampled < 0 || c.Sampled > c.Events || c.Events > maxEvents || c.Rule < 0 {
			return nil, problem.Field("body.counts["+strconv.Itoa(i)+"]", nil, "is no number of events")
		}
		if c.Minute.Before(now.Add(-s.keep)) {
			continue
		}
		c.Minute = notAhead(c.Minute, now).Truncate(time.Minute)
		c.Application, c.Verdict, c.Reason = clean(c.Application, longName), clean(c.Verdict, longName), clean(c.Reason, longName)
		out = append(out, c)
	}
	return out, nil
}

// countKey is what counts are added up by.
type countKey struct {
	minute                       int64
	application, verdict, reason string
	rule                         int
}

func keyOf(c fleetapi.Count) countKey {
	return countKey{c.Minute.UnixMicro(), c.Application, c.Verdict, c.Reason, c.Rule}
}

// compareKeys is the order in which counts are written: the same for all, so that none waits for another in a circle.
func compareKeys(a, b fleetapi.Count) int {
	if c := a.Minute.Compare(b.Minute); c != 0 {
		return c
	}
	for _, pair := range [][2]string{{a.Application, b.Application}, {a.Verdict, b.Verdict}, {a.Reason, b.Reason}} {
		if c := strings.Compare(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	return a.Rule - b.Rule
}

// notAhead is the time, or now if the gateway's clock is wrong.
func notAhead(t, now time.Time) time.Time {
	if t.After(now.Add(maxAhead)) {
		return now
	}
	return t.UTC()
}

// pack makes the blocks of the events.
func (s *Service) pack(p *prepared, events []json.RawMessage) {
	open := map[int64]*packing{} // by day
	var order []*packing
	for _, raw := range events {
		r, line, ok := s.record(p.from, raw)
		if !ok {
			p.refused++
			continue
		}
		if r.at.Before(s.db.Now().Add(-s.keep)) {
			p.late++
			continue
		}
		d := dayOf(r.at)
		if at := open[d]; at == nil || at.lines.Len() > maxBlock {
			open[d] = &packing{day: d}
			order = append(order, open[d])
		}
		at := open[d]
		at.rows = append(at.rows, r)
		at.lines.Write(line)
	}
	for _, at := range order {
		p.blocks = append(p.blocks, block{day: at.day, rows: at.rows, data: s.encoder.EncodeAll(at.lines.Bytes(), nil)})
	}
}

type packing struct {
	day   int64
	rows  []row
	lines bytes.Buffer
}

// indexed is as much of a gateway's record as it is found by. Gateway and Group are the manager's alone to say.
type indexed struct {
	Record      string          `json:"record"`
	Time        time.Time       `json:"time"`
	Incident    string          `json:"incident"`
	Verdict     string          `json:"verdict"`
	Reason      string          `json:"reason"`
	Client      string          `json:"client"`
	Application string          `json:"application"`
	Host        string          `json:"host"`
	Path        string          `json:"path"`
	Gateway     json.RawMessage `json:"gateway"`
	Group       json.RawMessage `json:"group"`
	Rules       []struct {
		ID int `json:"id"`
	} `json:"rules"`
}

// record reads an event. line is how it is kept: on one line, with the gateway that it comes from.
func (s *Service) record(from Gateway, raw []byte) (r row, line []byte, ok bool) {
	var e indexed
	if len(raw) > maxLine || json.Unmarshal(raw, &e) != nil || e.Record != "event" || e.Time.IsZero() || e.Gateway != nil || e.Group != nil {
		return row{}, nil, false
	}
	id, err := incident.Parse(e.Incident)
	if err != nil || id.String() != e.Incident {
		return row{}, nil, false
	}
	r = row{
		at: notAhead(e.Time, s.db.Now()), incident: e.Incident, application: clean(e.Application, longName), verdict: clean(e.Verdict, longName),
		reason: clean(e.Reason, longName), client: clientKey(e.Client), host: clean(e.Host, longName), path: clean(e.Path, longPath),
	}
	for _, m := range e.Rules {
		if m.ID > 0 && len(r.rules) < maxMatched && !slices.Contains(r.rules, m.ID) {
			r.rules = append(r.rules, m.ID)
		}
	}
	return r, kept(from, raw), true
}

// kept is a record with the gateway that sent it, as a line.
func kept(from Gateway, raw []byte) []byte {
	var b bytes.Buffer
	_ = json.Compact(&b, raw) // it was read before
	b.Truncate(b.Len() - 1)   // the brace
	name, _ := json.Marshal(from.Name)
	group, _ := json.Marshal(from.Group)
	b.WriteString(`,"gateway":`)
	b.Write(name)
	b.WriteString(`,"group":`)
	b.Write(group)
	b.WriteString("}\n")
	return b.Bytes()
}

// clientKey is an address in 16 bytes, so that prefixes are ranges.
func clientKey(text string) []byte {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return []byte{}
	}
	key := addr.As16()
	return key[:]
}

// pathKey is what a path is found by.
func pathKey(path string) int64 {
	h := fnv.New64a()
	h.Write([]byte(path))
	return int64(h.Sum64()) //nolint:gosec // a hash
}

// clean is a text that both databases take.
func clean(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
