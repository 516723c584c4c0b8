package store

import (
	"context"
	"testing"
	"time"
)

// TestTheDeadHoldNothing: what a server held that was killed is free at once for the one that has its folder next. It has
// no lease here, so that it would never run out.
func TestTheDeadHoldNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killed, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{prefixLead + "orders/1", prefixMember + killed.ID()} {
		if _, err := killed.client.Put(t.Context(), key, `{"id":"killed"}`); err != nil {
			t.Fatal(err)
		}
	}
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	s := openIn(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	led := false
	s.Lead(ctx, "orders", func(context.Context) error { led = true; return nil })
	if !led {
		t.Error("the work of the one that was killed is nobody's")
	}
	if n := countKeys(t, s, prefixMember); n != 0 {
		t.Errorf("%d servers run that were killed", n)
	}
}
