package link

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

func sample(servers int) Report {
	r := Report{
		Agent: "v1", HAProxy: "3.4.7", Epoch: "e1", Revision: 7, Seen: 8, State: Applying, Worker: 12,
		Resources: ResourceReport{Programmed: 9, Quarantined: 1, Deviations: map[string]Deviation{
			"map/x": {State: Quarantined, Reason: "refused", Message: "line 3: no"},
		}},
		Servers: map[string]map[string]ServerHealth{"web": {}, "api": {"a": {State: Down, Check: "L4CON"}}},
		Counts:  json.RawMessage(`{"requests":1}`), Plan: []string{"set weight"},
	}
	for i := range servers {
		r.Servers["web"][fmt.Sprint("s", i)] = ServerHealth{State: Up, Check: "L7OK/200 in 1ms"}
	}
	return r
}

func (w *world) reported(name string, good func(Reported) error) Reported {
	w.t.Helper()
	var r Reported
	weirtest.Eventually(w.t, patience, func() error {
		var ok bool
		if r, ok = w.hub.Reports().Get(name); !ok {
			return errors.New("no report")
		}
		return good(r)
	})
	return r
}

func TestReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	changed := w.hub.Reports().Changed()
	a := w.agent(dir)
	a.Report(sample(3000)) // before there is a connection
	<-changed
	r := w.reported("lb1", func(Reported) error { return nil })
	if r.Name != "lb1" || r.Revision != 7 || len(r.Servers["web"]) != 3000 || r.Servers["api"]["a"].Check != "L4CON" || r.Resources.Deviations["map/x"].Reason != "refused" || string(r.Counts) != `{"requests":1}` {
		t.Errorf("%+v", r.Report.Resources)
	}
	// What follows builds on it.
	next := sample(3000)
	next.Revision = 8
	next.Servers["api"] = map[string]ServerHealth{"a": {State: Up}}
	a.Report(next)
	at := func(rev int64) func(Reported) error {
		return func(r Reported) error {
			if r.Revision != rev {
				return fmt.Errorf("report of revision %d", r.Revision)
			}
			return nil
		}
	}
	if r := w.reported("lb1", at(8)); len(r.Servers["web"]) != 3000 || r.Servers["api"]["a"].State != Up {
		t.Errorf("%d servers, %v", len(r.Servers["web"]), r.Servers["api"])
	}
	if r.Servers["api"]["a"].State != Down {
		t.Error("a report given out was changed")
	}
	next = sample(3000)
	next.Revision = 9
	delete(next.Servers, "api")
	a.Report(next)
	if r := w.reported("lb1", at(9)); len(r.Servers) != 1 {
		t.Errorf("pools %d", len(r.Servers))
	}
	// A control plane that has forgotten hears all of it, without the agent's doing.
	w.stop()
	w.start()
	w.set("edge", 1, many(2), "lb1")
	if r := w.reported("lb1", at(9)); len(r.Servers["web"]) != 3000 {
		t.Errorf("%d servers", len(r.Servers["web"]))
	}
	if all := w.hub.Reports().All(); len(all) != 1 || all["lb1"].Revision != 9 {
		t.Errorf("%v", len(all))
	}
	w.set("edge", 2, many(2))
	if _, ok := w.hub.Reports().Get("lb1"); ok {
		t.Error("the report outlives its load balancer")
	}
}

func TestReportDeltasAreSmall(t *testing.T) {
	t.Parallel()
	r, now := newReporter(), time.Now()
	all := sample(3000)
	p, sent := r.build(&all, now)
	if p.Base != "" || len(p.Report.Servers) != 2 {
		t.Fatalf("%q %d", p.Base, len(p.Report.Servers))
	}
	r.base, r.sent = p.Seq, sent
	busy := sample(3000)
	busy.Servers["web"]["s1"] = ServerHealth{State: Up, Check: "L7OK/200 in 1ms", Connections: 5}
	if p, _ = r.build(&busy, now); p.Base != r.base || len(p.Report.Servers) != 0 {
		t.Errorf("connections alone sent %d pools", len(p.Report.Servers))
	}
	if p, _ = r.build(&busy, now.Add(calm)); len(p.Report.Servers) != 1 {
		t.Errorf("connections never sent")
	}
	busy.Servers["web"]["s2"] = ServerHealth{State: Down}
	if p, _ = r.build(&busy, now); len(p.Report.Servers) != 1 {
		t.Errorf("a server down sent %d pools", len(p.Report.Servers))
	}
	if len(all.Servers) != 2 {
		t.Error("the report given was changed")
	}
}

func TestReportBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, nil, "lb1")
	conn := w.conn(dir)
	try := func(body []byte, encoding string) error {
		h := http.Header{}
		if encoding != "" {
			h.Set("Content-Encoding", encoding)
		}
		return post(t.Context(), conn, w.url+statusPath, h, body, nil)
	}
	zip := func(n int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for range n >> 20 {
			_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
		}
		_ = z.Close()
		return b.Bytes()
	}
	for _, c := range []struct {
		what, encoding string
		body           []byte
		want           int
	}{
		{"a bomb", "gzip", zip(34 << 20), 413},
		{"no gzip", "gzip", []byte("{}"), 400},
		{"an encoding unknown", "br", []byte("{}"), 415},
		{"no JSON", "", []byte("{"), 400},
		{"no seq", "", []byte("{}"), 400},
		{"an unknown base", "", []byte(`{"seq":"2","base":"1"}`), 409},
	} {
		if err := try(c.body, c.encoding); !isStatus(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if err := try(bytes.Repeat([]byte(" "), maxReportBody+1), ""); err == nil {
		t.Error("an endless body was taken")
	}
	wild := Report{Message: strings.Repeat("é", 1<<16), Resources: ResourceReport{Deviations: map[string]Deviation{"bad id": {}}}, Servers: map[string]map[string]ServerHealth{}}
	for i := range maxDeviations + 10 {
		wild.Resources.Deviations[fmt.Sprintf("map/%d", i)] = Deviation{Message: "no"}
	}
	for range 1000 {
		wild.Plan = append(wild.Plan, strings.Repeat("x", 10000))
	}
	pool := map[string]ServerHealth{} // shared by three, so as to be quick
	for j := range maxServers / 2 {
		pool[fmt.Sprint("s", j)] = ServerHealth{State: Up}
	}
	for i := range 3 {
		wild.Servers[fmt.Sprint("p", i)] = pool
	}
	if got := countServers(wild.bound().Servers); got != maxServers {
		t.Errorf("%d servers", got)
	}
	wild.Servers = nil
	body, err := json.Marshal(statusPost{Seq: "1", Report: wild})
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	_, _ = zw.Write(body)
	_ = zw.Close()
	if err := try(z.Bytes(), "gzip"); err != nil {
		t.Fatal(err)
	}
	r, _ := w.hub.Reports().Get("lb1")
	if len(r.Message) > maxText+3 || len(r.Resources.Deviations) != maxDeviations || len(r.Plan) != maxOperations || len(r.Plan[0]) > maxText+3 {
		t.Errorf("%d %d %d", len(r.Message), len(r.Resources.Deviations), len(r.Plan))
	}
	if err := try([]byte(`{"seq":"3","base":"2"}`), ""); !isStatus(err, http.StatusConflict) {
		t.Errorf("a base that is not the last: %v", err)
	}
	// Whose report it is says the certificate.
	if err := try([]byte(`{"seq":"9","name":"lb2","report":{"revision":99,"agent":"lb2"}}`), ""); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.hub.Reports().Get("lb2"); ok {
		t.Error("a report of another")
	}
	w.set("edge", 2, nil)
	if err := try([]byte(`{"seq":"1"}`), ""); !isStatus(err, http.StatusForbidden) {
		t.Errorf("a load balancer that is gone reports: %v", err)
	}
	if err := post(t.Context(), w.conn(""), w.url+statusPath, nil, []byte(`{"seq":"1"}`), nil); !isStatus(err, http.StatusUnauthorized) {
		t.Errorf("nobody reports: %v", err)
	}
}

func TestDriftIsCutToSize(t *testing.T) {
	t.Parallel()
	long := &DriftReport{Mode: "report", Total: 10_000, Undone: 7}
	for range 10_000 {
		long.Now = append(long.Now, Drift{Text: strings.Repeat("x", 3*maxText)})
		long.Past = append(long.Past, Drift{Kind: "Weight"})
	}
	long.Past[len(long.Past)-1].Kind = "newest"
	cut := Report{Drift: long}.bound().Drift
	if len(cut.Now) != MaxDrift || cut.Total != 10_000 || cut.Undone != 7 || len(cut.Now[0].Text) > maxText+len("…") {
		t.Errorf("%d of %d, %d bytes", len(cut.Now), cut.Total, len(cut.Now[0].Text))
	}
	if len(cut.Past) != MaxPast || cut.Past[MaxPast-1].Kind != "newest" {
		t.Errorf("%d that are over, the last is %+v", len(cut.Past), cut.Past[MaxPast-1])
	}
	if len(long.Now) != 10_000 || len(long.Now[0].Text) != 3*maxText {
		t.Error("what was given is changed")
	}
	if (Report{}).bound().Drift != nil {
		t.Error("of nothing is told something")
	}
}

// Passes go over the wire when there is a new one, and stay known otherwise.
func TestPassesAreSentWhenThereIsANewOne(t *testing.T) {
	t.Parallel()
	r, all := newReporter(), newReports()
	now := time.Unix(1, 0)
	var passes []PassReport
	for i, wire := range []int{1, 0, 2, 0} {
		if wire > 0 {
			passes = append(passes, PassReport{Number: uint64(len(passes) + 1)})
		}
		report := Report{Passes: passes}
		p, sent := r.build(&report, now)
		if len(p.Report.Passes) != wire {
			t.Errorf("%d: %d are sent, want %d", i, len(p.Report.Passes), wire)
		}
		if !all.put("lb1", p, now) {
			t.Fatalf("%d: refused", i)
		}
		r.base, r.sent, r.passes = p.Seq, sent, report.Passes
		if got, _ := all.Get("lb1"); len(got.Passes) != len(passes) {
			t.Errorf("%d: %d are known, want %d", i, len(got.Passes), len(passes))
		}
	}
	reason := ReloadReason{Object: "Site/www", Text: strings.Repeat("x", 3*maxText)}
	many := Report{Passes: make([]PassReport, MaxPasses+5)}
	many.Passes[len(many.Passes)-1] = PassReport{Number: 9, Reload: slices.Repeat([]ReloadReason{reason}, maxReasons+1)}
	bound := many.bound().Passes
	last := bound[len(bound)-1]
	if len(bound) != MaxPasses || last.Number != 9 || len(last.Reload) != maxReasons || len(last.Reload[0].Text) > maxText+4 || len(reason.Text) != 3*maxText {
		t.Errorf("%d passes, the last with %d reasons", len(bound), len(last.Reload))
	}
}

// Figures go over the wire when they have changed, and stay known otherwise.
func TestFiguresAreSentWhenTheyChange(t *testing.T) {
	t.Parallel()
	r, all := newReporter(), newReports()
	now := time.Unix(1, 0)
	for i, step := range []struct{ figures, wire string }{{"[1]", "[1]"}, {"[1]", ""}, {"[2]", "[2]"}, {"[2]", ""}} {
		report := Report{Figures: json.RawMessage(step.figures)}
		p, sent := r.build(&report, now)
		if string(p.Report.Figures) != step.wire {
			t.Errorf("%d: %s is sent, want %s", i, p.Report.Figures, step.wire)
		}
		if !all.put("lb1", p, now) {
			t.Fatalf("%d: refused", i)
		}
		r.base, r.sent, r.figures = p.Seq, sent, report.Figures
		if got, _ := all.Get("lb1"); string(got.Figures) != step.figures {
			t.Errorf("%d: %s is known, want %s", i, got.Figures, step.figures)
		}
	}
}
