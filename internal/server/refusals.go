package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/series"
)

// refusals follow what load balancers refuse for rate limits, and keep from legs of splits that they have taken out.
type refusals struct {
	mu sync.Mutex
	// samples are by load balancer, the oldest first.
	samples map[string][]refusalSample
	out     map[outLeg]*legOut
}

// refusalSample is what a load balancer had counted at a moment.
type refusalSample struct {
	at, since time.Time
	// revision is what it had of the objects.
	revision int64
	// over are the requests that it refused, by site and rate limit; requests are all of the sites in over.
	over     map[[2]string]uint64
	requests map[string]uint64
	// diverted counts what became of legs, splits has the revisions of their Splits.
	diverted map[outLeg]uint64
	splits   map[string]int64
}

// outLeg is a leg of a Split; legOut is since when it is out, and where, of one form of the Split.
type outLeg struct{ site, split, backend string }

type legOut struct {
	revision int64
	since    time.Time
	on       map[string]bool
}

// How often refusals are looked at, and how far back they go. What is less than a part of a site's requests is what a
// limit is for, and nothing to tell of.
const (
	refusalPace  = 10 * time.Second
	refusalsBack = 6 // samples
	toldShare    = 0.05
	toldAtLeast  = 10
)

// follow looks at reports until ctx ends.
func (r *refusals) follow(ctx context.Context, f *fleet) {
	tick := time.NewTicker(refusalPace)
	defer tick.Stop()
	for {
		r.take(f.hub.Reports().All(), f.store.View(), f.clock())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// take takes a sample of what each load balancer has counted.
func (r *refusals) take(reports map[string]link.Reported, view *weir.Set, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.samples == nil {
		r.samples, r.out = map[string][]refusalSample{}, map[outLeg]*legOut{}
	}
	maps.DeleteFunc(r.samples, func(lb string, _ []refusalSample) bool { _, there := reports[lb]; return !there })
	splits := map[string]int64{}
	for o := range view.All("Split") {
		splits[o.Metadata.Name] = o.Revision
	}
	maps.DeleteFunc(r.out, func(leg outLeg, o *legOut) bool { return splits[leg.split] != o.revision })
	for lb, rep := range reports {
		next, ok := sampleOf(rep, now)
		if !ok {
			continue
		}
		next.splits = splits
		maps.DeleteFunc(next.diverted, func(leg outLeg, _ uint64) bool { return !leg.of(view) })
		list := r.samples[lb]
		if n := len(list); n > 0 && !list[n-1].since.Equal(next.since) {
			list = nil // its counters began anew
		} else if n > 0 {
			r.divert(lb, list[n-1], next)
		}
		list = append(list, next)
		r.samples[lb] = slices.Clone(list[max(0, len(list)-refusalsBack-1):])
	}
}

// of says whether there is such a leg: what load balancers tell of others is not believed.
func (l outLeg) of(view *weir.Set) bool {
	s := weir.Find[weir.Split](view, "Split", l.split)
	return s != nil && s.Site == l.site && slices.ContainsFunc(s.Legs, func(leg weir.SplitLeg) bool { return ir.CalledPool(leg.Backend) == l.backend })
}

// divert notes the legs from which a load balancer kept something between two samples, as far as both are of the form that
// their Splits have.
func (r *refusals) divert(lb string, was, is refusalSample) {
	for leg, n := range is.diverted {
		revision := is.splits[leg.split]
		if n == was.diverted[leg] || revision == 0 || was.splits[leg.split] != revision || was.revision < revision {
			continue
		}
		o := r.out[leg]
		if o == nil {
			o = &legOut{revision: revision, since: is.at, on: map[string]bool{}}
			r.out[leg] = o
		}
		o.on[lb] = true
	}
}

// sampleOf reads what a report has counted; sites of which nothing was refused are left out.
func sampleOf(rep link.Reported, now time.Time) (s refusalSample, ok bool) {
	var c accesslog.Counts
	if len(rep.Counts) == 0 || json.Unmarshal(rep.Counts, &c) != nil {
		return s, false
	}
	s = refusalSample{at: now, since: c.Since, revision: rep.Revision, over: map[[2]string]uint64{}, requests: map[string]uint64{}, diverted: map[outLeg]uint64{}}
	for _, l := range c.Limited {
		if weir.CheckName(l.RateLimit) != nil {
			continue // the rest, for which there was no room
		}
		s.over[[2]string{l.Site, l.RateLimit}] += l.Soft + l.Hard
		s.requests[l.Site] = 0
	}
	for _, d := range c.Diverted {
		s.diverted[outLeg{d.Site, d.Split, d.Backend}] = d.Aborts + d.Diverts
	}
	if len(s.over) == 0 {
		return s, true
	}
	table := trafficOf(rep)
	if table == nil {
		return s, true
	}
	columns := newRowColumns(table.Columns)
	for name, row := range table.Rows {
		site := accesslog.KeyOf(name).Site
		if _, counts := s.requests[site]; !counts {
			continue
		}
		for _, v := range columns.values(row) {
			if v.Column >= series.RequestsNone && v.Column < series.RequestsNone+6 {
				s.requests[site] += v.N
			}
		}
	}
	return s, true
}

// outages tells of the sites of a group of which load balancers refuse a good part for a rate limit, and of the legs that
// they have taken out.
func (r *refusals) outages(node *ir.Node, lbs []string) (all []api.Outage) {
	type sum struct {
		over uint64
		on   []string
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sums, requests := map[[2]string]*sum{}, map[string]uint64{}
	for _, lb := range lbs {
		list := r.samples[lb]
		if len(list) < 2 {
			continue
		}
		is := list[len(list)-1]
		sites := map[string]refusalSample{} // the oldest that counts a site
		for _, was := range list[:len(list)-1] {
			for site := range was.requests {
				if _, known := sites[site]; !known {
					sites[site] = was
				}
			}
		}
		for site, was := range sites {
			requests[site] += is.requests[site] - min(is.requests[site], was.requests[site])
		}
		for key, n := range is.over {
			was, known := sites[key[0]]
			if grown := n - min(n, was.over[key]); known && grown > 0 {
				if sums[key] == nil {
					sums[key] = &sum{}
				}
				sums[key].over, sums[key].on = sums[key].over+grown, append(sums[key].on, lb)
			}
		}
	}
	for key, s := range sums {
		share := float64(s.over) / float64(max(requests[key[0]], s.over))
		if s.over >= toldAtLeast && share >= toldShare && siteOf(node, key[0]) != nil {
			all = append(all, api.Outage{
				Object: "Site/" + key[0], Reason: api.NotServingLimited, LoadBalancers: s.on,
				Message: fmt.Sprintf("RateLimit/%s refuses %.0f %% of Site/%s's requests", key[1], share*100, key[0]),
			})
		}
	}
	for leg, o := range r.out {
		if on := o.of(lbs); len(on) > 0 && siteOf(node, leg.site) != nil {
			all = append(all, api.Outage{Object: "Split/" + leg.split, Reason: api.NotServingAborted, LoadBalancers: on, Message: leg.text()})
		}
	}
	slices.SortFunc(all, func(a, b api.Outage) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Message, b.Message))
	})
	return all
}

// of gives those of some load balancers on which the leg is out.
func (o *legOut) of(lbs []string) (on []string) {
	for _, lb := range lbs {
		if o.on[lb] {
			on = append(on, lb)
		}
	}
	return on
}

func (l outLeg) text() string {
	return fmt.Sprintf("leg %s was taken out, since too many of its answers were errors: its requests go to the first leg until the Split is changed", ir.CalledAs(l.backend))
}

// divided says of a Split that legs were taken out; ok is false where none was.
func (v *view) divided() (c weir.Condition, ok bool) {
	if v.ref.Kind != "Split" {
		return c, false
	}
	r := &v.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	var texts []string
	for leg, o := range r.out {
		if leg.split == v.ref.Name && o.revision == v.object.Revision {
			texts = append(texts, strings.Join(sortedNames(o.on), ", ")+": "+leg.text())
			if c.Since.IsZero() || o.since.Before(c.Since) {
				c.Since = o.since
			}
		}
	}
	slices.Sort(texts)
	c.Type, c.Status, c.Reason, c.Message = weir.Divided, "False", "Aborted", strings.Join(texts, "; ")
	return c, len(texts) > 0
}
