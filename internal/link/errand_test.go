package link

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// doer is an agent that does errands of kind "count": it says that many lines, then waits if it is to.
func (w *world) doer(dir string, edit ...func(*Options)) *agent {
	w.t.Helper()
	o := w.options(dir)
	o.Errands = map[string]Errander{
		"count": func(ctx context.Context, body json.RawMessage, say func(any) error) error {
			var ask struct {
				Lines int
				Wait  bool
				Fail  string
			}
			if err := json.Unmarshal(body, &ask); err != nil {
				return err
			}
			for i := range ask.Lines {
				if err := say(i); err != nil {
					return err
				}
			}
			if ask.Wait {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			if ask.Fail != "" {
				return fmt.Errorf("%w: %s", ErrBusy, ask.Fail)
			}
			return nil
		},
		"broken": func(context.Context, json.RawMessage, func(any) error) error { return errors.New("the disk is full") },
	}
	for _, f := range edit {
		f(&o)
	}
	c, err := Open(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return run(w.t, c)
}

func count(body string) Errand {
	return Errand{Kind: "count", Body: json.RawMessage(body), Within: patience}
}

// asked gives what an errand was answered.
func (w *world) asked(lb string, e Errand) (lines []string, err error) {
	w.t.Helper()
	err = w.hub.Ask(w.t.Context(), lb, e, func(line json.RawMessage) error {
		lines = append(lines, string(line))
		return nil
	})
	return lines, err
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || weir.KindOf(err) != weir.Unavailable || !strings.Contains(err.Error(), word) {
			t.Errorf("%v, want %q", err, word)
		}
	}
}

// TestErrands: an agent that is asked answers line by line; what it can't do, does not know or fails at is said by its
// name, and an agent of an older version is not asked at all.
func TestErrands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("edge", 1, []*ir.Resource{res("map/x", 1)}, "lb1", "lb2", "lb3")
	a := w.doer(w.enrol("lb1"))
	old := w.agent(w.enrol("lb2"))
	a.at(1)
	old.at(1)
	lines, err := w.asked("lb1", count(`{"Lines":1000}`))
	if err != nil || len(lines) != 1000 || lines[999] != "999" {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	_, err = w.asked("lb1", count(`{"Lines":1,"Fail":"two run already"}`))
	says(t, err, "lb1", "two run already")
	_, err = w.asked("lb1", Errand{Kind: "broken", Within: patience})
	says(t, err, "lb1", "could not do it", "the disk is full")
	_, err = w.asked("lb1", Errand{Kind: "later", Within: patience})
	says(t, err, "lb1", `does no "later"`, "upgrade")
	_, err = w.asked("lb2", count(`{}`))
	says(t, err, "lb2", "older version")
	_, err = w.asked("lb3", count(`{}`))
	says(t, err, "lb3", "not connected")
	_, err = w.asked("nobody", count(`{}`))
	says(t, err, "nobody", "not connected")
	stop := errors.New("enough")
	n := 0
	err = w.hub.Ask(t.Context(), "lb1", count(`{"Lines":100000}`), func(json.RawMessage) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 3 {
		t.Errorf("after an error of who takes: %v, %d lines", err, n)
	}
}

// TestErrandsEnd: an errand ends at its agent when nobody waits for it any more, when its time is over and when the
// agent's stream ends, and nothing of it is left at the control plane.
func TestErrandsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("edge", 1, []*ir.Resource{res("map/x", 1)}, "lb1")
	began, ended := make(chan bool, 10), make(chan error, 10)
	a := w.doer(w.enrol("lb1"), func(o *Options) {
		do := o.Errands["count"]
		o.Errands["count"] = func(ctx context.Context, body json.RawMessage, say func(any) error) error {
			began <- true
			err := do(ctx, body, say)
			ended <- err
			return err
		}
	})
	a.at(1)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	ask := func(ctx context.Context, within time.Duration) {
		e := count(`{"Wait":true}`)
		e.Within = within
		go func() { result <- w.hub.Ask(ctx, "lb1", e, func(json.RawMessage) error { return nil }) }()
		<-began
	}
	ask(ctx, patience)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("asker gone: %v", err)
	}
	<-ended
	ask(t.Context(), 200*time.Millisecond)
	says(t, <-result, "lb1", "in time")
	<-ended
	ask(t.Context(), patience)
	w.hub.Cut("lb1")
	says(t, <-result, "lb1", "no longer connected")
	<-ended
	w.hub.mu.Lock()
	left := len(w.hub.errands)
	w.hub.mu.Unlock()
	if left != 0 {
		t.Errorf("%d errands are left", left)
	}
}

