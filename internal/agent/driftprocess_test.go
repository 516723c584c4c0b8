package agent

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// Somebody else's reload is told; if nobody edited the files nothing else comes of it.
func TestReloadByAnotherHand(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, "")
		before := b.worker.pid
		if _, err := b.process.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.lookNow()
		if out := b.converge(); out.Reloaded {
			t.Errorf("a reload of the same files takes another one: %v", out.Plan.Reload)
		}
		told := b.told()
		want := []string{"HAProxy was reloaded by another hand: worker " + strconv.Itoa(before) + " → " + strconv.Itoa(b.worker.pid), "begun "}
		if err := says(told.Past, want); err != nil {
			t.Error(err)
		}
		b.edit(haproxy.ConfigFile, func(text string) string { return strings.Replace(text, "timeout", "timeout  ", 1) })
		if _, err := b.process.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.lookNow()
		if out := b.converge(); !out.Reloaded {
			t.Errorf("HAProxy goes on with somebody else's text")
		}
		b.settled()
	})
}

// A HAProxy that somebody else has started, after the agent's had ended, is told.
func TestStartByAnotherHand(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := meddled(t, h, "")
		ctx, cancel := context.WithTimeout(t.Context(), longWait)
		defer cancel()
		before := b.worker.pid
		_ = b.process.Stop(ctx) // how it ended is its own affair
		other, err := hapctl.Start(t.Context(), b.options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			stop, done := context.WithTimeout(context.Background(), 5*time.Second)
			defer done()
			_ = other.Stop(stop)
		})
		b.process, b.have, b.lost, b.resumed = nil, haproxy.Config{}, true, false // as the loop has it
		if err := b.resume(t.Context(), b.node.Resources()); err != nil {
			t.Fatal(err)
		}
		b.converge()
		want := []string{"HAProxy ended and was started by another hand: worker " + strconv.Itoa(before) + " → ", "begun "}
		if err := says(b.told().Past, want); err != nil {
			t.Error(err)
		}
		b.settled()
	})
}

// What another hand does between two operations of a wish is told, and undone.
func TestAHandInTheMiddleOfAWishIsTold(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	b := meddled(t, h, "")
	name, _ := b.server("one", "s41")
	b.run("set", "server", name, "weight", "3") // nobody has looked yet
	b.node.Pools[0].Servers[0].Weight = 50
	for range 3 {
		if _, err := b.engine.converge(t.Context(), b.node.Resources()); err == nil {
			break
		}
	}
	if err := says(b.told().Past, []string{"Server/s41: weight 100 → 3"}); err != nil {
		t.Error(err)
	}
	b.settled()
}
