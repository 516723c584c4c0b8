package api

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Whoever has seen a revision is told nothing older: a server that has not heard of it waits, and says so when it stays
// behind, to those who write as well.
func TestNothingOlderThanWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	seen := func(revision int64) []string { return []string{"Weir-At-Least", fmt.Sprint(revision)} }
	at := w.store.Revision()
	if a := w.do("owner", "GET", "/api/v1/sites/www", "", seen(at)...); a.StatusCode != 200 {
		t.Errorf("of what is known: %d %s", a.StatusCode, a.body)
	}
	for _, no := range []string{"x", "-1", "1.5"} {
		if a := w.do("owner", "GET", "/api/v1/sites/www", "", "Weir-At-Least", no); a.StatusCode != 400 {
			t.Errorf("%q: %d %s", no, a.StatusCode, a.body)
		}
	}

	w.handler.opts.CatchUp = time.Millisecond
	for _, ask := range [][]string{{"GET", "/api/v1/sites/www"}, {"GET", "/api/v1/rows/sites"}, {"POST", "/api/v1/apply"}, {"DELETE", "/api/v1/sites/www"}} {
		a := w.do("owner", ask[0], ask[1], "", seen(at+1)...)
		if p := a.problem(t); a.StatusCode != 503 || !strings.Contains(p.Detail, fmt.Sprintf("knows revision %d, and revision %d was seen", at, at+1)) {
			t.Errorf("%s: %d %s", ask, a.StatusCode, a.body)
		}
	}
	if now := w.store.Revision(); now != at {
		t.Errorf("revision %d was written by who was refused", now)
	}
	// Who it is, is known all the same.
	if a := w.do("", "GET", "/api/v1/sites/www", "", seen(at+1)...); a.StatusCode != 401 {
		t.Errorf("nobody: %d %s", a.StatusCode, a.body)
	}

	w.handler.opts.CatchUp = time.Minute
	got := make(chan answer, 1)
	go func() { got <- w.do("owner", "GET", "/api/v1/roles/web", "", seen(at+1)...) }()
	if a := w.do("admin", "POST", "/api/v1/apply", "kind: Role\nmetadata: {name: web}\nspec: {contact: later}\n"); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if a := <-got; a.StatusCode != 200 || !strings.Contains(string(a.body), "later") {
		t.Errorf("once it is known: %d %s", a.StatusCode, a.body)
	}
}

// Who reads from a server that does not hear of etcd is told so: others may have written since.
func TestSilenceIsTold(t *testing.T) {
	w := newWorld(t)
	told := func() []string {
		return w.do("owner", "GET", "/api/v1/sites/www", "").Header.Values("Weir-Silent-Since")
	}
	if got := told(); got != nil {
		t.Errorf("%q while etcd answers", got)
	}
	w.handler.opts.Silence = func() time.Duration { return 95 * time.Second }
	if got := told(); len(got) != 1 || got[0] != w.clock().Add(-95*time.Second).Format(time.RFC3339) {
		t.Errorf("%q after 95 seconds", got)
	}
}