// TestErrandsAreOfOneAgent: nobody but the agent that was asked is told of an errand or may answer it, once; and a load
// balancer is asked no more than so much at once.
func TestErrandsAreOfOneAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("edge", 1, []*ir.Resource{res("map/x", 1)}, "lb1", "lb2")
	began := make(chan bool, 100)
	a := w.doer(w.enrol("lb1"), func(o *Options) {
		do := o.Errands["count"]
		o.Errands["count"] = func(ctx context.Context, body json.RawMessage, say func(any) error) error {
			began <- true
			return do(ctx, body, say)
		}
	})
	a.at(1)
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, maxErrands)
	for range maxErrands {
		go func() {
			results <- w.hub.Ask(ctx, "lb1", count(`{"Wait":true}`), func(json.RawMessage) error { return nil })
		}()
	}
	for range maxErrands {
		<-began
	}
	_, err := w.asked("lb1", count(`{}`))
	says(t, err, "lb1", "already")
	w.hub.mu.Lock()
	var id string
	for name := range w.hub.errands {
		id = name
	}
	w.hub.mu.Unlock()
	other := w.enrol("lb2")
	for _, try := range []struct {
		dir, method, id string
		want            int
	}{{"", "GET", id, 401}, {"", "POST", id, 401}, {other, "GET", id, 404}, {other, "POST", id, 404}, {other, "GET", strings.Repeat("A", 26), 404}} {
		req, err := http.NewRequestWithContext(t.Context(), try.method, w.url+errandsPath+try.id, strings.NewReader("{\"line\":1}\n{\"end\":{}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.conn(try.dir).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != try.want {
			t.Errorf("%s %s as %q: %d, want %d", try.method, try.id, try.dir, resp.StatusCode, try.want)
		}
	}
	cancel()
	for range maxErrands {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("an errand that a stranger tried to answer: %v", err)
		}
	}
	// Another control plane alone may pass one on.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+askPath, strings.NewReader(`{"loadBalancer":"lb1","kind":"count","withinMs":1000}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.conn(other).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("an agent passes on: %d", resp.StatusCode)
	}
}

// TestErrandsDelayNothing: while agents answer more than anybody reads, changes and reports go their ways.
func TestErrandsDelayNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("edge", 1, []*ir.Resource{res("map/x", 1)}, "lb1")
	a := w.doer(w.enrol("lb1"))
	first := a.at(1)
	release, full := make(chan struct{}), make(chan bool, 1)
	result := make(chan error, 1)
	go func() {
		result <- w.hub.Ask(t.Context(), "lb1", count(`{"Lines":3000000}`), func(json.RawMessage) error {
			select {
			case full <- true:
			default:
			}
			<-release
			return errors.New("enough")
		})
	}()
	<-full
	w.set("edge", 2, []*ir.Resource{res("map/x", 2)}, "lb1")
	a.at(2)
	a.Report(Report{State: Converged, Message: "heard all the same", Epoch: first.Epoch, Revision: 2})
	reported(t, w.hub, "lb1", "heard all the same")
	close(release)
	<-result
}

// TestErrandsAcrossControlPlanes: an agent is asked through another control plane of the store than the one that it is
// connected to; what it says, and what is wrong, comes as if it were here.
func TestErrandsAcrossControlPlanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("edge", 1, []*ir.Resource{res("map/x", 1)}, "lb1", "lb2")
	w.doer(w.enrol("lb1")).at(1)
	show := func() (secrets.ClientConfig, error) {
		pair, err := w.ca.IssueControlPlane("s2")
		return secrets.ClientConfig{Trust: w.ca.Trust(), Certificate: func() *tls.Certificate { return &pair }, Now: w.now}, err
	}
	second, err := NewHub(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	ask := func(lb string, e Errand) (lines []string, err error) {
		err = second.Ask(t.Context(), lb, e, func(line json.RawMessage) error { lines = append(lines, string(line)); return nil })
		return lines, err
	}
	_, err = ask("lb1", count(`{"Lines":3}`))
	says(t, err, "not connected")
	forget := second.know(w.url, show)
	silent := second.know("https://"+weirtest.Addr(t)+":1", show) // one that is gone
	lines, err := ask("lb1", count(`{"Lines":3}`))
	if err != nil || !slices.Equal(lines, []string{"0", "1", "2"}) {
		t.Errorf("%v, %v", lines, err)
	}
	_, err = ask("lb1", count(`{"Fail":"two run already"}`))
	says(t, err, "load balancer lb1: busy: two run already")
	_, err = ask("lb1", Errand{Kind: "later", Within: patience})
	says(t, err, `does no "later"`)
	_, err = ask("lb2", count(`{}`))
	says(t, err, "lb2", "not connected")
	// Who asked goes: the agent hears of it through both.
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan bool)
	result := make(chan error, 1)
	go func() {
		result <- second.Ask(ctx, "lb1", count(`{"Lines":1,"Wait":true}`), func(json.RawMessage) error { close(first); return nil })
	}()
	<-first
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	weirtest.Eventually(t, patience, func() error {
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		if n := len(w.hub.errands); n > 0 {
			return fmt.Errorf("%d errands are left", n)
		}
		return nil
	})
	forget()
	silent()
	_, err = ask("lb1", count(`{"Lines":3}`))
	says(t, err, "not connected")
}
