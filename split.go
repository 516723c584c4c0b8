package weir

import (
	"slices"
	"strings"
	"time"
)

// Split divides what an http Site sends to one of its backends among several of them, as for a canary or to compare two
// versions. HAProxy divides at each request and takes steps by its own clock: shares change while it runs. The first Split
// of a group is a reload, and the last, but for those of egress Sites. Log lines have the backend that served as the route.
// At an egress Site calls to one service are divided among several, by the rules, the level and the figures of that which was
// called.
type Split struct {
	// Site is the name of the Site.
	Site string `json:"site"`
	// Backend is the one whose requests are divided, after the site's routes have chosen it; "default" when left out. It has
	// one Split at most. At an egress Site it is a service, partner/environment/service, and the first leg's when left out.
	Backend string `json:"backend,omitempty"`
	// Legs are two to four backends of the site, of which the first is the one that is divided. At an egress Site they are
	// services in one environment; no rule needs to name any but the first.
	Legs []SplitLeg `json:"legs"`
	// Sticky is none, cookie or source: a client comes to the same leg again by a cookie of its own (WEIRSPLIT, a number), or
	// by its address, and stays there while the leg's share grows. Raising a share moves nobody but from the first leg, with
	// up to three legs. none when left out.
	Sticky string `json:"sticky,omitempty"`
	// Steps change the weights at certain times, the earliest first; at most eight.
	Steps []SplitStep `json:"steps,omitempty"`
	// Schedule names a window of time outside of which nothing is divided.
	Schedule string `json:"schedule,omitempty"`
	// Abort takes legs out that fail. The first of a group is a reload, the last, and the first for each window.
	Abort *SplitAbort `json:"abort,omitempty"`
}

// SplitLeg is a backend with its share.
type SplitLeg struct {
	// Backend is the name of one of the site's backends, or of a service as partner/environment/service.
	Backend string `json:"backend"`
	// Weight is the share among the weights of all legs, 0 to 1000; shares are rounded to a thousandth.
	Weight int `json:"weight"`
}

// SplitStep is what changes at a moment.
type SplitStep struct {
	// At is when, in whole seconds.
	At time.Time `json:"at"`
	// Weights are those of legs from then on, by backend; legs that are left out keep theirs.
	Weights map[string]int `json:"weights"`
}

// How clients of a Split come to the same leg again.
const (
	StickyNone   = "none"
	StickyCookie = "cookie"
	StickySource = "source"
)

// The bounds of a Split.
const (
	MaxSplitLegs  = 4
	MaxSplitSteps = 8
	// SplitShares is what the shares of a Split add up to.
	SplitShares = 1000
)

// Normalize fills the defaults.
func (s *Split) Normalize() {
	if len(s.Legs) > 0 && strings.Contains(s.Legs[0].Backend, "/") {
		setDefault(&s.Backend, s.Legs[0].Backend)
	}
	setDefault(&s.Backend, "default")
	setDefault(&s.Sticky, StickyNone)
	s.Abort.normalize()
	for i := range s.Steps {
		s.Steps[i].At = wholeSecond(s.Steps[i].At)
	}
}

// Validate checks everything that a split says by itself.
func (s *Split) Validate(p *Problems) {
	required(p, "site", s.Site)
	checkDivided(p, "backend", s.Backend)
	if len(s.Legs) < 2 || len(s.Legs) > MaxSplitLegs {
		p.Add("legs", "holds %d; two to %d are needed", len(s.Legs), MaxSplitLegs)
	} else if s.Legs[0].Backend != s.Backend {
		p.Add("legs[0].backend", "must be %q, the backend that is divided: it takes what is left of the others", clip(s.Backend))
	}
	weights := map[string]int{}
	for i, l := range s.Legs {
		path := index("legs", i)
		checkDivided(p, path+".backend", l.Backend)
		between(p, path+".weight", l.Weight, 0, SplitShares)
		if _, twice := weights[l.Backend]; twice {
			p.Add(path+".backend", "%q is a leg already", clip(l.Backend))
		}
		weights[l.Backend] = l.Weight
	}
	someWeight(p, "legs", weights)
	oneOf(p, "sticky", s.Sticky, StickyNone, StickyCookie, StickySource)
	if len(s.Steps) > MaxSplitSteps {
		p.Add("steps", "holds %d; at most %d are allowed", len(s.Steps), MaxSplitSteps)
	}
	for i, step := range s.Steps {
		path := index("steps", i)
		if step.At.IsZero() {
			p.Add(path+".at", "is required, such as 2030-01-31T02:00:00Z")
		}
		instant(p, path+".at", step.At)
		if i > 0 && !s.Steps[i-1].At.Before(step.At) {
			p.Add(path+".at", "must be later than that of the step before it")
		}
		if len(step.Weights) == 0 {
			p.Add(path+".weights", "is required: the weights of legs from then on")
		}
		for _, backend := range sortedKeys(step.Weights) {
			if _, is := weights[backend]; !is {
				p.Add(path+".weights."+backend, "%q is none of the legs", clip(backend))
				continue
			}
			between(p, path+".weights."+backend, step.Weights[backend], 0, SplitShares)
			weights[backend] = step.Weights[backend]
		}
		someWeight(p, path+".weights", weights)
	}
	s.Abort.validate(p)
	if s.Schedule != "" {
		required(p, "schedule", s.Schedule)
	}
}

