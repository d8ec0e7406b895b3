// Package event keeps the events of a fleet: stores what gateways send, finds it, counts it, and drops it by age and size.
//
// Invariants: a batch that was acknowledged is stored, once; counts are exact, however many of the events were not sent in full; the
// records take no more than their share of the disk.
//
// Records are kept as the gateways made them, many compressed together (a block), beside a row for each with what it is found by. The
// database is apart from what operators decide: a file of its own, or a schema of its own in PostgreSQL. It is in no backup.
package event

import (
	"context"
	"embed"
	"fmt"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// Options say where events are and how much of them is kept.
type Options struct {
	// URL is that of a PostgreSQL database, empty for SQLite. File is SQLite's file.
	URL, File string
	Logger    *zap.Logger
	Now       func() time.Time // nil is time.Now
	// Keep is how long events and counts are kept, MaxSize what records may take on the disk, in bytes.
	Keep    time.Duration
	MaxSize int64
	// Registerer gets the metrics; nil is none.
	Registerer prometheus.Registerer
}

// Service keeps events. It is safe for concurrent use.
type Service struct {
	db      *store.DB
	log     *zap.Logger
	keep    time.Duration
	most    int64
	metrics *metrics

	encoder *zstd.Encoder // EncodeAll alone, which may be used by many
	decoder *zstd.Decoder // DecodeAll alone, likewise
	reading chan struct{} // a place for each batch that is being read

	queue   chan *prepared
	stop    chan struct{}
	writing sync.WaitGroup
	days    map[int64]bool // whose tables are there; the writer's alone
}

// Topic is notified when events were stored.
const Topic = "events"

// namespace is the schema of PostgreSQL that the tables are in.
const namespace = "gatehouse_events"

//go:embed schema
var schema embed.FS

const (
	cache   = 64 << 20 // of the writer: indexes are written to all over
	readers = 4        // batches that are read at once: each may take MaxEvents
	queued  = 64       // batches that may wait to be written
)

// Open opens the database, and writes what Take is given until Close.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(fleetapi.MaxEvents), zstd.WithDecoderConcurrency(readers))
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{
		URL: o.URL, File: o.File, Logger: o.Logger, Now: o.Now, Schema: schema, Cache: cache, Namespace: namespace, ReadCommitted: true,
	})
	if err != nil {
		return nil, fmt.Errorf("the events: %w", err)
	}
	s := &Service{
		db: db, log: o.Logger.Named("events"), keep: o.Keep, most: o.MaxSize, metrics: newMetrics(o.Registerer),
		encoder: encoder, decoder: decoder, reading: make(chan struct{}, readers),
		queue: make(chan *prepared, queued), stop: make(chan struct{}), days: make(map[int64]bool),
	}
	s.writing.Go(s.write)
	return s, nil
}

// Close ends the writing, and closes the database. Take and the searches must have ended.
func (s *Service) Close() error {
	close(s.stop)
	s.writing.Wait()
	s.decoder.Close()
	return s.db.Close()
}

// Wake gives a channel that is closed when events were stored.
func (s *Service) Wake() <-chan struct{} { return s.db.Wake(Topic) }

const day = 24 * time.Hour

// dayOf is the number of a time's day, UTC.
func dayOf(t time.Time) int64 { return t.UnixMicro() / day.Microseconds() }
