package discovery

import (
	"math"
	"time"
)

// Damping says how much coming and going is borne, after RFC 2439, which does it for routes.
type Damping struct {
	// HalfLife is how long it takes until what was counted counts half.
	HalfLife time.Duration
	// Above is the count beyond which one is kept out, and Below the one under which it is let in again.
	Above, Below float64
	// Most bounds the count, and so how long one is kept out that has come to rest.
	Most float64
}

// UsualDamping keeps out from the fourth fall within moments on, for two minutes after the last one, and never for more
// than four.
func UsualDamping() Damping {
	return Damping{HalfLife: time.Minute, Above: 3, Below: 1, Most: 16}
}

// Penalty is what is counted against one server. Its zero value is nothing.
type Penalty struct {
	// Count is what it was at the time At; it has fallen since.
	Count float64   `json:"count"`
	At    time.Time `json:"at"`
	// Out says that it is kept out: whether it still is says Damping.At.
	Out bool `json:"out,omitempty"`
}

// At gives a penalty as it is at that time; the zero one if there is nothing left that matters. A time before that of
// the penalty, which clocks that are set give, changes nothing.
func (d Damping) At(p Penalty, now time.Time) Penalty {
	if past := now.Sub(p.At); past > 0 {
		p.Count *= math.Exp2(-float64(past) / float64(d.HalfLife))
		p.At = now
	}
	if p.Count < d.Below {
		p.Out = false
	}
	if p.Count < forgotten {
		return Penalty{}
	}
	return p
}

// forgotten is a count that is as good as none: of one fall it is there after seven half-lives.
const forgotten = 0.01

// Fell counts that a server went from healthy to something else at that time.
func (d Damping) Fell(p Penalty, now time.Time) Penalty {
	p = d.At(p, now)
	p.Count = min(p.Count+1, d.Most)
	if p.At.Before(now) {
		p.At = now
	}
	p.Out = p.Out || p.Count > d.Above
	return p
}

// Until says when one that is kept out is let in again, if it does not fall once more; it is the zero time for others.
func (d Damping) Until(p Penalty) time.Time {
	if !p.Out {
		return time.Time{}
	}
	if p.Count < d.Below {
		return p.At
	}
	// A moment later than worked out, so that one who looks then finds the count under the bound in spite of rounding.
	return p.At.Add(time.Duration(math.Log2(p.Count/d.Below)*float64(d.HalfLife)) + time.Millisecond)
}

// Damper keeps the penalties of many servers by name. It is for one goroutine at a time.
type Damper struct {
	Damping
	penalties map[string]Penalty
}

// NewDamper makes one that goes on with penalties, which are its own from then on; nil for none.
func NewDamper(d Damping, penalties map[string]Penalty) *Damper {
	if penalties == nil {
		penalties = map[string]Penalty{}
	}
	return &Damper{Damping: d, penalties: penalties}
}

// Fell counts a fall, and says whether the server is kept out for it.
func (d *Damper) Fell(name string, now time.Time) bool {
	p := d.Damping.Fell(d.penalties[name], now)
	d.penalties[name] = p
	return p.Out
}

// Out says until when a server is kept out, and whether it is.
func (d *Damper) Out(name string, now time.Time) (time.Time, bool) {
	p, there := d.penalties[name]
	if !there {
		return time.Time{}, false
	}
	p = d.At(p, now)
	return d.Until(p), p.Out
}

// Tend forgets those whose penalties have passed, and gives those that are kept out no more, in no order, and when the
// next one of the others is let in: the zero time if none is kept out.
func (d *Damper) Tend(now time.Time) (in []string, next time.Time) {
	for name, before := range d.penalties {
		p := d.At(before, now)
		if before.Out && !p.Out {
			in = append(in, name)
		}
		if p == (Penalty{}) {
			delete(d.penalties, name)
			continue
		}
		d.penalties[name] = p
		if until := d.Until(p); p.Out && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	return in, next
}

// Penalties are all there are, to be kept for a successor; they are the damper's and not to be changed.
func (d *Damper) Penalties() map[string]Penalty { return d.penalties }