func someWeight(p *Problems, path string, weights map[string]int) {
	for _, w := range weights {
		if w > 0 {
			return
		}
	}
	p.Add(path, "leave no leg with a weight; give one to that which takes everything")
}

// checkDivided asks for the name of a backend, or for three of a service.
func checkDivided(p *Problems, path, v string) {
	if !strings.Contains(v, "/") {
		required(p, path, v)
	} else if words := strings.Split(v, "/"); len(words) != 3 || slices.ContainsFunc(words, func(w string) bool { return CheckName(w) != nil }) {
		p.Add(path, "%q must be a backend, or a service as partner/environment/service", clip(v))
	}
}

// References are the site, the schedule, and the partners whose services are legs.
func (s *Split) References() []Reference {
	list := optional(optional(nil, "site", "Site", s.Site), "schedule", "Schedule", s.Schedule)
	for i, l := range s.Legs {
		if partner, _, _, ok := l.Called(); ok {
			list = optional(list, index("legs", i)+".backend", "Partner", partner)
		}
	}
	return list
}

// Called gives the service that a leg is; ok is false when it is a backend.
func (l SplitLeg) Called() (partner, environment, service string, ok bool) {
	words := strings.Split(l.Backend, "/")
	if len(words) != 3 {
		return "", "", "", false
	}
	return words[0], words[1], words[2], true
}

// Shares gives what each leg has at a moment, in thousandths, in the order of the legs. The schedule is not looked at.
func (s *Split) Shares(at time.Time) []int {
	weights := make([]int, len(s.Legs))
	for i, l := range s.Legs {
		weights[i] = l.Weight
	}
	for _, step := range s.Steps {
		if at.Before(step.At) {
			break
		}
		for i, l := range s.Legs {
			if w, says := step.Weights[l.Backend]; says {
				weights[i] = w
			}
		}
	}
	total := 0
	for _, w := range weights {
		total += w
	}
	shares, rest := make([]int, len(weights)), SplitShares
	for i := len(weights) - 1; i > 0 && total > 0; i-- {
		shares[i] = min((weights[i]*SplitShares+total/2)/total, rest)
		rest -= shares[i]
	}
	shares[0] = rest
	return shares
}

// SplitRange is a part of the numbers below SplitShares with the leg that those have who draw one of them.
type SplitRange struct {
	Leg, From, To int // To is the last one
}

// SplitRanges lays shares out so that who has drawn a number stays with a leg that grows: the second leg grows from the
// bottom, the third from the top, the fourth about the middle; all that is between is the first leg's and not among them.
func SplitRanges(shares []int) []SplitRange {
	var list []SplitRange
	add := func(leg, from, n int) {
		if n > 0 {
			list = append(list, SplitRange{leg, from, from + n - 1})
		}
	}
	share := func(leg int) int {
		if leg < len(shares) {
			return shares[leg]
		}
		return 0
	}
	add(1, 0, share(1))
	add(2, SplitShares-share(2), share(2))
	add(3, max(share(1), min(SplitShares/2, SplitShares-share(2)-share(3))), share(3))
	slices.SortFunc(list, func(a, b SplitRange) int { return a.From - b.From })
	return list
}
