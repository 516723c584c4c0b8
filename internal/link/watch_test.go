package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
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

func many(n int) []ir.Resource {
	var list []ir.Resource
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
	c.replica.list[2].Body = []byte("1")
	id := c.replica.list[2].ID
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

func TestKeysComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.enrol("lb2")
	w.keys.setBroken("late", true)
	w.set("edge", 1, []ir.Resource{cert("www", 1), cert("late", 1)}, "lb1")
	w.set("other", 1, []ir.Resource{cert("theirs", 1)}, "lb2")
	a := w.agent(dir)
	a.at(1)
	if _, err := a.Key("late", weir.SealedRef{Generation: 1, Fingerprint: "f"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that can't be opened: %v", err)
	}
	w.keys.setBroken("late", false)
	want := func(files ...string) func() error {
		return func() error {
			entries, err := os.ReadDir(filepath.Join(dir, "keys"))
			if err != nil {
				return err
			}
			var have []string
			for _, e := range entries {
				name, _, _ := strings.Cut(e.Name(), ".")
				gen := strings.Split(e.Name(), ".")[1]
				have = append(have, name+"@"+gen)
				if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
					return fmt.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
				}
			}
			if !reflect.DeepEqual(have, files) {
				return fmt.Errorf("keys %v, not %v", have, files)
			}
			return nil
		}
	}
	weirtest.Eventually(t, patience, want("late@1", "www@1"))
	weirtest.Eventually(t, patience, func() error {
		if n := len(a.states()); n != 2 {
			return fmt.Errorf("%d states were delivered; a key that comes late is news", n)
		}
		return nil
	})
	w.set("edge", 2, []ir.Resource{cert("www", 2), cert("late", 1)}, "lb1")
	a.at(2)
	weirtest.Eventually(t, patience, want("late@1", "www@2")) // the old one is gone once it is let go of
	w.set("edge", 3, []ir.Resource{cert("www", 2)}, "lb1")
	weirtest.Eventually(t, patience, want("www@2"))

	// A key lost on disk comes again without a snapshot; a name that is not the group's brings nothing.
	a.stop()
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	token := http.Header{resumeHeader: {a.replica.resume().String()}, lacksHeader: {"www,theirs,../../etc/passwd"}}
	first, _, _ := w.raw(dir, token)
	if len(first) != 3 || first[0].Reset || len(first[1].Secrets) != 1 || first[1].Secrets[0].ID != "certificate/www" {
		t.Errorf("%+v", first)
	}
	w.agent(dir)
	weirtest.Eventually(t, patience, want("www@2"))
	for _, asked := range w.keys.asked {
		if strings.HasPrefix(asked, "theirs") {
			t.Errorf("another group's key was opened: %v", w.keys.asked)
		}
	}
	if journal, err := os.ReadFile(filepath.Join(dir, journalFile)); err != nil || strings.Contains(string(journal), "CANARY") {
		t.Errorf("the journal holds a key, %v", err)
	}
}

func TestCutOnDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.Heartbeat = time.Hour }) // so that no heartbeat finds out
	dir := w.enrol("lb1")
	w.enrol("lb2")
	w.set("edge", 1, many(2), "lb1", "lb2")
	_, _, rest := w.raw(dir, nil)
	w.reg.remove("lb1")
	w.set("edge", 2, many(2), "lb2")
	if line, err := readLine(rest); err == nil {
		t.Errorf("the stream goes on with %q", line)
	}
	if _, ok := w.hub.Wanted("lb1"); ok {
		t.Error("lb1 is still wanted")
	}
	r := w.refused(w.conn(dir), nil)
	if r.status != http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.detail)
	}
	w.set("edge", 3, many(2), "lb1", "lb2") // another of that name; the certificate is still the old one's
	if r := w.refused(w.conn(dir), nil); r.status != http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.detail)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.Heartbeat = time.Hour })
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	_, _, rest := w.raw(dir, nil)
	w.hub.Cut("lb1")
	if line, err := readLine(rest); err == nil {
		t.Errorf("the stream goes on with %q", line)
	}
	_, _, old := w.raw(dir, nil)
	w.raw(dir, nil) // the newest stream is the one that counts
	if line, err := readLine(old); err == nil {
		t.Errorf("the older stream goes on with %q", line)
	}
}

