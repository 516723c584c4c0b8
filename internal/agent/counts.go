package agent

import (
	"cmp"
	"slices"
	"strings"

	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// zonesOf gives the zone of each pool that serves one zone alone, so that HAProxy need not log it.
func zonesOf(n ir.Node) map[string]string {
	zones := map[string]string{}
	put := func(pool, zone string) {
		if have, ok := zones[pool]; ok && have != zone {
			zone = ""
		}
		zones[pool] = zone
	}
	for _, s := range n.Sites {
		for _, b := range s.Backends {
			if b.Pool != "" {
				put(b.Pool, "")
			}
			for i, pool := range b.Slots {
				if pool != "" && i < len(n.Group.Zones) {
					put(pool, n.Group.Zones[i])
				}
			}
		}
	}
	return zones
}

// attribute says what the log lines' words stand for: backends are pools of some generation, and a site that
// only redirects at a port has a mark in front.
func attribute(c accesslog.Counts, zones map[string]string) accesslog.Counts {
	series := slices.Clone(c.Series)
	for i := range series {
		key := &series[i].Key
		key.Site = strings.TrimPrefix(key.Site, haproxy.Redirecting)
		key.Pool = haproxy.BaseName(key.Pool)
		if key.Zone == "" {
			key.Zone = zones[key.Pool]
		}
	}
	slices.SortStableFunc(series, func(a, b accesslog.Series) int {
		return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Pool, b.Pool), strings.Compare(a.Zone, b.Zone))
	})
	calls, refused, presented := slices.Clone(c.Calls), slices.Clone(c.RefusedCalls), slices.Clone(c.Presented)
	for i := range calls {
		calls[i].Service = haproxy.BaseName(calls[i].Service)
	}
	for i := range refused {
		refused[i].Service = haproxy.BaseName(refused[i].Service)
	}
	for i := range presented {
		presented[i].Service = haproxy.BaseName(presented[i].Service)
	}
	c.Series, c.Calls, c.RefusedCalls, c.Presented = nil, nil, nil, nil
	c.Merge(accesslog.Counts{Calls: calls, RefusedCalls: refused, Presented: presented}) // what has one key now is added up
	for len(series) > 0 {
		// Generations of a pool have one key now: each round takes the first of each.
		var first, more []accesslog.Series
		for i, s := range series {
			if i > 0 && s.Key == series[i-1].Key {
				more = append(more, s)
			} else {
				first = append(first, s)
			}
		}
		c.Merge(accesslog.Counts{Series: first})
		series = more
	}
	return c
}
