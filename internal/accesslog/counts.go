package accesslog

import (
	"slices"
	"time"
)

// Counts is what a receiver has counted since it began, or the sum or difference of several
// such; it holds no reference to anything and is sorted, so equal counts are equal JSON.
// All of it only grows, whatever HAProxy reloads or crashes.
type Counts struct {
	// Since is when all of it was zero; the zero time of a sum or difference.
	Since            time.Time `json:"since,omitzero"`
	Lines            uint64    `json:"lines"`            // lines that were understood
	Foreign          uint64    `json:"foreign"`          // datagrams without our token, dropped
	Notices          uint64    `json:"notices"`          // HAProxy's own messages, that a frontend stopped, as at a reload, or that a server is up or down
	Malformed        uint64    `json:"malformed"`        // lines with our token that could not be read, or were cut
	Lost             uint64    `json:"lost"`             // lines that HAProxy numbered but that never came
	Overflowed       uint64    `json:"overflowed"`       // lines counted in the series Other for want of room
	ConnectionErrors uint64    `json:"connectionErrors"` // connections that ended before any request, as by a failed TLS handshake
	Series           []Series  `json:"series,omitempty"`
	// Limited are those who were over a rate limit, by site and limit.
	Limited []Limited `json:"limited,omitempty"`
	// Diverted are what splits kept from legs that fail, by site, split and leg.
	Diverted []Diverted `json:"diverted,omitempty"`
	// Calls are those to partners that were let through, by who called whom; RefusedCalls are the others.
	Calls        []Call        `json:"calls,omitempty"`
	RefusedCalls []RefusedCall `json:"refusedCalls,omitempty"`
	// Presented is what certificates partners showed in the last day.
	Presented []Presented `json:"presented,omitempty"`
}

// Get returns the series of a key, a zero one when there is none.
func (c Counts) Get(k Key) Series {
	i, ok := slices.BinarySearchFunc(c.Series, k, func(s Series, k Key) int { return s.compare(k) })
	if !ok {
		return Series{Key: k}
	}
	return c.Series[i]
}

// BySite returns one series a site, the sum over its pools and zones, sorted by site.
func (c Counts) BySite() []Series {
	var sites []Series
	for i := range c.Series {
		s := &c.Series[i]
		if n := len(sites); n == 0 || sites[n-1].Site != s.Site {
			sites = append(sites, Series{Key: Key{Site: s.Site}})
		}
		sites[len(sites)-1].add(s)
	}
	return sites
}

// Merge adds the counts of another receiver.
func (c *Counts) Merge(o Counts) {
	c.Lines += o.Lines
	c.Foreign += o.Foreign
	c.Notices += o.Notices
	c.Malformed += o.Malformed
	c.Lost += o.Lost
	c.Overflowed += o.Overflowed
	c.ConnectionErrors += o.ConnectionErrors
	merged := make([]Series, 0, len(c.Series)+len(o.Series))
	a, b := c.Series, o.Series
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].compare(b[0].Key); {
		case order < 0:
			merged, a = append(merged, a[0]), a[1:]
		case order > 0:
			merged, b = append(merged, b[0]), b[1:]
		default:
			merged = append(merged, a[0])
			merged[len(merged)-1].add(&b[0])
			a, b = a[1:], b[1:]
		}
	}
	c.Series = append(append(merged, a...), b...)
	c.Limited = mergedSums(c.Limited, o.Limited)
	c.Diverted = mergedSums(c.Diverted, o.Diverted)
	c.Calls = mergedSums(c.Calls, o.Calls)
	c.RefusedCalls = mergedSums(c.RefusedCalls, o.RefusedCalls)
	c.Presented = mergedPresented(c.Presented, o.Presented)
}

// Sub returns what was counted since an earlier snapshot of the same receiver. A series or
// number that is lower now began anew, with the agent, and is returned whole; series in which
// nothing happened are left out.
func (c Counts) Sub(earlier Counts) Counts {
	d := Counts{
		Lines:            grown(c.Lines, earlier.Lines),
		Foreign:          grown(c.Foreign, earlier.Foreign),
		Notices:          grown(c.Notices, earlier.Notices),
		Malformed:        grown(c.Malformed, earlier.Malformed),
		Lost:             grown(c.Lost, earlier.Lost),
		Overflowed:       grown(c.Overflowed, earlier.Overflowed),
		ConnectionErrors: grown(c.ConnectionErrors, earlier.ConnectionErrors),
	}
	for _, s := range c.Series {
		if was := earlier.Get(s.Key); s.since(&was) {
			s.sub(&was)
		}
		if s != (Series{Key: s.Key}) {
			d.Series = append(d.Series, s)
		}
	}
	d.Limited = sumsSince(c.Limited, earlier.Limited)
	d.Diverted = sumsSince(c.Diverted, earlier.Diverted)
	d.Calls = sumsSince(c.Calls, earlier.Calls)
	d.RefusedCalls = sumsSince(c.RefusedCalls, earlier.RefusedCalls)
	d.Presented = c.Presented
	return d
}

func grown(now, was uint64) uint64 {
	if now < was {
		return now
	}
	return now - was
}
