package weir

import (
	"time"
)

// Schedule is a window of time with a name. Load balancers hold it against their own clocks, HAProxy at each request, so
// that it begins and ends at its second with nobody awake and no control plane there. What can go by one is a route's
// match, the maintenance of a site or a partner, the levels of a RateLimit, a ZoneShift, a Split and an EgressRule, and
// nothing else. The first of a group that something goes by is a reload, and the last, but for partners, Splits and
// EgressRules; all others are run time.
type Schedule struct {
	// From is when it begins, in whole seconds, such as 2030-01-31T02:00:00Z; it has always been so when left out.
	From time.Time `json:"from,omitzero"`
	// Until is the first second after it; it never ends when left out. At least one of from and until is needed.
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason"`
}

// Normalize writes both ends in UTC, in whole seconds.
func (s *Schedule) Normalize() {
	s.From, s.Until = wholeSecond(s.From), wholeSecond(s.Until)
}

// Validate checks that there is a window, and why.
func (s *Schedule) Validate(p *Problems) {
	switch {
	case s.From.IsZero() && s.Until.IsZero():
		p.Add("from", "needs from, until or both, such as 2030-01-31T02:00:00Z")
	case !s.From.IsZero() && !s.Until.IsZero() && !s.From.Before(s.Until):
		p.Add("until", "%s must be later than from, %s", s.Until.Format(time.RFC3339), s.From.Format(time.RFC3339))
	}
	instant(p, "from", s.From)
	instant(p, "until", s.Until)
	if s.Reason == "" {
		p.Add("reason", "is required: the next person wants to know why")
	}
	prose(p, "reason", s.Reason, 500)
}

// References are none.
func (s *Schedule) References() []Reference { return nil }

// Holds says whether a moment is in the window.
func (s *Schedule) Holds(at time.Time) bool {
	return !at.Before(s.From) && (s.Until.IsZero() || at.Before(s.Until))
}

// The instants that a schedule can name; load balancers reckon in seconds since 1970.
var (
	firstInstant = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastInstant  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

func wholeSecond(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// instant checks a moment that may be left out.
func instant(p *Problems, path string, t time.Time) {
	if !t.IsZero() && (t.Before(firstInstant) || t.After(lastInstant)) {
		p.Add(path, "%s is outside %s to %s", t.Format(time.RFC3339), firstInstant.Format(time.RFC3339), lastInstant.Format(time.RFC3339))
	}
}