func TestRevokedWhileWatching(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	_, _, rest := w.raw(dir, nil)
	w.reg.remove("lb1") // nobody tells the hub; a heartbeat asks
	for {
		if _, err := readLine(rest); err != nil {
			break
		}
	}
}

func TestExpiredWhileWatching(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	_, _, rest := w.raw(dir, nil)
	w.pass(31 * 24 * time.Hour)
	for {
		if _, err := readLine(rest); err != nil {
			break
		}
	}
	if r := w.refused(w.conn(dir), nil); r.code != codeExpired {
		t.Errorf("%d %s", r.status, r.detail)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	w, theirs := newWorld(t), newWorld(t)
	w.set("edge", 1, many(1), "lb1")
	w.enrol("lb1")
	if r := w.refused(w.conn(""), nil); r.code != "no-certificate" {
		t.Errorf("without a certificate: %s", r.detail)
	}
	// A certificate of another control plane does not get through the handshake.
	foreign := theirs.enrol("lb1")
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+watchPath, nil)
	if resp, err := w.conn(foreign).RoundTrip(req); err == nil {
		t.Errorf("a stranger's certificate: %s", resp.Status)
	}
	// One that is ours, of a load balancer that no group has.
	if r := w.refused(w.conn(w.enrol("lb9")), nil); r.status != http.StatusForbidden {
		t.Errorf("a load balancer of no group: %d %s", r.status, r.detail)
	}
	// HTTP/1.1
	t1 := w.conn("")
	t1.ForceAttemptHTTP2, t1.HTTP2 = false, nil
	t1.TLSClientConfig.NextProtos = []string{"http/1.1"}
	if r := w.refused(t1, nil); r.status != http.StatusUpgradeRequired {
		t.Errorf("HTTP/1.1: %d %s", r.status, r.detail)
	}
	for i, bad := range []string{"x", "e1:5:", "e1:-1:" + Hash{}.String(), "e/1:5:" + Hash{}.String(), "e1:5:" + strings.Repeat("z", 64)} {
		dir := w.enrol("lb-" + fmt.Sprint(i))
		if r := w.refused(w.conn(dir), http.Header{resumeHeader: {bad}}); r.status != http.StatusBadRequest {
			t.Errorf("resume token %q: %d %s", bad, r.status, r.detail)
		}
	}
}

func TestAnswersByCertificateNotByRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.enrol("lb2")
	w.set("edge", 1, []ir.Resource{res("map/mine", 1)}, "lb1")
	w.set("secret", 1, []ir.Resource{res("map/theirs", 1)}, "lb2")
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+watchPath+"?name=lb2&lb=lb2&group=secret", nil)
	req.Header.Set("X-Forwarded-Client-Cert", "URI=weir://lb/lb2")
	resp, err := w.conn(dir).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewReader(resp.Body)
	for {
		line, err := readLine(in)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(line), "theirs") {
			t.Fatalf("got %s", line)
		}
		if m, _ := decodeMessage(line); m.Hash != nil {
			break
		}
	}
}

func TestMoveToAnotherGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("a", 1, []ir.Resource{res("map/a", 1)}, "lb1")
	w.set("b", 1, []ir.Resource{res("map/b", 1)})
	a := w.agent(dir)
	a.at(1)
	w.set("b", 2, []ir.Resource{res("map/b", 1)}, "lb1")
	w.set("a", 2, []ir.Resource{res("map/a", 1)})
	s := a.at(2)
	if got := content(s.Resources); got["map/b"] == "" || got["map/a"] != "" {
		t.Errorf("%v", got)
	}
}

func TestOneBadResourceHoldsNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, []ir.Resource{res("map/a", 1), res("map/b", 1)}, "lb1")
	a := w.agent(dir)
	a.at(1)
	selves := []ir.Self{{Name: "lb1", Zone: "az1", State: weir.Active}}
	err := w.hub.SetGroup("edge", 2, []ir.Resource{{ID: "map/a", Body: []byte("{")}, res("map/b", 2), {ID: "map/c \"", Body: []byte("1")}}, selves)
	var bad *weir.Error
	if !errors.As(err, &bad) || len(bad.Problems) != 2 || bad.Problems[0].Object != "Map/a" {
		t.Errorf("%v", err)
	}
	if got := content(a.at(2).Resources); got["map/a"] != "1" || got["map/b"] != "2" || len(got) != 3 {
		t.Errorf("%v", got)
	}
	// Blanks and line ends don't cut lines, nor does what is equal but for them make a change.
	w.set("edge", 3, []ir.Resource{{ID: "map/a", Body: []byte(" {\"x\":\n[1, 2]}\r\n")}}, "lb1")
	if got := content(a.at(3).Resources); got["map/a"] != `{"x":[1,2]}` {
		t.Errorf("%v", got)
	}
	h1, _ := w.hub.Wanted("lb1")
	w.set("edge", 4, []ir.Resource{{ID: "map/a", Body: []byte(" {\"x\":\n[1, 2]}\r\n")}}, "lb1")
	if h2, _ := w.hub.Wanted("lb1"); h1 != h2 {
		t.Errorf("%v, %v", h1, h2)
	}
}

func TestSlowReaderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.WriteTimeout, o.RingBytes = 300*time.Millisecond, 1<<20 })
	slow, quick := w.enrol("slow"), w.enrol("quick")
	w.set("edge", 1, nil, "slow", "quick")
	_, _, rest := w.raw(slow, nil) // and then reads nothing
	a := w.agent(quick)
	a.at(1)
	big := strings.Repeat("x", 1<<20)
	for rev := int64(2); rev < 40; rev++ {
		w.set("edge", rev, []ir.Resource{res("map/big", fmt.Sprint(rev, big))}, "slow", "quick")
		a.at(rev)
	}
	weirtest.Eventually(t, patience, func() error {
		if on := w.hub.Connected(); !reflect.DeepEqual(on, []string{"quick"}) {
			return fmt.Errorf("connected: %v", on)
		}
		return nil
	})
	for {
		if _, err := readLine(rest); err != nil {
			break
		}
	}
	back := w.agent(slow)
	back.at(39)
}

func TestCutDoesNotWaitForASlowReader(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 1<<20)
	for what, cut := range map[string]func(*world){
		"stop":   func(w *world) { w.hub.Close() },
		"cut":    func(w *world) { w.hub.Cut("slow") },
		"delete": func(w *world) { w.set("edge", 99, nil) },
		"drop":   func(w *world) { w.hub.DropGroup("edge") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *HubOptions) { o.WriteTimeout = time.Hour })
			dir := w.enrol("slow")
			w.set("edge", 1, nil, "slow")
			w.raw(dir, nil)
			for rev := int64(2); rev < 30; rev++ {
				w.set("edge", rev, []ir.Resource{res("map/big", fmt.Sprint(rev, big))}, "slow")
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cut(w)
			if err := w.srv.Shutdown(ctx); err != nil { // it waits for the streams
				t.Errorf("the slow agent's stream was not cut: %v", err)
			}
		})
	}
}

// TestIdleStreamOutlivesTheWriteTimeout has a slow stream, begun later, cut by it.
func TestIdleStreamOutlivesTheWriteTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.Heartbeat, o.WriteTimeout = time.Hour, 300*time.Millisecond })
	idle, slow := w.enrol("idle"), w.enrol("slow")
	w.set("quiet", 1, nil, "idle")
	w.set("loud", 1, nil, "slow")
	_, _, rest := w.raw(idle, nil)
	w.raw(slow, nil)
	big := strings.Repeat("x", 1<<20)
	for rev := int64(2); rev < 30; rev++ {
		w.set("loud", rev, []ir.Resource{res("map/big", fmt.Sprint(rev, big))}, "slow")
	}
	weirtest.Eventually(t, patience, func() error {
		if on := w.hub.Connected(); !reflect.DeepEqual(on, []string{"idle"}) {
			return fmt.Errorf("connected: %v", on)
		}
		return nil
	})
	w.set("quiet", 30, []ir.Resource{res("map/x", 1)}, "idle")
	if line, err := readLine(rest); err != nil || !strings.Contains(string(line), "map/x") {
		t.Errorf("%q, %v", line, err)
	}
}

