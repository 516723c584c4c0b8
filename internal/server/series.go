package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/api"
	"weir/internal/link"
	"weir/internal/series"
	"weir/internal/tally"
)

// The pace at which figures over time are taken from reports: each second, but so often at least that what stands still is
// known to, and at most that of agents which tell all in one text.
const (
	seriesPace = time.Second
	logPace    = 5 * time.Second
)

// annals keep figures over time, of what all agents report. Each server of a store has its own: reports are told to all of
// them, so that they are alike from the moment on when a server began.
type annals struct {
	reports func() map[string]link.Reported
	// believed gives what says whether a load balancer has an object, so that it can say something of it.
	believed func(lb string) func(weir.Ref) bool
	clock    func() time.Time

	began time.Time
	// prometheus is asked for what is older than an hour; nil for none.
	prometheus *prometheusSource

	mu    sync.Mutex
	store *series.Store
	heard map[string]*heard
	// measured is the step in which measures were taken last.
	measured time.Time
}

// heard is what was taken from a load balancer's reports last.
type heard struct {
	traffic   *link.Table
	loggedAt  time.Time
	machine   *link.MachineReport
	machineAt time.Time
	reloads   uint64
	reloadsAt time.Time
	figures   json.RawMessage
	tally     tallied
	talliedAt time.Time
}

func newAnnals(reports func() map[string]link.Reported, believed func(lb string) func(weir.Ref) bool, clock func() time.Time) *annals {
	return &annals{reports: reports, believed: believed, clock: clock, began: clock(), store: series.New(accesslog.Bounds(), clock()), heard: map[string]*heard{}}
}

