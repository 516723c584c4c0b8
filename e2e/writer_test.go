package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// writer makes changes at whichever server takes them, and remembers those that were acknowledged.
type writer struct {
	mu    sync.Mutex
	acked []string
	last  time.Time
	// longest is the longest pause between two acknowledged changes.
	longest time.Duration
	stop    chan struct{}
	done    sync.WaitGroup
}

func write(servers ...*growing) *writer {
	var send []func(string) bool
	for _, g := range servers {
		send = append(send, g.send)
	}
	return writeBy(servers[0].t, send...)
}

// writeAt is write for control planes in the test's own process.
func writeAt(worlds ...*world) *writer {
	var send []func(string) bool
	for _, w := range worlds {
		send = append(send, func(zone string) bool {
			_, err := w.call("PUT", "/api/v1/zones/"+zone, `{"kind":"Zone","metadata":{"name":"`+zone+`"}}`, nil)
			return err == nil
		})
	}
	return writeBy(worlds[0].t, send...)
}

func writeBy(t *testing.T, send ...func(zone string) bool) *writer {
	wr := &writer{stop: make(chan struct{}), last: time.Now()}
	wr.done.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-wr.stop:
				return
			case <-time.After(60 * time.Millisecond): // each is work for every member
			}
			name := fmt.Sprintf("z%d", i)
			wr.note(name, slices.ContainsFunc(send, func(send func(string) bool) bool { return send(name) }))
		}
	})
	t.Cleanup(wr.end)
	return wr
}

func (wr *writer) note(name string, acked bool) {
	wr.mu.Lock()
	defer wr.mu.Unlock()
	if !acked {
		return
	}
	wr.acked = append(wr.acked, name)
	wr.longest = max(wr.longest, time.Since(wr.last))
	wr.last = time.Now()
}

func (wr *writer) end() {
	select {
	case <-wr.stop:
	default:
		close(wr.stop)
	}
	wr.done.Wait()
}

func (wr *writer) count() int {
	wr.mu.Lock()
	defer wr.mu.Unlock()
	return len(wr.acked)
}

// more waits until n further changes were acknowledged.
func (wr *writer) more(t *testing.T, n int) {
	t.Helper()
	begin := wr.count()
	weirtest.Eventually(t, waitLong, func() error {
		if got := wr.count() - begin; got < n {
			return fmt.Errorf("%d of %d changes were acknowledged", got, n)
		}
		return nil
	})
}
