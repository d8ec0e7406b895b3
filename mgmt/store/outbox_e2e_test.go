//go:build e2e

package store_test

import (
	"testing"

	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/revision/s3depot"
	"gatehouse/rules/revision/s3depot/s3test"
)

// TestOutboxS3 stops a holder of the lease at each place, with a real S3 server as the bucket, and has the server away for a while.
func TestOutboxS3(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket("revisions")
	newS3Site := func(t *testing.T) *site {
		s := newSite(t)
		s.dir = t.Name()
		bucket, err := s3depot.Open(t.Context(), "s3://revisions/"+t.Name())
		if err != nil {
			t.Fatal(err)
		}
		s.bucket = bucket
		return s
	}
	t.Run("paused", func(t *testing.T) { testOutboxPaused(t, storetest.SQLite(t), newS3Site) })
	t.Run("away", func(t *testing.T) {
		s, db := newS3Site(t), storetest.SQLite(t)()
		s.use(db)
		s.publish(db, 1, "one")
		if err := s.outbox(db, "a").Carry(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.Stop()
		s.publish(db, 2, "two")
		if err := s.outbox(db, "a").Carry(t.Context()); err == nil {
			t.Error("it was written to a server that is away")
		}
		if s.waiting(db) == 0 {
			t.Error("nothing waits")
		}
		server.Run()
		if err := s.outbox(db, "a").Carry(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(2, "two")
	})
}
