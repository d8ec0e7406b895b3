package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Notify wakes whoever waits for the topic, on every manager, once the transaction is committed.
func (tx *Tx) Notify(topic string) { tx.topics[topic] = true }

func (tx *Tx) notify(topic string) error {
	_, err := tx.Exec("INSERT INTO topics (name, count) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET count = topics.count + 1", topic)
	if err != nil {
		return err
	}
	return tx.db.dialect.notify(tx.ctx, tx.sql, topic)
}

// Wake gives a channel that is closed at the next notification of the topic. Whoever waits takes the channel first, looks then,
// and waits last, so that nothing is missed. A notification may come for nothing.
func (db *DB) Wake(topic string) <-chan struct{} { return db.wakes.channel(topic) }

// wakes are the channels of those who wait.
type wakes struct {
	mu     sync.Mutex
	topics map[string]chan struct{}
	counts map[string]int64
}

func newWakes() *wakes {
	return &wakes{topics: make(map[string]chan struct{}), counts: make(map[string]int64)}
}

func (w *wakes) channel(topic string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.topics[topic]
	if !ok {
		c = make(chan struct{})
		w.topics[topic] = c
	}
	return c
}

func (w *wakes) wake(topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.topics[topic]; ok {
		close(c)
		delete(w.topics, topic)
	}
}

// listen takes the notifications of other managers, and looks at the counters once a second, in case one was lost.
func (db *DB) listen(ctx context.Context) {
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() {
		for ctx.Err() == nil {
			err := db.dialect.listen(ctx, db.readers, db.wakes.wake)
			if err == nil || ctx.Err() != nil {
				return
			}
			db.log.Warn("listening for other managers failed; the counters are looked at meanwhile", zap.Error(err))
			pause(ctx, time.Second)
		}
	})
	for pause(ctx, time.Second) {
		if err := db.compareTopics(ctx); err != nil && !errors.Is(err, context.Canceled) {
			db.log.Warn("look at the counters of topics", zap.Error(err))
		}
	}
}

// compareTopics wakes the topics whose counter has risen.
func (db *DB) compareTopics(ctx context.Context) error {
	risen := map[string]int64{}
	err := db.Read(ctx, func(tx *Tx) error {
		clear(risen)
		return tx.Query(func(scan func(...any) error) error {
			var name string
			var count int64
			if err := scan(&name, &count); err != nil {
				return err
			}
			risen[name] = count
			return nil
		}, "SELECT name, count FROM topics")
	})
	if err != nil {
		return fmt.Errorf("read topics: %w", err)
	}
	for name, count := range risen {
		if db.wakes.counts[name] != count { // only this goroutine reads and writes counts
			db.wakes.counts[name] = count
			db.wakes.wake(name)
		}
	}
	return nil
}

// pause waits, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
