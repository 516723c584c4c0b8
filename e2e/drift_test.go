package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// TestPeerFault6: what somebody changes by hand at the run-time socket is noticed and taken back.
func TestPeerFault6(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.look = 200 * time.Millisecond
		w.origin(200, "web1")
		w.apply(w.oneZone())
		a := w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		worker, text := w.worker(a), w.state1(a)
		backend, server, _ := strings.Cut(text.name, "/")
		hosts, key := w.mapWith(a, "www.example.com")
		hand := map[string][][]string{
			"weight":           {{"set", "server", text.name, "weight", "3"}},
			"maintenance":      {{"set", "server", text.name, "state", "maint"}},
			"drain":            {{"set", "server", text.name, "state", "drain"}},
			"address":          {{"set", "server", text.name, "addr", w.at(222).String(), "port", "9"}},
			"a deleted entry":  {{"del", "map", hosts, key}},
			"a changed entry":  {{"set", "map", hosts, key, "nobody"}},
			"a new entry":      {{"add", "map", hosts, strings.Replace(key, "www", "evil", 1), "www"}},
			"a cleared map":    {{"clear", "map", hosts}},
			"a deleted server": {{"set", "server", text.name, "state", "maint"}, {"wait", "5s", "srv-removable", text.name}, {"del", "server", text.name}},
			"a new server":     {{"add", "server", backend + "/evil", w.at(222).String() + ":9"}, {"enable", "server", backend + "/evil"}},
		}
		if h.Version >= "3.4" {
			hand["a new backend"] = [][]string{{"add", "backend", "evil", "from", "p-http-roundrobin"}, {"publish", "backend", "evil"}}
		}
		for _, what := range slices.Sorted(maps.Keys(hand)) {
			w.meddle(a, hand[what]...)
			weirtest.Eventually(t, waitLong, func() error {
				now := w.state1(a)
				if now != text {
					return fmt.Errorf("after %s HAProxy has %+v, want %+v", what, now, text)
				}
				entries := w.do(a, "show", "map", hosts)
				if strings.Contains(entries+w.do(a, "show", "backend"), "evil") || !strings.Contains(entries, key+" www") {
					return fmt.Errorf("%s stays", what)
				}
				return nil
			})
			w.serves(at, "www.example.com", "/")
			if status, _, err := w.get(at, "evil.example.com", "/"); err != nil || status != 404 {
				t.Errorf("%s: a host of nobody answers %d %v", what, status, err)
			}
		}
		if now := w.worker(a); now != worker {
			t.Errorf("worker %d is now %d; %s", worker, now, server)
		}
	})
}

// meddle does several things by hand, from the first again when the agent has undone what one of them stands on.
func (w *world) meddle(a *runningAgent, lines ...[]string) {
	w.t.Helper()
	client := w.socket(a)
	weirtest.Eventually(w.t, waitLong, func() error {
		for _, words := range lines {
			cmd, err := hapctl.NewCommand(words...)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := client.Do(w.t.Context(), cmd); err != nil {
				return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
			}
		}
		return nil
	})
}

// oneState is all that HAProxy has of servers, when there is one.
type oneState struct {
	name, address string
	weight        int
	admin         haproxy.AdminState
	servers       int
}

func (w *world) state1(a *runningAgent) oneState {
	w.t.Helper()
	client := w.socket(a)
	defer client.Close()
	states, err := members(w, client)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(states) == 0 {
		return oneState{}
	}
	s := states[0]
	return oneState{s.Backend + "/" + s.Server, fmt.Sprint(s.Address, ":", s.Port), s.Weight, s.Admin, len(states)}
}

// mapWith finds the map that decides about a host, and its key.
func (w *world) mapWith(a *runningAgent, host string) (path, key string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(a.folder(), "maps", "*.map"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(words[0], host) {
				return "maps/" + filepath.Base(file), words[0]
			}
		}
	}
	w.t.Fatalf("no map in %q names %s", files, host)
	return "", ""
}
