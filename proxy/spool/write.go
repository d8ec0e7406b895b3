package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"gatehouse/rules/fleetapi"
)

// Bounds of how seldom batches are written while they are not taken: each is a file.
const (
	patientAfter = 10 // files that wait, beyond which it is written less often
	mostPatient  = 60 // times Every
)

// write writes what was gathered, until Close.
func (s *Spool) write() {
	said := ""
	for {
		wait := time.NewTimer(s.pause())
		stopped := false
		select {
		case <-s.stop:
			stopped = true
		case <-wait.C:
		case <-s.cut:
		}
		wait.Stop()
		err := s.flush()
		if text := errorText(err); text != said {
			said = text
			if err != nil {
				s.log.Warn("events cannot be kept for the manager; they are counted", zap.Error(err))
			}
		}
		if stopped {
			return
		}
	}
}

// pause is how long events are gathered: longer, the more batches wait.
func (s *Spool) pause() time.Duration {
	return s.o.Every * time.Duration(min(max(s.dir.number()/patientAfter, 1), mostPatient))
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// flush writes a batch. Where there is no room for records, they are dropped; where there is none for counts, those wait in memory.
func (s *Spool) flush() error {
	s.mu.Lock()
	lines, events, counts := s.lines, s.events, s.counts
	s.lines, s.events, s.counts = nil, 0, make(map[key]*tally, len(counts))
	s.mu.Unlock()
	if events == 0 && len(counts) == 0 {
		return nil
	}
	err := s.append(lines, events, counts, s.o.MaxBytes/4*3)
	if errors.Is(err, errFull) {
		s.drop(DropSpool, events)
		if s.append(nil, 0, counts, s.o.MaxBytes) != nil {
			s.keep(counts)
		}
		return err
	}
	if err != nil {
		s.drop(DropWrite, events)
		s.keep(counts)
	}
	return err
}

// append writes a batch as a file, if no more than most bytes are taken then.
func (s *Spool) append(lines []byte, events int, counts map[key]*tally, most int64) error {
	b := fleetapi.Batch{Spool: s.dir.spool, Sequence: s.dir.next(), Counts: make([]fleetapi.Count, 0, len(counts))}
	for line := range bytes.Lines(lines) {
		b.Events = append(b.Events, json.RawMessage(line))
	}
	for k, t := range counts {
		b.Counts = append(b.Counts, fleetapi.Count{
			Minute: time.Unix(k.minute, 0).UTC(), Application: k.application, Verdict: k.verdict, Reason: k.reason, Rule: k.rule,
			Events: t.events, Sampled: t.sampled,
		})
	}
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	data = s.encoder.EncodeAll(data, nil)
	if s.dir.bytes()+onDisk(len(data)) > most {
		return errFull
	}
	return s.dir.write(file{spool: b.Spool, sequence: b.Sequence, events: events}, data)
}

// keep puts counts back that could not be written. If there are too many, those of minutes become those of hours, and of days: their
// sum stays exact.
func (s *Spool) keep(counts map[key]*tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, t := range counts {
		s.add(k, t)
	}
	for _, unit := range []time.Duration{time.Hour, 24 * time.Hour} {
		if len(s.counts) < cutCounts/2 {
			return
		}
		all := s.counts
		s.counts = make(map[key]*tally, len(all))
		for k, t := range all {
			k.minute -= k.minute % int64(unit.Seconds())
			s.add(k, t)
		}
	}
}

// add adds to the count of a key. The caller holds mu.
func (s *Spool) add(k key, t *tally) {
	sum := s.counts[k]
	if sum == nil {
		s.counts[k] = &tally{t.events, t.sampled}
		return
	}
	sum.events += t.events
	sum.sampled += t.sampled
}
