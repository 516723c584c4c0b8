package link

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/internal/ir"
)

var updateVersion = flag.Bool("update-version", false, "record what travels anew; only before version 1 is released")

// nextVersion is what a control plane and an agent of the next version may do beyond this one: further fields everywhere, and
// lines that mean nothing to this one.
func nextVersion(t testing.TB, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
				var unzip *gzip.Reader
				if unzip, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
					body, err = io.ReadAll(unzip)
				}
				r.Header.Del("Content-Encoding")
			}
			if err != nil {
				t.Errorf("%s: %v", r.URL, err)
			}
			body = furtherField(bytes.ReplaceAll(body, []byte(`"report":{`), []byte(`"report":{"next":{"a":[1]},`)))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		h.ServeHTTP(&nextWriter{ResponseWriter: w, stream: r.Method == http.MethodGet}, r)
	})
}

func furtherField(object []byte) []byte {
	if !bytes.HasPrefix(object, []byte("{")) {
		return object
	}
	return append([]byte(`{"next":{"a":[1]},`), object[1:]...)
}

type nextWriter struct {
	http.ResponseWriter
	stream bool
	half   []byte
}

func (w *nextWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *nextWriter) Write(b []byte) (int, error) {
	if !w.stream {
		_, err := w.ResponseWriter.Write(furtherField(b))
		return len(b), err
	}
	w.half = append(w.half, b...)
	for {
		line, rest, whole := bytes.Cut(w.half, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		if _, err := w.ResponseWriter.Write([]byte(string(furtherField(line)) + "\n{\"later\":{\"b\":2}}\n")); err != nil {
			return 0, err
		}
		w.half = bytes.Clone(rest)
	}
}

// TestPeerOfTheNextVersion: an agent follows a control plane of the next version, keeps resources of kinds that it does not know,
// and is heard; and a control plane hears an agent of the next version.
func TestPeerOfTheNextVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stop()
	w.wrap = func(h http.Handler) http.Handler { return nextVersion(t, h) }
	w.start()
	future := res("future/x", map[string]any{"a": 1})
	w.set("edge", 1, []*ir.Resource{cert("www", 1), future, res("map/x", map[string]any{"next": 1})}, "lb1")
	dir := w.enrol("lb1")
	a := w.agent(dir)
	first := a.at(1)
	if got := content(first.Resources)["future/x"]; got != string(future.Body) {
		t.Errorf("of the resource of a kind unknown came %q", got)
	}
	a.Report(Report{State: Converged, Message: "all of it", Epoch: first.Epoch, Revision: 1, Hash: first.Hash})
	reported(t, w.hub, "lb1", "all of it")
	// It is on disk, and a change builds on it.
	a.stop()
	a = w.agent(dir)
	if again := a.at(1); again.Hash != first.Hash || len(again.Resources) != len(first.Resources) {
		t.Errorf("after a restart: %+v", again)
	}
	w.set("edge", 2, []*ir.Resource{cert("www", 2), future, res("later/y", 1)}, "lb1")
	if got := content(a.at(2).Resources); got["later/y"] != "1" || got["map/x"] != "" {
		t.Errorf("after a change: %v", got)
	}
}

// recorded is what version 1 has on the wire and in an agent's journal.
func recorded(t *testing.T, name string, now []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "v1", name)
	if *updateVersion {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	then, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(then, now) {
		t.Errorf("what is written is not what version 1 reads; a new field is left out at its zero value (docs/decisions/0019-versions-apart.md):\n%s\nversion 1:\n%s", now, then)
	}
	return then
}

// TestVersion1: what this version writes is what version 1 wrote, and what version 1 wrote can be read.
func TestVersion1(t *testing.T) {
	if *updateVersion {
		t.Log("recorded anew")
	}
	list := []*ir.Resource{res("certificate/www", map[string]any{"name": "www"}), res("map/x", map[string]any{"name": "x"}), res("self", ir.Self{Name: "lb1", Zone: "az1"})}
	var want Hash
	for _, r := range list {
		want = want.xor(hashResource(r.ID, r.JSON()))
	}
	stream := appendCommit(appendPut(appendStart(nil, "e1", true), list), 7, want)
	less := want.xor(hashResource("map/x", list[1].Body))
	stream = appendCommit(appendDelete(stream, []string{"map/x"}), 8, less)

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalFile), recorded(t, "stream.ndjson", stream), 0o600); err != nil {
		t.Fatal(err)
	}
	j, r, found, err := openJournal(dir, nil)
	if err != nil || found != "" {
		t.Fatalf("%v %s", err, found)
	}
	defer func() { _ = j.close() }()
	if r.epoch != "e1" || r.revision != 8 || r.hash != less || len(r.list) != 2 {
		t.Errorf("read: %+v", r)
	}
	if resume := r.resume().String(); resume != string(bytes.TrimSpace(recorded(t, "resume", []byte(resume+"\n")))) {
		t.Errorf("resumes as %s", resume)
	}

	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	post := statusPost{Base: "1", Seq: "2", Gone: []string{"old"}, Report: Report{
		Agent: "1.0.0", HAProxy: "3.4.7", Epoch: "e1", Revision: 8, Hash: less, Seen: 9, State: Converged, Message: "m", Worker: 11, Started: at,
		Resources: ResourceReport{Programmed: 1, Pending: 2, Quarantined: 3, Deviations: map[string]Deviation{"map/x": {State: Quarantined, Reason: Refused, Message: "no", Since: at}}},
		Servers:   map[string]map[string]ServerHealth{"web": {"s1": {State: Up, Since: at, Check: "L7OK", Connections: 4}}},
		Reloads:   ReloadReport{Count: 1, Last: at, Reasons: []string{"r"}}, Counts: json.RawMessage(`{"a":1}`), Plan: []string{"p"}, Spare: []string{"s"},
		Believes: []string{"b"}, Issuer: "i",
	}}
	raw, err := json.MarshalIndent(post, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	var back statusPost
	if err := json.Unmarshal(recorded(t, "report.json", append(raw, '\n')), &back); err != nil {
		t.Fatal(err)
	}
	back.Report.Counts = json.RawMessage(strings.Join(strings.Fields(string(back.Report.Counts)), "")) // as indented
	if !reflect.DeepEqual(back, post) {
		t.Errorf("read: %s", fmt.Sprintf("%+v", back))
	}
}
