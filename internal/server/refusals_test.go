package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/compile"
	"weir/internal/link"
	"weir/internal/store"
)

// refusalBed tells refusals what load balancers have counted.
type refusalBed struct {
	t       *testing.T
	fleet   *fleet
	view    *weir.Set
	now     time.Time
	reports map[string]link.Reported
}

func (b *refusalBed) tell(lb string, since time.Time, requests uint64, limited accesslog.Limited, diverted ...accesslog.Diverted) {
	b.t.Helper()
	counts, err := json.Marshal(accesslog.Counts{Since: since, Limited: []accesslog.Limited{limited}, Diverted: diverted})
	if err != nil {
		b.t.Fatal(err)
	}
	series := accesslog.Series{Key: accesslog.Key{Site: limited.Site, Pool: "web", Zone: "az1"}}
	series.Classes[2].Requests, series.Classes[4].Requests = requests-limited.Soft, limited.Soft
	b.reports[lb] = link.Reported{Name: lb, At: b.now, Report: link.Report{
		State: link.Converged, Revision: 10, Counts: counts,
		Traffic: &link.Table{Since: since, Columns: accesslog.Columns(), Rows: map[string]json.RawMessage{series.Name(): series.Row()}},
	}}
}

func (b *refusalBed) take() {
	b.fleet.refusals.take(b.reports, b.view, b.now)
	b.now = b.now.Add(refusalPace)
}

func (b *refusalBed) is(when string, want ...string) {
	b.t.Helper()
	node, _ := compile.Group(b.view, "edge")
	var got []string
	for _, o := range b.fleet.refusals.outages(&node, []string{"lb1", "lb2"}) {
		got = append(got, fmt.Sprintf("%s down=%v on %s: %s", o.Object, o.Down, strings.Join(o.LoadBalancers, ","), o.Message))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Errorf("%s:\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func newRefusalBed(t *testing.T) *refusalBed {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Check: weir.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &refusalBed{t: t, now: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), reports: map[string]link.Reported{}}
	b.fleet = newFleet(s, nil, Options{Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return b.now }})
	b.view = weir.NewSet(
		decoded(t, "kind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [10.0.0.0/28]}"),
		decoded(t, "kind: IPAddress\nmetadata: {name: vip}\nspec: {address: 10.0.0.1, groups: [edge]}"),
		decoded(t, "kind: Pool\nmetadata: {name: web}\nspec: {members: [{name: a, address: 10.1.0.9, port: 80}]}"),
		decoded(t, "kind: Site\nmetadata: {name: www}\nspec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], backends: {default: web, new: web}}"),
		b.split(5, 20),
	)
	return b
}

func (b *refusalBed) split(revision int64, errors int) *weir.Object {
	b.t.Helper()
	o := decoded(b.t, fmt.Sprintf("kind: Split\nmetadata: {name: canary}\nspec: {site: www, legs: [{backend: default, weight: 90}, {backend: new, weight: 10}], abort: {errors: %d}}", errors))
	o.Revision = revision
	return o
}

// TestRefusalsAreTold: a limit that refuses a good part of a site's requests, counted over the last minute, is told, and no
// longer once it is over.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	b := newRefusalBed(t)
	began := b.now
	limited := func(site, limit string, soft uint64) accesslog.Limited {
		return accesslog.Limited{Site: site, RateLimit: limit, Soft: soft, ShadowSoft: 1000 * soft}
	}
	b.tell("lb1", began, 90_000, limited("www", "edge", 80_000))
	b.tell("lb2", began, 500, limited("www", "edge", 0))
	b.take()
	b.is("what was counted long ago")
	b.tell("lb1", began, 90_060, limited("www", "edge", 80_030))
	b.tell("lb2", began, 530, limited("www", "edge", 0))
	b.take()
	b.is("a third", "Site/www down=false on lb1: RateLimit/edge refuses 33 % of Site/www's requests")
	b.tell("lb1", began, 92_000, limited("www", "edge", 80_040))
	b.take()
	b.is("two in a hundred")
	b.tell("lb1", began.Add(time.Second), 100, limited("www", "edge", 100))
	b.take()
	b.is("its counters began anew")
	b.tell("lb1", began.Add(time.Second), 104, limited("www", "edge", 104))
	b.take()
	b.is("four requests are no news")
	b.tell("lb1", began.Add(time.Second), 304, limited("www", "edge", 304))
	b.take()
	b.is("all of them", "Site/www down=false on lb1: RateLimit/edge refuses 87 % of Site/www's requests")
	for range refusalsBack + 1 {
		b.take()
	}
	b.is("a minute later")
	b.tell("lb1", began.Add(time.Second), 400, limited("films", "edge", 400))
	b.take()
	b.tell("lb1", began.Add(time.Second), 900, limited("films", "edge", 900))
	b.take()
	b.is("a site that the group does not have")
	b.tell("lb1", began.Add(time.Second), 1000, limited("www", "no name\x1b[31m", 900))
	b.take()
	b.tell("lb1", began.Add(time.Second), 2000, limited("www", "no name\x1b[31m", 1900))
	b.take()
	b.is("a limit that has no name")
}

