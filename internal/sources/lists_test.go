package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// place is a server of lists that says what a test wants.
type place struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(w http.ResponseWriter)
	asked  int
}

func newPlace(t *testing.T) *place {
	p := &place{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		p.answer(w)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *place) says(answer func(w http.ResponseWriter)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *place) text(text string) { p.says(func(w http.ResponseWriter) { fmt.Fprint(w, text) }) }

// shifted is a clock that a test puts forward.
type shifted struct {
	mu sync.Mutex
	by time.Duration
}

func (s *shifted) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.by)
}

func (s *shifted) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by += d
}

// What a place says becomes the entries; what can't be believed changes nothing, and says so.
func TestListsAreFetched(t *testing.T) {
	t.Parallel()
	b, p, clock := newBed(t), newPlace(t), new(shifted)
	b.clock = clock.now
	elsewhere := newPlace(t)
	elsewhere.text("198.51.100.0/24\n")
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		l := NewLists(Options{Store: b.store, Reach: b.reach, Clock: b.clock, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Server: "s1"})
		l.every = 10 * time.Millisecond
		go func() { done <- l.Run(ctx) }()
		stop = sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(stop)
		return stop
	}
	stop := run()
	list := func() *weir.AccessList { return weir.Find[weir.AccessList](b.store.View(), "AccessList", "drop") }
	status := func() (s weir.ListStatus) {
		v, _, err := b.store.Platform(t.Context(), ListPrefix+"drop")
		if err == nil {
			err = json.Unmarshal(v.Bytes(), &s)
		}
		if err != nil && weir.KindOf(err) != weir.NotFound {
			t.Fatal(err)
		}
		return s
	}
	// fetched waits until the next fetch has come to its end.
	fetched := func(holds func(weir.ListStatus) bool) weir.ListStatus {
		t.Helper()
		var s weir.ListStatus
		weirtest.Eventually(t, patience, func() error {
			if s = status(); !holds(s) {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
		return s
	}
	again := func(holds func(weir.ListStatus) bool) weir.ListStatus {
		t.Helper()
		before := status().TriedAt
		clock.pass(time.Hour)
		return fetched(func(s weir.ListStatus) bool { return s.TriedAt.After(before) && holds(s) })
	}
	expect := func(want string) {
		t.Helper()
		if got := fmt.Sprint(list().Networks); got != want {
			t.Errorf("the list has %s, want %s", got, want)
		}
	}
	fails := func(want string) {
		t.Helper()
		if s := again(func(s weir.ListStatus) bool { return s.Error != "" }); !strings.Contains(s.Error, want) {
			t.Errorf("fails with %q, want %q", s.Error, want)
		}
	}
	manifest := "{kind: AccessList, metadata: {name: drop, role: web}, spec: {source: {url: \"" + p.URL + "/list?key=canary\"}}}"

	p.text("# a feed\n192.0.2.0/24\n203.0.113.9\n10.0.0.0/8 ; ours\n")
	b.apply(manifest)
	if s := fetched(func(s weir.ListStatus) bool { return !s.FetchedAt.IsZero() }); s.Entries != 3 || s.Error != "" {
		t.Errorf("%+v", s)
	}
	const all = "[10.0.0.0/8 192.0.2.0/24 203.0.113.9/32]"
	expect(all)
	// Who writes the list changes none of what was fetched, whatever the manifest says.
	b.apply(strings.Replace(manifest, "spec: {", "spec: {networks: [172.16.0.0/12], ", 1))
	expect(all)

	p.text("10.0.0.0/8\n<html>gone</html>\n")
	fails("line 2: \"<html>gone</html>\" is no network")
	p.text("# nothing\n")
	fails("it holds no entry")
	p.says(func(w http.ResponseWriter) { w.WriteHeader(500) })
	fails("HTTP 500")
	p.says(func(w http.ResponseWriter) {
		http.Redirect(w, &http.Request{Method: "GET"}, elsewhere.URL, http.StatusFound)
	})
	fails("redirects are not followed")
	p.says(func(w http.ResponseWriter) {
		line := []byte(strings.Repeat("#", 1<<20-1) + "\n")
		for range 17 {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	fails("more than 16 MiB")
	if elsewhere.asked > 0 {
		t.Error("a redirect was followed")
	}
	expect(all)

	// Less than half is believed when it has lasted.
	p.text("10.0.0.0/8\n")
	if s := again(func(s weir.ListStatus) bool { return s.Error == "" }); s.Fewer != 1 || s.FewerUntil.Sub(s.FewerSince) != fewerFor {
		t.Errorf("%+v", s)
	}
	expect(all)
	stop() // who fetches it next knows
	asked := p.asked
	stop = run()
	for range 5 {
		again(func(s weir.ListStatus) bool { return s.Fewer == 1 })
	}
	if p.asked-asked != 5 {
		t.Errorf("asked %d times in 5 hours", p.asked-asked)
	}
	expect(all)
	again(func(s weir.ListStatus) bool { return s.Entries == 1 && s.Fewer == 0 })
	expect("[10.0.0.0/8]")

	// Nobody inside is asked who is not listed.
	stop()
	b.reach.Destinations = nil
	run()
	fails("may not be asked")
	expect("[10.0.0.0/8]")
	if strings.Contains(b.log.String(), "canary") {
		t.Error("the log shows the address")
	}
	if _, err := b.store.Apply(t.Context(), store.Request{Author: "ann", Writes: []weir.Write{{Delete: weir.Ref{Kind: "AccessList", Name: "drop"}}}}); err != nil {
		t.Fatal(err)
	}
	fetched(func(s weir.ListStatus) bool { return s.URL == "" })
}

// A Map's source goes the same way, apart from an AccessList of that name.
func TestMapsAreFetched(t *testing.T) {
	t.Parallel()
	b, p, nets := newBed(t), newPlace(t), newPlace(t)
	nets.text("10.0.0.0/8\n")
	p.text("# shop\n/b api\n/a default\n")
	const manifest = "{kind: Map, metadata: {name: drop, role: web}, spec: {match: %s, source: {url: %q}}}"
	b.apply(fmt.Sprintf(manifest, "exact", p.URL) + "\n---\n{kind: AccessList, metadata: {name: drop, role: web}, spec: {source: {url: \"" + nets.URL + "\"}}}")
	l := NewLists(Options{Store: b.store, Reach: b.reach, Clock: time.Now, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Server: "s1"})
	l.every = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	has := func(want string) {
		t.Helper()
		weirtest.Eventually(t, patience, func() error {
			m := weir.Find[weir.Map](b.store.View(), "Map", "drop")
			a := weir.Find[weir.AccessList](b.store.View(), "AccessList", "drop")
			if got := fmt.Sprint(m.Entries, a.Networks); got != want {
				return fmt.Errorf("%s, want %s", got, want)
			}
			return nil
		})
	}
	has("[{/b api} {/a default}] [10.0.0.0/8]")
	for _, ref := range []weir.Ref{{Kind: "Map", Name: "drop"}, {Kind: "AccessList", Name: "drop"}} {
		weirtest.Eventually(t, patience, func() error { // written after the entries
			_, _, err := b.store.Platform(t.Context(), listRecord(ref))
			return err
		})
		if got := ListOf(listRecord(ref)); got != ref {
			t.Errorf("%s is kept as that of %s", ref, got)
		}
	}
	// What were paths are no regexes: they are asked for anew.
	p.text("/b.* api\n")
	b.apply(fmt.Sprintf(manifest, "regex", p.URL))
	has("[{/b.* api}] [10.0.0.0/8]")
}
