package api

import (
	"math"
	"slices"

	"weir"
)

// withTraffic are the kinds of which figures over time are known.
var withTraffic = []string{"Site", "Pool", "Server", "LoadBalancer"}

// traffic fills in what the objects of rows did lately.
func (c *call) traffic(kind weir.Kind, rows []Row) {
	if c.h.opts.Series == nil || len(rows) == 0 || !slices.Contains(withTraffic, kind.Name) {
		return
	}
	names := make([]string, len(rows))
	for i := range rows {
		names[i] = kind.Name + "/" + rows[i].Name
	}
	all := c.h.opts.Series.Traffic(names...)
	for i, name := range names {
		if t, ok := all[name]; ok {
			rows[i].Traffic = &t
		}
	}
}

// unknownTraffic is of what nothing is known of.
var unknownTraffic = Traffic{Requests: Point(math.NaN()), ErrorRatio: Point(math.NaN()), P95MS: Point(math.NaN())}

// busy makes known what all objects of a kind did in the last minute.
func (p *picture) busy(kind string) {
	p.work(func() {
		s := p.sheet(kind)
		if s.busy {
			return
		}
		s.busy = true
		var all map[string]Traffic
		if p.h.opts.Series != nil && slices.Contains(withTraffic, kind) {
			names := make([]string, len(s.lines))
			for i, l := range s.lines {
				names[i] = l.object.Ref().String()
			}
			all = p.h.opts.Series.Minute(names...)
		}
		for _, l := range s.lines {
			if t, ok := all[l.object.Ref().String()]; ok {
				l.minute = t
			}
		}
	})
}
