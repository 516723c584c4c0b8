package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// fakeLogs has what load balancers log, by their names; one that has nothing can't be asked.
type fakeLogs struct {
	mu    sync.Mutex
	parts map[string][]LogPart
	more  chan LogPart // of lb1, live
	asked []string
}

// Log implements LogSource.
func (f *fakeLogs) Log(ctx context.Context, lb string, ask LogAsk, take func(LogPart)) error {
	f.mu.Lock()
	parts, ok := f.parts[lb]
	more := f.more
	f.asked = append(f.asked, fmt.Sprintf("%s %+v", lb, ask))
	again := ask.Run != ""
	f.mu.Unlock()
	if !ok {
		return weir.Errorf(weir.Unavailable, "the agent of load balancer %s is not connected to the control plane", lb)
	}
	if !again {
		for _, p := range parts {
			take(p)
		}
	}
	take(LogPart{Live: true, Run: "r1", After: 7})
	for ask.Follow && lb == "lb1" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case p, open := <-more:
			if !open {
				return weir.Errorf(weir.Unavailable, "it broke off")
			}
			take(p)
		}
	}
	if ask.Follow {
		<-ctx.Done()
	}
	return nil
}

func logLines(lb string, at ...int) (p LogPart) {
	for _, i := range at {
		p.Lines = append(p.Lines, LogLine{Time: time.Unix(int64(i), 0).UTC(), LoadBalancer: lb, Path: fmt.Sprint("/", i), Pool: "web", Server: "a"})
	}
	return p
}

// logStream reads a stream until it ends, or as many lines as are wanted that are no heartbeat.
func (w *world) logStream(who, query string, n int, also ...func(i int)) []LogStreamLine {
	w.t.Helper()
	req := w.request(who, "GET", "/api/v1/sites/www/log?"+query, "")
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != 200 {
		w.t.Fatalf("status %d", resp.StatusCode)
	}
	var list []LogStreamLine
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 1<<20)
	for (n == 0 || len(list) < n) && in.Scan() {
		var l LogStreamLine
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			w.t.Fatal(err)
		}
		if l.Type != "heartbeat" {
			list = append(list, l)
			for _, f := range also {
				f(len(list))
			}
		}
	}
	return list
}

func logTexts(list []LogStreamLine) (texts []string) {
	for _, l := range list {
		switch {
		case l.Line != nil:
			texts = append(texts, l.Line.LoadBalancer+" "+l.Line.Path)
		case l.Type == "left out":
			texts = append(texts, fmt.Sprint("left out ", l.Count))
		case l.Type == "silent":
			texts = append(texts, "silent "+l.LoadBalancer)
		default:
			texts = append(texts, l.Type)
		}
	}
	return texts
}

const secondBalancers = `
kind: LoadBalancer
metadata: {name: lb2}
spec: {group: edge, zone: az1}
---
kind: LoadBalancer
metadata: {name: lb3}
spec: {group: edge, zone: az1}
---
kind: LoadBalancerGroup
metadata: {name: far}
spec: {ranges: [203.0.113.128/28]}
---
kind: LoadBalancer
metadata: {name: lb9}
spec: {group: far, zone: az1}
`

// TestSiteLog: the recent lines of all load balancers of the site's groups come in their order, then live ones; who can't
// be asked is named, what is too much is counted, and one that breaks off is asked again from where it was.
func TestSiteLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", secondBalancers), 200)
	left := logLines("lb2", 2, 4)
	left.Left = 3
	w.logs.parts = map[string][]LogPart{"lb1": {logLines("lb1", 1, 3), logLines("lb1", 5)}, "lb2": {left}, "lb9": {logLines("lb9", 6)}}
	w.logs.more = make(chan LogPart, 10)
	got := logTexts(w.logStream("viewer", "follow=false&lines=4", 0))
	if want := []string{"lb2 /2", "lb1 /3", "lb2 /4", "lb1 /5", "left out 3", "silent lb3", "live"}; !slices.Equal(got, want) {
		t.Errorf("recent: %q, want %q", got, want)
	}
	got = logTexts(w.logStream("viewer", "lines=1", 7, func(i int) {
		if i == 4 { // live
			w.logs.more <- logLines("lb1", 8)
			w.logs.mu.Lock()
			before := w.logs.more
			w.logs.more = make(chan LogPart, 10)
			w.logs.more <- logLines("lb1", 9)
			w.logs.mu.Unlock()
			close(before)
		}
	}))
	if want := []string{"lb1 /5", "left out 3", "silent lb3", "live", "lb1 /8", "silent lb1", "lb1 /9"}; !slices.Equal(got, want) {
		t.Errorf("followed: %q, want %q", got, want)
	}
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	if !slices.ContainsFunc(w.logs.asked, func(s string) bool { return strings.Contains(s, "Run:r1 After:7 Follow:true") }) {
		t.Errorf("asked %q", w.logs.asked)
	}
}

