package store_test

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
)

// promotions is how often a standby is promoted: a tenth of the kills of `make durability`, once in CI.
func promotions(t *testing.T) int {
	t.Helper()
	if os.Getenv("DURABILITY") == "" {
		return 1
	}
	const share = 10
	return max(1, durabilityKills(t)/share)
}

// TestStandbyPromoted stops the primary hard under publishes and promotes its synchronous standby: nothing acknowledged is lost, and each
// request that got no answer is done once, though it is sent again.
func TestStandbyPromoted(t *testing.T) {
	pair := storetest.NewPair(t)
	s := newSite(t)
	acknowledged := uint64(0)
	rounds := promotions(t)
	for round := range rounds {
		if round > 0 {
			pair.Rejoin()
		}
		db, err := store.Open(t.Context(), pair.Options())
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			s.use(db)
		}
		acknowledged = publishWhile(t, s, db, acknowledged, pair.Promote)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d promotions, %d revisions acknowledged", rounds, acknowledged)
	checkPublished(t, s, openStore(t, pair.Options()), acknowledged)
}

// publishWhile publishes until some time after do, and sends again what got an error. It gives the last number that was acknowledged.
func publishWhile(t *testing.T, s *site, db *store.DB, last uint64, do func()) uint64 {
	t.Helper()
	const before, after = 10, 10 // publishes
	deadline := time.Now().Add(time.Minute)
	var done atomic.Bool
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		<-begun
		do()
		done.Store(true)
	}()
	failed := 0
	for n, later := 0, 0; later < after; n++ {
		if n == before {
			close(begun)
		}
		if time.Now().After(deadline) {
			t.Fatal("publishing does not go on")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := publishOnce(ctx, db, s.key, last+1, func(string) {})
		cancel()
		switch {
		case err == nil:
			last++
			if done.Load() {
				later++
			}
		default:
			failed++
			time.Sleep(10 * time.Millisecond)
		}
	}
	<-ended
	t.Logf("%d attempts failed", failed)
	return last
}
