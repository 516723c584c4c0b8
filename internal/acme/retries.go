package acme

import "time"

// The first and the longest pause after a failure. At six hours a name that never can be proven fails four times a day:
// Let's Encrypt pauses an account for a name after 1,152 failures on end, which is most of a year away.
const (
	retryFirst = time.Minute
	retryLast  = 6 * time.Hour
)

// Backoff gives the pause after so many failures on end: none after none, then a minute, doubled each time, up to six
// hours; a quarter more or less by name, so that what failed together does not come back together.
func Backoff(failures int, name string) time.Duration {
	if failures <= 0 {
		return 0
	}
	pause := retryLast
	if failures < 16 { // beyond that it would not fit
		pause = min(retryFirst<<(failures-1), retryLast)
	}
	return time.Duration(float64(pause) * (0.75 + 0.5*fraction(name)))
}

// Retries is what is kept of failures on end. Its zero value has had none.
type Retries struct {
	Failures int       `json:"failures,omitempty"`
	Last     time.Time `json:"last,omitzero"`
	// NotBefore is what the CA asked for.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Of is what was tried, as a digest of the object: when that changes, what was before says nothing.
	Of string `json:"of,omitempty"`
}

// Failed adds a failure.
func (r Retries) Failed(now time.Time, of string, err *Error) Retries {
	if r.Of != of {
		r = Retries{Of: of}
	}
	r.Failures, r.Last, r.NotBefore = r.Failures+1, now, time.Time{}
	if err != nil {
		r.NotBefore = err.NotBefore
	}
	return r
}

// Next gives when to try again: at once, which is the zero time, after no failure and when the object is another by
// now, but never before the CA wants it. Times further ahead than can be were told by a wrong clock, and say nothing.
func (r Retries) Next(now time.Time, name, of string) time.Time {
	var next time.Time
	if r.Failures > 0 && r.Of == of {
		next = r.Last.Add(Backoff(r.Failures, name))
	}
	if next.Sub(now) > 2*retryLast {
		next = time.Time{}
	}
	if r.NotBefore.After(next) && r.NotBefore.Sub(now) <= maxWait {
		// Somewhat later, so that all who were told the same moment don't come at it.
		return r.NotBefore.Add(time.Duration(fraction(name) / 4 * float64(r.NotBefore.Sub(r.Last))))
	}
	return next
}