// TestSiteLogIsBounded: no more lines a second go to a client than the bound, and the rest is counted.
func TestSiteLogIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.logs.parts = map[string][]LogPart{"lb1": {}}
	w.logs.more = make(chan LogPart, 10)
	flood := logLines("lb1", make([]int, 3*logBurst)...)
	sum := 0
	for _, l := range w.logStream("viewer", "", logBurst+2, func(i int) {
		if i == 1 {
			w.logs.more <- flood
		}
	}) {
		sum += l.Count
	}
	if sum < logBurst || sum > 2*logBurst {
		t.Errorf("%d lines were left out of %d", sum, len(flood.Lines))
	}
}

// TestSiteLogSays what is asked, and what can't be.
func TestSiteLogSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.logs.parts = map[string][]LogPart{"lb1": {}}
	w.logStream("viewer", "follow=false&status=5xx&method=get&path=/a&client=203.0.113.7&zone=az1&pool=web&errors=true&since=10m&lines=7", 0)
	want := LogAsk{
		Site: "www", Pool: "web", Zone: "az1", Status: 5, Method: "GET", Path: "/a", Client: netip.MustParsePrefix("203.0.113.7/32"),
		Errors: true, Since: w.clock().Add(-10 * time.Minute), Recent: 7,
	}
	if got := w.logs.asked[0]; got != fmt.Sprintf("lb1 %+v", want) {
		t.Errorf("asked %s, want %+v", got, want)
	}
	for _, query := range []string{"status=6xx", "status=99", "status=x", "client=www", "errors=perhaps", "since=soon", "lines=1001", "lines=-1", "follow=1x", "unknown=1"} {
		w.want(w.do("viewer", "GET", "/api/v1/sites/www/log?"+query, ""), 400).problem(t)
	}
	w.want(w.do("viewer", "GET", "/api/v1/sites/nosuch/log", ""), 404)
	w.want(w.do("viewer", "GET", "/api/v1/sites/films/log", ""), 403)
}

// TestSiteLogIsQuiet: nothing that a client or a server sent comes as more than text.
func TestSiteLogIsQuiet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	part := logLines("lb1", 1)
	hostile := "\x1b]0;owned\x07\u009b31m\u202e\u2028é"
	l := &part.Lines[0]
	l.Host, l.Path, l.Method, l.Termination = hostile, hostile, hostile, hostile
	l.RequestHeaders = map[string]string{"user-agent": hostile}
	w.logs.parts = map[string][]LogPart{"lb1": {part}}
	got := w.logStream("viewer", "follow=false", 2)[0].Line
	const want = "\ufffd]0;owned\ufffd\ufffd31m\ufffd\ufffdé"
	for _, text := range []string{got.Host, got.Path, got.Method, got.Termination, got.RequestHeaders["user-agent"]} {
		if text != want {
			t.Errorf("%q, want %q", text, want)
		}
	}
}

// TestSiteLogOfOthersPools: of a pool that the caller may not see no server is named; and whoever may not read the site
// any more, or lost the credential, hears nothing more.
func TestSiteLogOfOthersPools(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	part := logLines("lb1", 1, 2)
	part.Lines[1].Pool, part.Lines[1].Server, part.Lines[1].At, part.Lines[1].Unmade = "media", "m", "192.0.2.1:443", "EREFUSED"
	w.logs.parts = map[string][]LogPart{"lb1": {part}}
	w.logs.more = make(chan LogPart, 10)
	servers := func(list []LogStreamLine) (got []string) {
		for _, l := range list {
			if l.Line != nil {
				got = append(got, strings.TrimSuffix(l.Line.Pool+"/"+l.Line.Server+" "+l.Line.At+" "+l.Line.Unmade, "  "))
			}
		}
		return got
	}
	if got := servers(w.logStream("viewer", "follow=false", 0)); !slices.Equal(got, []string{"web/a", "media/"}) {
		t.Errorf("viewer sees %v", got)
	}
	if got := servers(w.logStream("auditor", "follow=false", 0)); !slices.Equal(got, []string{"web/a", "media/m 192.0.2.1:443 EREFUSED"}) {
		t.Errorf("auditor sees %v", got)
	}
	list := w.logStream("viewer", "", 0, func(i int) {
		if i == 3 {
			if _, err := w.store.Apply(t.Context(), store.Request{Author: "admin", Writes: []weir.Write{{Delete: weir.Ref{Kind: "Grant", Name: "g-viewer"}}}}); err != nil {
				t.Error(err)
			}
			w.logs.more <- logLines("lb1", 3)
		}
	})
	last := list[len(list)-1]
	if last.Type != "error" || last.Problem == nil || last.Problem.Status != 403 || len(list) != 4 {
		t.Errorf("after the right was taken: %+v", logTexts(list))
	}
	weirtest.Eventually(t, weirtest.Patience, func() error {
		w.handler.mu.Lock()
		defer w.handler.mu.Unlock()
		if w.handler.streams != 0 {
			return fmt.Errorf("%d streams are open", w.handler.streams)
		}
		return nil
	})
}