// TestKeysInUseStay holds a state in the sink while its key is replaced.
func TestKeysInUseStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, []ir.Resource{cert("www", 1)}, "lb1")
	c, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got, release, done := make(chan State), make(chan struct{}), make(chan error)
	go func() {
		done <- c.Run(ctx, func(s State) { got <- s; <-release })
	}()
	reached := func(revision int64) {
		t.Helper()
		weirtest.Eventually(t, patience, func() error {
			if s, _ := c.State(); s.Revision < revision {
				return fmt.Errorf("revision %d", s.Revision)
			}
			return nil
		})
	}
	<-got
	w.set("edge", 2, []ir.Resource{cert("www", 2)}, "lb1")
	reached(2)
	for rev := int64(3); rev < 5; rev++ { // heartbeats come and go
		w.hub.Advance(rev)
		reached(rev)
	}
	old, now := weir.SealedRef{Generation: 1, Fingerprint: "f"}, weir.SealedRef{Generation: 2, Fingerprint: "f"}
	if _, err := c.Key("www", old); err != nil {
		t.Errorf("the key of the state in use is gone: %v", err)
	}
	release <- struct{}{}
	<-got
	release <- struct{}{}
	weirtest.Eventually(t, patience, func() error {
		if _, err := c.Key("www", old); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the old key is still there: %v", err)
		}
		return nil
	})
	if _, err := c.Key("www", now); err != nil {
		t.Error(err)
	}
	cancel()
	if err := errors.Join(<-done, c.Close()); err != nil {
		t.Error(err)
	}
}

// TestMalformedStreams feeds an agent what no control plane says; it ends the stream and keeps what it has.
func TestMalformedStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 5, many(2), "lb1")
	a := w.agent(dir)
	want := a.at(5)
	a.stop()
	c, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	commit := string(appendCommit(nil, 6, want.Hash))
	other := string(appendCommit(nil, 6, Hash{9}))
	put := string(appendPut(nil, []ir.Resource{res("map/x", 1)}))
	start := string(appendStart(nil, "e1", false))
	for what, text := range map[string]string{
		"nothing":                    "",
		"no epoch":                   commit,
		"half a line":                start + `{"put":[{"id":"map/x","bo`,
		"no end of the last line":    start + strings.TrimSpace(commit),
		"a change without an end":    start + put,
		"a hash of something else":   start + put + other,
		"a change that is not told":  start + put + commit,
		"an older revision":          start + string(appendCommit(nil, 4, want.Hash)),
		"everything anew, but older": string(appendStart(nil, "e1", true)) + string(appendCommit(nil, 4, Hash{})),
		"a certificate unreadable":   start + `{"put":[{"id":"certificate/x","body":[]}]}` + "\n" + other,
		"a key that is a path":       start + `{"secrets":[{"id":"certificate/../x","data":"eA=="}]}` + "\n",
		"an empty key":               start + `{"secrets":[{"id":"certificate/x","data":""}]}` + "\n",
		"a field unknown":            start + `{"please":1}` + "\n",
		"an endless line":            start + strings.Repeat(" ", maxLine+1),
		"HTML":                       "<html>\n",
	} {
		f := follower{client: c, in: bufio.NewReader(strings.NewReader(text)), alive: func() {}, begun: func() {}}
		if err := f.run(); err == nil {
			t.Errorf("%s: no error", what)
		}
		if s, _ := c.State(); s.Hash != want.Hash || s.Revision < 5 {
			t.Errorf("%s: the state went to revision %d, %s", what, s.Revision, s.Hash)
		}
	}
	j, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil || strings.Contains(string(j), "map/x") {
		t.Errorf("something of it got to the disk, %v", err)
	}
}