// run follows the reports until ctx ends.
func (a *annals) run(ctx context.Context) {
	tick := time.NewTicker(seriesPace)
	defer tick.Stop()
	for {
		a.take(a.reports(), a.clock())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// take takes what is new in reports.
func (a *annals) take(reports map[string]link.Reported, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.store.Advance(now)
	for name := range a.heard {
		if _, ok := reports[name]; !ok {
			delete(a.heard, name)
		}
	}
	for name, rep := range reports {
		h := a.heard[name]
		if h == nil {
			h = &heard{}
			a.heard[name] = h
		}
		a.takeLog(name, h, rep)
		a.takeTally(name, h, rep)
		a.takeMachine(name, h, rep)
		a.takeReloads(name, h, rep)
	}
	if step := now.Truncate(series.Step); !step.Equal(a.measured) {
		a.measured = step
		a.measure(now)
	}
}

// sameText says whether two texts are one in memory.
func sameText(a, b json.RawMessage) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// first says from when on counters count of a load balancer that is heard for the first time: from when they were zero, by
// this machine's clock. It is the zero time when that was before this server began, or is not known: what they had counted
// then is nobody's.
func (a *annals) first(rep link.Reported, zero time.Time) time.Time {
	if rep.Now.IsZero() || zero.IsZero() {
		return time.Time{}
	}
	if at := rep.At.Add(zero.Sub(rep.Now)); at.After(a.began) {
		return at
	}
	return time.Time{}
}

// takeLog takes what the access log counted: of the rows that have moved what they have grown by.
func (a *annals) takeLog(lb string, h *heard, rep link.Reported) {
	if rep.Traffic == nil && rep.At.Sub(h.loggedAt) < logPace {
		return
	}
	if rep.Traffic != nil && rep.Traffic == h.traffic && rep.At.Sub(h.loggedAt) < logPace {
		return
	}
	before, since := h.traffic, h.loggedAt
	now := trafficOf(rep)
	if now == nil {
		return
	}
	h.traffic, h.loggedAt = now, rep.At
	if before == nil {
		before = &link.Table{Since: now.Since}
		if since = a.first(rep, now.Since); since.IsZero() {
			return
		}
	}
	has, was, is := a.believed(lb), newRowColumns(before.Columns), newRowColumns(now.Columns)
	for name, row := range now.Rows {
		key := accesslog.KeyOf(name)
		site, pool := weir.Ref{Kind: "Site", Name: key.Site}, weir.Ref{Kind: "Pool", Name: key.Pool}
		mySite, myPool := key.Site != "" && has(site), key.Pool != "" && has(pool)
		if mySite {
			a.store.Know(site.String(), since, rep.At)
		}
		earlier := before.Rows[name]
		if sameText(row, earlier) && before.Since.Equal(now.Since) {
			continue
		}
		grown := is.values(row)
		if before.Since.Equal(now.Since) {
			grown = grown.Since(was.values(earlier))
		}
		if len(grown) == 0 {
			continue
		}
		if mySite {
			a.store.Add(site.String(), since, rep.At, grown)
		}
		if myPool {
			a.store.Add(pool.String(), since, rep.At, only(grown, ofPools))
		}
		front := only(grown, ofFronts)
		a.store.Add("LoadBalancer/"+lb, since, rep.At, front)
		a.store.Add("Fleet", since, rep.At, front)
	}
}

// takeMachine takes how the machine is off. What it counts begins anew with the machine.
func (a *annals) takeMachine(lb string, h *heard, rep link.Reported) {
	if rep.Machine == nil || h.machine != nil && *rep.Machine == *h.machine {
		return
	}
	before, since := h.machine, h.machineAt
	h.machine, h.machineAt = rep.Machine, rep.At
	if before == nil {
		return
	}
	grown := machineGrown(rep.Machine, before)
	for _, name := range []string{"LoadBalancer/" + lb, "Fleet"} {
		a.store.Know(name, since, rep.At)
		a.store.Add(name, since, rep.At, grown)
	}
}

// takeReloads takes how often HAProxy was reloaded since the agent began.
func (a *annals) takeReloads(lb string, h *heard, rep link.Reported) {
	before, since := h.reloads, h.reloadsAt
	h.reloads, h.reloadsAt = uint64(max(rep.Reloads.Count, 0)), rep.At
	if since.IsZero() || h.reloads == before {
		return
	}
	grown := series.Values{{Column: series.Reloads, N: h.reloads}}.Since(series.Values{{Column: series.Reloads, N: before}})
	a.store.Add("LoadBalancer/"+lb, since, rep.At, grown)
	a.store.Add("Fleet", since, rep.At, grown)
}

// takeTally takes what HAProxy itself counted.
func (a *annals) takeTally(lb string, h *heard, rep link.Reported) {
	if len(rep.Figures) == 0 || sameText(h.figures, rep.Figures) && rep.At.Sub(h.talliedAt) < logPace {
		return
	}
	before, since := h.tally, h.talliedAt
	if !sameText(h.figures, rep.Figures) {
		var f tally.Figures
		if json.Unmarshal(rep.Figures, &f) != nil {
			return
		}
		h.tally, h.figures = tallyOf(lb, f), rep.Figures
	}
	h.talliedAt = rep.At
	if since.IsZero() {
		before.since = h.tally.since
		if since = a.first(rep, before.since); since.IsZero() {
			return
		}
	}
	has := a.believed(lb)
	for name, now := range h.tally.counts {
		if !tells(has, name) {
			continue
		}
		grown := now
		if before.since.Equal(h.tally.since) {
			grown = now.Since(before.counts[name])
		}
		a.store.Know(name, since, rep.At)
		a.store.Add(name, since, rep.At, grown)
		if name == "LoadBalancer/"+lb {
			a.store.Know("Fleet", since, rep.At)
			a.store.Add("Fleet", since, rep.At, grown)
		}
	}
}

// tells says whether a load balancer that has what has says may tell of an object: of itself always, of a server by its pool.
func tells(has func(weir.Ref) bool, object string) bool {
	kind, name, _ := cutObject(object)
	return kind == "LoadBalancer" || has(weir.Ref{Kind: kind, Name: name})
}

// measure notes what is open at all load balancers together.
func (a *annals) measure(now time.Time) {
	sums := map[string]*series.Dense{}
	add := func(name string, list series.Values) {
		if len(list) == 0 {
			return
		}
		if sums[name] == nil {
			sums[name] = &series.Dense{}
		}
		sums[name].Add(list)
	}
	for lb, h := range a.heard {
		has := a.believed(lb)
		for name, list := range h.tally.open {
			if tells(has, name) {
				add(name, list)
			}
			if name == "LoadBalancer/"+lb {
				add("Fleet", list)
			}
		}
		if h.machine != nil && now.Sub(h.machineAt) < heardWithin {
			a.store.Measure("LoadBalancer/"+lb, now, machineMeasures(h.machine))
			add("Fleet", machineMeasures(h.machine))
		}
	}
	for name, sum := range sums {
		a.store.Measure(name, now, sum.Values())
	}
}

// Traffic tells of objects what they did in the last minute and hour, of those of which anything is known.
func (a *annals) Traffic(objects ...string) map[string]api.Traffic {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, out := a.clock(), make(map[string]api.Traffic, len(objects))
	for _, name := range objects {
		if sum, ok := a.store.Summary(name, now); ok {
			out[name] = api.Traffic{
				Requests: api.Point(sum.Requests), ErrorRatio: api.Point(sum.ErrorRatio), P95MS: api.Point(sum.P95),
				Spark: api.PointsOf(sum.Spark), ErrorSpark: api.PointsOf(sum.ErrorSpark),
			}
		}
	}
	return out
}

// Minute is Traffic without sparks, for thousands of objects at once, as to order them.
func (a *annals) Minute(objects ...string) map[string]api.Traffic {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, out := a.clock(), make(map[string]api.Traffic, len(objects))
	for _, name := range objects {
		if sum, ok := a.store.Minute(name, now); ok {
			out[name] = api.Traffic{Requests: api.Point(sum.Requests), ErrorRatio: api.Point(sum.ErrorRatio), P95MS: api.Point(sum.P95)}
		}
	}
	return out
}

// Figures gives the figures of each kind.
func (a *annals) Figures() map[string][]api.SeriesFigure {
	out := map[string][]api.SeriesFigure{}
	for _, kind := range series.Kinds() {
		for _, f := range series.FiguresOf(kind) {
			out[kind] = append(out[kind], api.SeriesFigure{Name: f.Name, Unit: f.Unit, Doc: f.Doc})
		}
	}
	return out
}

// KindOf gives the kind of an object by its name.
func (a *annals) KindOf(object string) string { return series.KindOf(object) }

// Series gives figures from memory, or from a Prometheus when there is one and they go back further.
func (a *annals) Series(ctx context.Context, q api.SeriesQuery) (api.Series, error) {
	if oldest := a.clock().Add(-series.Kept - q.Step); a.prometheus != nil && (q.From.Before(oldest) || q.From.Before(a.began.Add(-time.Minute))) {
		return a.prometheus.series(ctx, q)
	}
	out := api.Series{Step: int64(q.Step / time.Second), From: q.From.Unix(), Of: []api.SeriesOf{}, Source: "memory"}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock()
	for _, object := range q.Objects {
		of := api.SeriesOf{Object: object, Figures: map[string][]api.Point{}}
		list := figuresNamed(object, q.Figures)
		for i, values := range a.store.Query(object, list, series.Range{From: q.From, Step: q.Step, Points: q.Points}, now) {
			of.Figures[list[i].Name] = api.PointsOf(values)
		}
		out.Of = append(out.Of, of)
	}
	return out, nil
}

// figuresNamed gives those figures that an object has.
func figuresNamed(object string, names []string) (list []series.Figure) {
	for _, name := range names {
		if f, ok := series.Named(series.KindOf(object), name); ok {
			list = append(list, f)
		}
	}
	return list
}
