package accesslog

import "slices"

const (
	maxSeries = 8192 // about 1.5 KB each
	maxCalls  = 4096 // about 1 KB each
	maxName   = 256  // bytes; names of sites, pools and zones are shorter
)

// table counts lines into series, of which it holds a bounded number.
type table struct {
	counts Counts // without Series
	series map[string]*Series
	limits map[string]*Limited
	// diverted are by what they are of, with counts of zero.
	diverted map[Diverted]*Diverted
	calls    map[CallKey]*Call
	callRoom int
	// refused and presented are by what they are of, with nothing counted and nothing seen.
	refused   map[RefusedCall]*RefusedCall
	presented map[Presented]*Presented
	room      int
	key       []byte // scratch
}

func newTable(room int) *table {
	return &table{
		series: make(map[string]*Series), limits: make(map[string]*Limited), diverted: make(map[Diverted]*Diverted),
		calls: make(map[CallKey]*Call), refused: make(map[RefusedCall]*RefusedCall), presented: make(map[Presented]*Presented),
		room: room, callRoom: maxCalls,
	}
}

func (t *table) count(l *Line) {
	t.counts.Lines++
	if l.Kind == KindError && l.Status < 100 {
		t.counts.ConnectionErrors++
		return
	}
	t.find(l).count(l)
	t.countLimited(l)
	t.countCall(l)
}

// find returns the series of a line. It allocates only for a series never seen.
func (t *table) find(l *Line) *Series {
	pool := l.pool()
	if len(l.Site) > maxName || len(pool) > maxName || len(l.Zone) > maxName {
		return t.other()
	}
	t.key = append(t.key[:0], l.Site...)
	t.key = append(append(t.key, 0), pool...)
	t.key = append(append(t.key, 0), l.Zone...)
	if s := t.series[string(t.key)]; s != nil {
		return s
	}
	if len(t.series) >= t.room {
		return t.other()
	}
	s := &Series{Key: Key{Site: string(l.Site), Pool: string(pool), Zone: string(l.Zone)}}
	t.series[string(t.key)] = s
	return s
}

func (t *table) other() *Series {
	t.counts.Overflowed++
	const key = Other + "\x00" + Other + "\x00" + Other
	s := t.series[key]
	if s == nil {
		s = &Series{Key: Key{Site: Other, Pool: Other, Zone: Other}}
		t.series[key] = s
	}
	return s
}

// resume adds what was counted before.
func (t *table) resume(c Counts) {
	t.counts.Merge(Counts{
		Lines: c.Lines, Foreign: c.Foreign, Notices: c.Notices, Malformed: c.Malformed, Overflowed: c.Overflowed, ConnectionErrors: c.ConnectionErrors,
	})
	for i := range c.Series {
		s := c.Series[i]
		key := s.Site + "\x00" + s.Pool + "\x00" + s.Zone
		if mine := t.series[key]; mine != nil {
			mine.add(&s)
		} else if len(t.series) < t.room {
			t.series[key] = &s
		}
	}
	for _, l := range c.Limited {
		mine := t.limited([]byte(l.Site), []byte(l.RateLimit))
		*mine = mine.plus(l)
	}
	for _, d := range c.Diverted {
		mine := t.divertedOf([]byte(d.Site), []byte(d.Split), []byte(d.Backend))
		*mine = mine.plus(d)
	}
	for i := range c.Calls {
		mine := t.call(c.Calls[i].CallKey)
		*mine = mine.plus(c.Calls[i])
	}
	for _, r := range c.RefusedCalls {
		mine := t.refusedCall(RefusedCall{CallKey: r.CallKey, Reason: r.Reason, Rule: r.Rule})
		*mine = mine.plus(r)
	}
	for _, p := range c.Presented {
		if len(t.presented) < presentedRoom {
			t.presented[Presented{Service: p.Service, At: p.At}] = &p
		}
	}
}

// snapshot returns a copy; sorting it is left to the caller, who need not hold the lock.
func (t *table) snapshot() Counts {
	c := t.counts
	c.Series = make([]Series, 0, len(t.series))
	for _, s := range t.series {
		c.Series = append(c.Series, *s)
	}
	for _, l := range t.limits {
		c.Limited = append(c.Limited, *l)
	}
	for _, d := range t.diverted {
		c.Diverted = append(c.Diverted, *d)
	}
	for _, one := range t.calls {
		c.Calls = append(c.Calls, *one)
	}
	for _, r := range t.refused {
		c.RefusedCalls = append(c.RefusedCalls, *r)
	}
	for _, p := range t.presented {
		c.Presented = append(c.Presented, *p)
	}
	return c
}

func (c *Counts) sort() {
	slices.SortFunc(c.Series, func(a, b Series) int { return a.compare(b.Key) })
	slices.SortFunc(c.Limited, Limited.compare)
	slices.SortFunc(c.Diverted, Diverted.compare)
	slices.SortFunc(c.Calls, Call.compare)
	slices.SortFunc(c.RefusedCalls, RefusedCall.compare)
	slices.SortFunc(c.Presented, Presented.compare)
}