// TestALegThatIsOutIsTold: of a Split as it is, at the object and among what does not serve, until it is changed.
func TestALegThatIsOutIsTold(t *testing.T) {
	t.Parallel()
	b := newRefusalBed(t)
	began := b.now
	leg := func(split, backend string, aborts, requests uint64) accesslog.Diverted {
		return accesslog.Diverted{Site: "www", Split: split, Backend: backend, Aborts: aborts, Diverts: requests}
	}
	told := func(legs ...accesslog.Diverted) {
		b.tell("lb1", began, 100, accesslog.Limited{Site: "www"}, legs...)
		b.take()
	}
	condition := func() *weir.Condition {
		o := b.view.Get(weir.Ref{Kind: "Split", Name: "canary"})
		for _, c := range b.fleet.Status(o).Conditions {
			if c.Type == weir.Divided {
				return &c
			}
		}
		return nil
	}
	told(leg("canary", "new", 3, 700))
	b.is("what was counted long ago")
	told(leg("canary", "new", 4, 700), leg("canary", "made-up", 1, 1), leg("other", "new", 1, 1))
	told(leg("canary", "new", 4, 790), leg("canary", "made-up", 9, 9), leg("other", "new", 9, 9))
	const text = "leg new was taken out, since too many of its answers were errors: its requests go to the first leg until the Split is changed"
	b.is("it was taken out", "Split/canary down=false on lb1: "+text)
	if c := condition(); c == nil || c.Status != "False" || c.Reason != "Aborted" || c.Message != "lb1: "+text || !c.Since.Equal(began.Add(refusalPace)) {
		t.Errorf("the Split says %+v", c)
	}
	for range 3 * refusalsBack {
		b.take()
	}
	if condition() == nil {
		t.Error("nobody has drawn it for a while, and the Split is silent")
	}
	b.view = b.view.Copy()
	b.view.Put(b.split(9, 30))
	told(leg("canary", "new", 4, 800))
	b.is("the Split was changed")
	if c := condition(); c != nil {
		t.Errorf("the changed Split says %+v", c)
	}
	told(leg("canary", "new", 5, 801))
	b.is("out again", "Split/canary down=false on lb1: "+text)
	// One of calls, which load balancers know by the pool.
	b.view = b.view.Copy()
	calls := decoded(t, "kind: Split\nmetadata: {name: calls}\nspec: {site: www, legs: [{backend: p/prod/www, weight: 9}, {backend: p/prod/new, weight: 1}], abort: {errors: 5}}")
	calls.Revision = 10
	b.view.Put(calls)
	b.view.Put(b.split(11, 40))
	told(leg("calls", "p.prod.new", 0, 0))
	told(leg("calls", "p.prod.new", 1, 9), leg("calls", "p.prod.gone", 1, 9))
	b.is("a service is out", "Split/calls down=false on lb1: "+strings.Replace(text, "leg new", "leg p/prod/new", 1))
}
