package wave

import (
	"fmt"
	"maps"
	"slices"
)

// Signs are what a load balancer shows at one moment.
type Signs struct {
	// Silent says for how long nothing was heard of it, in words, when that is too long.
	Silent string
	// Failing is why its agent can't bring HAProxy to what is wanted; empty while it can.
	Failing string
	// Worker is HAProxy's process, 0 when that is not known now; Reloads counts those that its agent made.
	Worker, Reloads int
	// Refused holds what HAProxy refuses, by resource, in its own words.
	Refused map[string]string
	// Dead holds what is to be served and has no server that answers, by object as "Site/www", and why.
	Dead map[string]string
	// Down counts the servers whose checks fail, by pool.
	Down map[string]Part
}

// Part is some of many.
type Part struct{ N, Of int }

func (p Part) most() bool { return 2*p.N > p.Of }

// Trouble says what speaks against what a load balancer was brought: before are its signs when it was reached, others
// those of load balancers that have not been. What others show too is not the fault of the change.
func Trouble(name string, before, now Signs, others []Signs) string {
	switch {
	case now.Silent != "":
		return fmt.Sprintf("%s has not been heard for %s", name, now.Silent)
	case now.Failing != "" && before.Failing == "":
		return fmt.Sprintf("%s: %s", name, now.Failing)
	case before.Worker != 0 && now.Worker != 0 && now.Worker != before.Worker && now.Reloads <= before.Reloads:
		return fmt.Sprintf("HAProxy of %s ended, or somebody started it anew", name)
	}
	for _, id := range slices.Sorted(maps.Keys(now.Refused)) {
		if _, known := before.Refused[id]; !known {
			return fmt.Sprintf("%s refuses %s: %s", name, id, now.Refused[id])
		}
	}
	for _, object := range slices.Sorted(maps.Keys(now.Dead)) {
		if _, known := before.Dead[object]; !known && !slices.ContainsFunc(others, func(o Signs) bool { _, dead := o.Dead[object]; return dead }) {
			return fmt.Sprintf("%s does not serve %s: %s", name, object, now.Dead[object])
		}
	}
	for _, pool := range slices.Sorted(maps.Keys(now.Down)) {
		down := now.Down[pool]
		was, known := before.Down[pool]
		if known && down.most() && !was.most() && !slices.ContainsFunc(others, func(o Signs) bool { return o.Down[pool].most() }) {
			return fmt.Sprintf("%s sees %d of %d servers of pool %s down, %d of %d before", name, down.N, down.Of, pool, was.N, was.Of)
		}
	}
	return ""
}

// Requests counts those of a site, and how many of them were answered with 5xx.
type Requests struct{ All, Failed uint64 }

// Add adds others to a count.
func (r *Requests) Add(o Requests) { r.All, r.Failed = r.All+o.All, r.Failed+o.Failed }

// Since gives what was counted after an earlier count; one that is higher than now was of an agent that began anew.
func (r Requests) Since(earlier Requests) Requests {
	if earlier.All > r.All || earlier.Failed > r.Failed {
		return r
	}
	return Requests{r.All - earlier.All, r.Failed - earlier.Failed}
}

func (r Requests) share() float64 { return float64(r.Failed) / float64(r.All) }

// The least that requests must say: with fewer of them, or fewer errors beyond what was usual, it could be chance.
const (
	leastRequests = 10
	leastErrors   = 4
)

// Rise says which site's share of errors has risen by more than limit, in percentage points, on the load balancers
// reached; the one that rose most. It is held against the others in the same time; when those have too little
// traffic, against the same load balancers earlier; and a site without either against none.
func Rise(limit int, reached, others, earlier map[string]Requests) string {
	worst, text := 0.0, ""
	for _, site := range slices.Sorted(maps.Keys(reached)) {
		r := reached[site]
		if r.All < leastRequests {
			continue
		}
		usual, where := 0.0, ""
		if o := others[site]; o.All >= leastRequests {
			usual, where = o.share(), fmt.Sprintf(", and to %.3g%% of %d elsewhere", 100*o.share(), o.All)
		} else if e := earlier[site]; e.All >= leastRequests {
			usual, where = e.share(), fmt.Sprintf(", and to %.3g%% of %d before", 100*e.share(), e.All)
		}
		rise := r.share() - usual
		if float64(r.Failed)-usual*float64(r.All) < leastErrors || 100*rise <= float64(limit) || rise <= worst {
			continue
		}
		worst = rise
		text = fmt.Sprintf("Site/%s answers 5xx to %.3g%% of %d requests where it is%s", site, 100*r.share(), r.All, where)
	}
	return text
}
