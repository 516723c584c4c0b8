package link

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"weir/internal/weirtest"
)

// agent is a Client that runs in a test, and the states it got.
type agent struct {
	*Client
	t    testing.TB
	stop func()

	mu      sync.Mutex
	got     []State
	changed chan struct{}
}

func (w *world) agent(dir string) *agent {
	w.t.Helper()
	c, err := Open(w.options(dir))
	if err != nil {
		w.t.Fatal(err)
	}
	return run(w.t, c)
}

func run(t testing.TB, c *Client) *agent {
	a := &agent{Client: c, t: t, changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, a.sink) }()
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(a.stop)
	return a
}

func (a *agent) sink(s State) {
	a.mu.Lock()
	a.got = append(a.got, s)
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func (a *agent) states() []State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]State(nil), a.got...)
}

// await waits until the newest state delivered is good.
func (a *agent) await(good func(State) error) State {
	a.t.Helper()
	var last State
	weirtest.Eventually(a.t, patience, func() error {
		got := a.states()
		if len(got) == 0 {
			return fmt.Errorf("no state was delivered; connection: %+v", a.Connection())
		}
		last = got[len(got)-1]
		return good(last)
	})
	return last
}

// at waits for a revision.
func (a *agent) at(revision int64) State {
	a.t.Helper()
	return a.await(func(s State) error {
		if s.Revision != revision {
			return fmt.Errorf("agent is at revision %d, not %d; connection: %+v", s.Revision, revision, a.Connection())
		}
		return nil
	})
}
