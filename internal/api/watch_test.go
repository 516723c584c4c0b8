package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir"
	"weir/internal/store"
)

// streamed is an open stream whose lines are read one by one; the test's end closes it.
type streamed struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Scanner
}

type lineText struct {
	Type     string
	Revision int64
	Object   *struct {
		Metadata weir.Metadata
		Spec     json.RawMessage
	}
	Deleted  *weir.Ref
	Change   *changeText
	Problem  *Problem
	Progress *Progress
}

func (w *world) stream(t *testing.T, who, path string, headers ...string) *streamed {
	t.Helper()
	resp, err := w.server.Client().Do(w.request(who, "GET", path, "", headers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	return &streamed{t, resp, bufio.NewScanner(resp.Body)}
}

func (s *streamed) any() lineText {
	s.t.Helper()
	if !s.lines.Scan() {
		s.t.Fatalf("the stream ended: %v", s.lines.Err())
	}
	var l lineText
	if err := json.Unmarshal(s.lines.Bytes(), &l); err != nil {
		s.t.Fatalf("%v: %s", err, s.lines.Text())
	}
	return l
}

// next gives the next line that is no heartbeat.
func (s *streamed) next() lineText {
	s.t.Helper()
	for {
		if l := s.any(); l.Type != "heartbeat" {
			return l
		}
	}
}

// beat waits for a heartbeat of a revision.
func (s *streamed) beat(revision int64) {
	s.t.Helper()
	for {
		if l := s.any(); l.Type != "heartbeat" {
			s.t.Fatalf("got %+v", l)
		} else if l.Revision == revision {
			return
		}
	}
}

func (l lineText) String() string {
	switch {
	case l.Object != nil:
		return fmt.Sprintf("%s %s @%d", l.Type, l.Object.Metadata.Name, l.Revision)
	case l.Deleted != nil:
		return fmt.Sprintf("%s %s @%d", l.Type, l.Deleted.Name, l.Revision)
	case l.Problem != nil:
		return fmt.Sprintf("%s %d", l.Type, l.Problem.Status)
	}
	return fmt.Sprintf("%s @%d", l.Type, l.Revision)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.stream(t, "viewer", "/api/v1/pools?watch=true&labels=tier=front")
	s.beat(1)
	labelled := func(pool, label string) string {
		return strings.Replace(pool, "role: web", "role: web, labels: {tier: "+label+"}", 1)
	}
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", labelled(poolB, "front")), 201)                                                                                                  // 2
	w.want(w.do("other", "PUT", "/api/v1/pools/m", labelled(strings.NewReplacer("role: web", "role: media, labels: {tier: front}", "name: b", "name: m").Replace(poolB), "")), 201) // 3, not seen
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", labelled(poolB, "back")), 200)                                                                                                   // 4
	w.want(w.do("owner", "POST", "/api/v1/apply", labelled(twoPools, "front")), 200)                                                                                                // 5, b comes back
	w.want(w.do("owner", "DELETE", "/api/v1/pools/b", ""), 200)                                                                                                                     // 6
	want := []string{"put b @2", "delete b @4", "put b @5", "delete b @6"}
	for _, line := range want {
		if got := s.next().String(); got != line {
			t.Fatalf("got %s, want %s", got, line)
		}
	}
	s.beat(6)
	// From anywhere in between the rest comes again, the same.
	for from := int64(1); from <= 6; from++ {
		s := w.stream(t, "viewer", fmt.Sprintf("/api/v1/pools?watch=1&labels=tier=front&from=%d", from))
		for _, line := range want {
			var at int64
			_, _ = fmt.Sscanf(line[strings.IndexByte(line, '@'):], "@%d", &at)
			if at > from {
				if got := s.next().String(); got != line {
					t.Errorf("from %d: got %s, want %s", from, got, line)
				}
			}
		}
		s.beat(6)
	}
	p := w.want(w.do("viewer", "GET", "/api/v1/pools?watch=1&from=99", ""), 410).problem(t)
	if p.Type != problemTypes+"gone" {
		t.Errorf("%+v", p)
	}
	w.want(w.do("viewer", "GET", "/api/v1/pools?watch=1&from=-1", ""), 400)
}

// TestRightsAreJudgedWhileAStreamLasts: a grant that goes, a role that changes and a revoked token show at once.
func TestRightsAreJudgedWhileAStreamLasts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.stream(t, "viewer", "/api/v1/pools?watch=true")
	c := w.stream(t, "viewer", "/api/v1/changes?watch=true&kind=Pool")
	s.beat(1)
	c.beat(1)
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB), 201)
	if got := s.next().String(); got != "put b @2" {
		t.Error(got)
	}
	if l := c.next(); l.Type != "change" || l.Change.Revision != 2 || l.Change.Author != "owner" {
		t.Errorf("%+v", l)
	}
	w.want(w.do("admin", "PUT", "/api/v1/pools/b", strings.Replace(poolB, "role: web", "role: media", 1)), 200)
	if got := s.next().String(); got != "delete b @3" {
		t.Error(got)
	}
	w.want(w.do("admin", "DELETE", "/api/v1/grants/g-viewer", ""), 200) // 4
	w.want(w.do("owner", "PUT", "/api/v1/pools/c", strings.Replace(poolB, "name: b", "name: c", 1)), 201)
	s.beat(5) // and nothing of c
	w.want(w.do("admin", "DELETE", "/api/v1/tokens/t-viewer", ""), 200)
	for _, stream := range []*streamed{s, c} {
		if got := stream.next().String(); got != "error 401" {
			t.Error(got)
		}
		if stream.lines.Scan() {
			t.Errorf("goes on: %s", stream.lines.Text())
		}
	}
}

func TestStreamsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range maxSubjectStreams {
		if err := w.handler.openStream("viewer"); err != nil {
			t.Fatal(err)
		}
	}
	w.want(w.do("viewer", "GET", "/api/v1/pools?watch=true", ""), 429).problem(t)
	w.stream(t, "owner", "/api/v1/pools?watch=true").beat(1)
	w.handler.closeStream("viewer")
	w.stream(t, "viewer", "/api/v1/pools?watch=true").beat(1)
}

func TestWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.status.progress = []Progress{{Revision: 1}, {Revision: 1, Groups: []GroupProgress{{Name: "edge", Ready: 1, Of: 2, Laggards: []string{"lb2"}}}}, {Revision: 1, Done: true}, {Revision: 1}}
	s := w.stream(t, "viewer", "/api/v1/status?wait=1")
	for i, want := range w.status.progress[:3] {
		if l := s.next(); l.Type != "progress" || l.Progress.Done != want.Done || len(l.Progress.Groups) != len(want.Groups) {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	if s.lines.Scan() {
		t.Errorf("goes on after done: %s", s.lines.Text())
	}
	w.want(w.do("viewer", "GET", "/api/v1/status?wait=x", ""), 400)
	w.want(w.do("nobody", "GET", "/api/v1/status?wait=1", ""), 403)
}

// TestAStreamEndsWithTheStore: a client learns why.
func TestAStreamEndsWithTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.stream(t, "viewer", "/api/v1/pools?watch=true")
	s.beat(1)
	w.close()
	if got := s.next().String(); got != "error 503" {
		t.Error(got)
	}
	if _, err := w.store.Apply(t.Context(), store.Request{Author: "x"}); weir.KindOf(err) != weir.Unavailable {
		t.Error(err)
	}
	a := w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB), 503)
	if a.problem(t); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
