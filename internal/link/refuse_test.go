package link

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
)

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
	w.set("edge", 1, []*ir.Resource{res("map/mine", 1)}, "lb1")
	w.set("secret", 1, []*ir.Resource{res("map/theirs", 1)}, "lb2")
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

func TestOneBadResourceHoldsNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, []*ir.Resource{res("map/a", 1), res("map/b", 1)}, "lb1")
	a := w.agent(dir)
	a.at(1)
	selves := []ir.Self{{Name: "lb1", Zone: "az1", State: weir.Active}}
	err := w.hub.SetGroup("edge", 2, []*ir.Resource{{ID: "map/a", Body: []byte("{")}, res("map/b", 2), {ID: "map/c \"", Body: []byte("1")}}, selves)
	var bad *weir.Error
	if !errors.As(err, &bad) || len(bad.Problems) != 2 || bad.Problems[0].Object != "Map/a" {
		t.Errorf("%v", err)
	}
	if got := content(a.at(2).Resources); got["map/a"] != "1" || got["map/b"] != "2" || len(got) != 3 {
		t.Errorf("%v", got)
	}
	// Blanks and line ends don't cut lines, nor does what is equal but for them make a change.
	w.set("edge", 3, []*ir.Resource{{ID: "map/a", Body: []byte(" {\"x\":\n[1, 2]}\r\n")}}, "lb1")
	if got := content(a.at(3).Resources); got["map/a"] != `{"x":[1,2]}` {
		t.Errorf("%v", got)
	}
	h1, _ := w.hub.Wanted("lb1")
	w.set("edge", 4, []*ir.Resource{{ID: "map/a", Body: []byte(" {\"x\":\n[1, 2]}\r\n")}}, "lb1")
	if h2, _ := w.hub.Wanted("lb1"); h1 != h2 {
		t.Errorf("%v, %v", h1, h2)
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
	put := string(appendPut(nil, []*ir.Resource{res("map/x", 1)}))
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
		"an endless line":            start + strings.Repeat(" ", maxLine+1),
		"HTML":                       "<html>\n",
	} {
		f := follower{client: c, ctx: t.Context(), in: bufio.NewReader(strings.NewReader(text)), alive: func() {}, heard: func() {}}
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
