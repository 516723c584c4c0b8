package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// raw opens a stream by hand and reads it up to its first commit.
func (w *world) raw(dir string, header http.Header) (first []message, bytes int, rest *bufio.Reader) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+watchPath, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := w.conn(dir).RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("watch: %v", readRefusal(resp))
	}
	in := bufio.NewReader(resp.Body)
	for {
		line, err := readLine(in)
		if err != nil {
			w.t.Fatal(err)
		}
		m, err := decodeMessage(line)
		if err != nil {
			w.t.Fatal(err)
		}
		first, bytes = append(first, m), bytes+len(line)+1
		if m.Hash != nil {
			return first, bytes, in
		}
	}
}

// refused opens a stream that must be refused.
func (w *world) refused(t *http.Transport, header http.Header) *refusal {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+watchPath, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		w.t.Fatal("the stream was admitted")
	}
	return readRefusal(resp)
}

func many(n int) []*ir.Resource {
	var list []*ir.Resource
	for i := range n {
		list = append(list, res(fmt.Sprintf("server/web/web-%05d", i), ir.Server{Name: fmt.Sprintf("web-%05d", i), Weight: 100, Owner: "Pool/web"}))
	}
	return list
}

func TestSnapshotThenDeltas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	list := append(many(3000), res("group", ir.Group{Name: "edge"}), res("pool/web", "a<b>&\u2028 \n"))
	w.set("edge", 10, list, "lb1")
	a := w.agent(dir)
	s := a.at(10)
	if len(s.Resources) != 3003 || s.Epoch != "e1" {
		t.Fatalf("%d resources of epoch %s", len(s.Resources), s.Epoch)
	}
	before := content(s.Resources)

	list[7] = res(list[7].ID, "changed")
	list = append(list[:20], list[21:]...)
	w.set("edge", 11, append(list, res("map/x", "new")), "lb1")
	s = a.at(11)
	got := content(s.Resources)
	if got[list[7].ID] != `"changed"` || got["map/x"] != `"new"` || got["server/web/web-00020"] != "" || len(got) != 3003 {
		t.Errorf("after the delta: %d resources, %s", len(got), got[list[7].ID])
	}
	if want, _ := w.hub.Wanted("lb1"); want.Hash != s.Hash || want.Revision != 11 || want.Group != "edge" {
		t.Errorf("wanted %+v, have %s", want, s.Hash)
	}
	before2 := content(s.Resources)
	list = append(list, res("map/x", "new"))
	list[9] = res(list[9].ID, "changed too")
	w.set("edge", 12, list, "lb1") // bodies only
	if got := content(a.at(12).Resources); got[list[9].ID] != `"changed too"` {
		t.Errorf("%s", got[list[9].ID])
	}
	if !reflect.DeepEqual(before, content(a.states()[0].Resources)) || !reflect.DeepEqual(before2, content(s.Resources)) {
		t.Error("a state given out was changed afterwards")
	}
}

// TestDivergedAgentAsksForEverything harms what an agent has in memory, behind its back.
func TestDivergedAgentAsksForEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	list := many(5)
	w.set("edge", 1, list, "lb1")
	a := w.agent(dir)
	a.at(1)
	a.stop()
	c, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	id := c.replica.list[2].ID
	c.replica.list[2] = &ir.Resource{ID: id, Body: []byte("1")}
	a = run(t, c)
	a.at(1)
	for i := range list {
		list[i] = res(list[i].ID, "new")
	}
	w.set("edge", 2, list, "lb1")
	want, _ := w.hub.Wanted("lb1")
	if s := a.at(2); content(s.Resources)[id] != `"new"` || s.Hash != want.Hash {
		t.Errorf("%v", content(s.Resources))
	}
}

func TestResumeAfterServerRestartSendsNoSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	list := many(20000)
	w.set("edge", 10, list, "lb1")
	a := w.agent(dir)
	s := a.at(10)
	a.stop()
	token := http.Header{resumeHeader: {Resume{s.Epoch, s.Revision, s.Hash}.String()}}

	w.stop()
	w.start() // with an empty memory
	w.set("edge", 12, list, "lb1")
	first, bytes, _ := w.raw(dir, token)
	if bytes > 300 || len(first) != 2 || first[0].Reset {
		t.Errorf("%d bytes in %d lines came back though nothing had changed", bytes, len(first))
	}
	// One change more while away, but the ring has it.
	list[3] = res(list[3].ID, "x")
	w.set("edge", 13, list, "lb1")
	if _, bytes, _ := w.raw(dir, token); bytes > 500 {
		t.Errorf("%d bytes came back for one change", bytes)
	}
	// Its own state changed too.
	if err := w.hub.SetGroup("edge", 14, list, []ir.Self{{Name: "lb1", State: weir.Draining}}); err != nil {
		t.Fatal(err)
	}
	if first, bytes, _ := w.raw(dir, token); bytes > 700 || first[len(first)-1].Revision != 14 {
		t.Errorf("%d bytes came back for one change and a self", bytes)
	}
	// A content that nobody knows: everything.
	token.Set(resumeHeader, Resume{"e1", 9, Hash{1}}.String())
	if first, bytes, _ := w.raw(dir, token); bytes < 1e6 || !first[0].Reset {
		t.Errorf("%d bytes came back for a content unknown", bytes)
	}
	a = w.agent(dir)
	if got := a.at(14); len(got.Resources) != 20001 {
		t.Errorf("%d resources", len(got.Resources))
	}
}

func TestAgentNeverGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 20, many(2), "lb1")
	a := w.agent(dir)
	want := a.at(20)
	w.pass(time.Hour)
	lost := w.now()
	w.stop()
	w.start()
	w.set("edge", 15, many(1), "lb1") // a server that lags behind
	weirtest.Eventually(t, patience, func() error {
		var r *refusal
		if err := a.Connection().Err; !errors.As(err, &r) || r.code != codeBehind {
			return fmt.Errorf("connection: %v", err)
		}
		return nil
	})
	if c := a.Connection(); c.Up || c.Since.Before(lost) || c.URL != w.url {
		t.Errorf("%+v, lost after %s", c, lost)
	}
	if s, _ := a.State(); s.Hash != want.Hash || s.Revision != 20 {
		t.Errorf("the agent went to revision %d", s.Revision)
	}
	w.set("edge", 21, many(1), "lb1")
	a.at(21)
}

func TestAnotherEpochStartsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 20, many(2), "lb1")
	a := w.agent(dir)
	a.at(20)
	w.stop()
	w.opts.Epoch = "e2"
	w.start()
	w.set("edge", 3, many(2), "lb1") // restored from a backup, with the same content
	if s := a.at(3); s.Epoch != "e2" || len(s.Resources) != 3 {
		t.Errorf("%s %d", s.Epoch, len(s.Resources))
	}
	a.stop()
	w.stop()
	a = w.agent(dir)
	if s := a.at(3); s.Epoch != "e2" {
		t.Errorf("the disk has epoch %s", s.Epoch)
	}
}

func TestStaticStability(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 10, append(many(100), cert("www", 3)), "lb1")
	a := w.agent(dir)
	want := a.at(10)
	a.stop()
	w.stop()
	a = w.agent(dir) // nobody answers
	s := a.at(10)
	if !reflect.DeepEqual(content(s.Resources), content(want.Resources)) || s.Hash != want.Hash {
		t.Error("the disk holds another state")
	}
	key, err := a.Key("www", weir.SealedRef{Generation: 3, Fingerprint: "f"})
	if err != nil || key.Text() != "KEY-CANARY www 3\n" {
		t.Errorf("key %q, %v", key.Text(), err)
	}
	if _, err := Open(w.options(dir)); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("a second agent on the folder: %v", err)
	}
}

func TestMoveToAnotherGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("a", 1, []*ir.Resource{res("map/a", 1)}, "lb1")
	w.set("b", 1, []*ir.Resource{res("map/b", 1)})
	a := w.agent(dir)
	a.at(1)
	w.set("b", 2, []*ir.Resource{res("map/b", 1)}, "lb1")
	w.set("a", 2, []*ir.Resource{res("map/a", 1)})
	s := a.at(2)
	if got := content(s.Resources); got["map/b"] == "" || got["map/a"] != "" {
		t.Errorf("%v", got)
	}
}

// Who works at a state learns that there is a newer one, and gets it when it is done.
func TestAStateTellsThatThereIsANewerOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(5), "lb1")
	a := w.agent(dir)
	first := a.at(1)
	select {
	case <-first.Newer:
		t.Fatal("it is said to be old when it is the newest")
	default:
	}
	w.set("edge", 2, many(6), "lb1")
	second := a.at(2)
	<-first.Newer
	a.stop()

	c, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	got := make(chan int64, 2)
	go func() {
		ended <- c.Run(ctx, func(s State) {
			got <- s.Revision
			select {
			case <-s.Newer:
			case <-ctx.Done():
			}
		})
	}()
	if r := <-got; r != second.Revision {
		t.Errorf("revision %d is delivered from disk", r)
	}
	w.set("edge", 3, many(7), "lb1")
	if r := <-got; r != 3 {
		t.Errorf("revision %d is delivered to who has stopped for it", r)
	}
	cancel()
	if err := errors.Join(<-ended, c.Close()); err != nil {
		t.Error(err)
	}
}
