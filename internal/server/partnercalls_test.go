package server

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/link"
	"weir/internal/store"
)

// TestAPartnerThatFailsIsTold: of what was called within a minute, by load balancers that have the service, whatever those
// counted before; and until it is well again.
func TestAPartnerThatFailsIsTold(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Check: weir.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	began := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	now := began
	f := newFleet(s, nil, Options{Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }})
	partner := decoded(t, "kind: Partner\nmetadata: {name: example}\nspec: {endpoints: [{environment: prod, service: www, host: www.example.com, addresses: [192.0.2.1]}]}")
	other := decoded(t, "kind: Partner\nmetadata: {name: exam}\nspec: {endpoints: [{environment: prod, service: www, host: www.example.com, addresses: [192.0.2.1]}]}")
	reports := map[string]link.Reported{}
	tell := func(lb string, since time.Time, service string, calls, partner, weirs uint64) {
		call := accesslog.Call{CallKey: accesslog.CallKey{Site: "out", Client: "myback", Service: service, SLA: "high"}}
		call.Classes[2].Requests, call.Classes[5].Requests = calls-partner-weirs, partner+weirs
		call.Faults = accesslog.Faults{Client: 7, Weir: weirs, Partner: partner}
		table := &link.Table{Since: since, Columns: accesslog.CallColumns(), Rows: map[string]json.RawMessage{}}
		if was := reports[lb].Calls; was != nil && was.Since.Equal(since) {
			for name, row := range was.Rows {
				table.Rows[name] = row
			}
		}
		table.Rows[call.Name()] = call.Row()
		reports[lb] = link.Reported{Name: lb, Report: link.Report{Calls: table}}
	}
	believed := func(lb string) func(weir.Ref) bool {
		return func(ref weir.Ref) bool { return lb != "stranger" && strings.HasPrefix(ref.String(), "Pool/example.") }
	}
	is := func(when string, o *weir.Object, want string) {
		t.Helper()
		f.partnerCalls.take(reports, believed, now)
		now = now.Add(refusalPace)
		got := ""
		for _, c := range f.Status(o).Conditions {
			if c.Type == weir.Answering {
				got = c.Status + " " + c.Reason + " since " + c.Since.Format("15:04:05") + ": " + c.Message
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	// What a load balancer can call is told of while all is well, too.
	well := func(when, want string) {
		t.Helper()
		v := view{moment: f.moment(), object: partner, ref: partner.Ref(), needed: true}
		if c, ok := v.answering(); !ok || c.Type != weir.Answering || c.Status+" "+c.Reason+": "+c.Message != want {
			t.Errorf("%s: %t %+v, want %q", when, ok, c, want)
		}
	}
	const there = "it can't be reached or verified, is too slow, breaks off or answers 5xx"
	tell("lb1", began, "example.prod.www", 900, 800, 0)
	is("what was counted long ago", partner, "")
	well("nobody called since", "Unknown NoCalls: no call was seen in the last minute")
	tell("lb1", began, "example.prod.www", 1000, 804, 0)
	tell("stranger", began, "example.prod.www", 1000, 1000, 0)
	is("four in a hundred", partner, "")
	well("four in a hundred", "True Answers: few calls of the last minute failed")
	tell("lb1", began, "example.prod.www", 1100, 824, 0)
	tell("stranger", began, "example.prod.www", 2000, 2000, 0)
	is("twenty more", partner, "False Fails since 03:00:20: prod/www: of 200 calls of the last minute 24 failed there: "+there)
	is("of another partner", other, "")
	if _, err := s.Apply(t.Context(), store.Request{Author: "ann", Writes: []weir.Write{{Put: partner}, {Put: other}}}); err != nil {
		t.Fatal(err)
	}
	if got := f.moment().failingPartners(); len(got) != 1 || got[0].Object != "Partner/example" || !strings.HasPrefix(got[0].Message, "prod/www: of 200 calls of the last minute 24 failed there") {
		t.Errorf("the state of the fleet names of partners %+v", got)
	}
	tell("lb1", began, "example.prod.ftp", 9, 0, 9)
	is("and of another service", partner, "False Fails since 03:00:20: prod/ftp: of 9 calls of the last minute 9 failed on Weir's side: "+
		"no address is known, a certificate is missing, or a limit of the load balancer was reached; prod/www: of 200 calls of the last minute 24 failed there: "+there)
	for range refusalsBack + 1 {
		f.partnerCalls.take(reports, believed, now)
	}
	is("a minute later", partner, "")
	well("a minute later", "Unknown NoCalls: no call was seen in the last minute")
	tell("lb1", began, "example.prod.www", 1101, 824, 0)
	is("one more", partner, "")
	well("one more", "True Answers: no call of the last minute failed")
	tell("lb1", began.Add(time.Hour), "example.prod.www", 2000, 2000, 0)
	is("its counters began anew", partner, "")
	delete(reports, "lb1")
	is("it is gone", partner, "")
	f.partnerCalls.began = began
	tell("lb2", began.Add(time.Second), "example.prod.www", 3, 3, 0)
	rep := reports["lb2"]
	rep.At, rep.Now = now, now
	reports["lb2"] = rep
	is("all that another one has counted since", partner, "False Fails since "+now.Format("15:04:05")+": prod/www: of 3 calls of the last minute 3 failed there: "+there)
}

// TestAWayOutHasNoServersToTellOf: whether partners answer is said of those, and a site that is none goes by its servers.
func TestAWayOutHasNoServersToTellOf(t *testing.T) {
	t.Parallel()
	_, f := newTestFleet(t)
	for spec, want := range map[string]bool{"egress: {environments: [prod]}": false, "backends: {default: web}": true} {
		site := decoded(t, "kind: Site\nmetadata: {name: out, role: web}\nspec: {hostnames: [out.example.com], addresses: [vip], listeners: [{port: 80}], "+spec+"}")
		got := slices.ContainsFunc(f.Status(site).Conditions, func(c weir.Condition) bool { return c.Type == weir.Serving })
		if got != want {
			t.Errorf("%s: Serving is told of: %t, want %t", spec, got, want)
		}
	}
}
