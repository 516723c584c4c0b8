package explain

import (
	"slices"
	"strings"
	"time"

	"weir/internal/ir"
)

// zoneCookie is the cookie by which clients keep their zone.
const zoneCookie = "WEIRZONE"

// mostTried is how many servers are tried when all of them are down.
const mostTried = 32

// place is a zone that a backend has a pool in.
type place struct {
	slot   int
	zone   string // "" for a pool of all zones
	pool   string
	up     []string
	weight int
	free   bool // available to the backend
}

// zone finds the zones that may serve, with their chances, as package haproxy's chooser does.
func (w *walk) zone() {
	name := w.trace.Answer.Backend
	if w.call != nil {
		if w.openCall(name) && w.reached(name) {
			w.room(name)
			w.asked(name)
			w.everywhere(name)
		}
		return
	}
	b := w.backend(name)
	if b == nil {
		w.step("zone", w.object(), "backends."+name, "the backend has no pool")
		w.nobody()
		return
	}
	if b.Pool != "" {
		w.everywhere(b.Pool)
		return
	}
	places := w.places(b)
	pick := func(format string, args []any, chosen []place, share func(place) int) {
		w.step("zone", w.object(), "backends."+name, format, args...)
		w.chosen(chosen, share)
	}
	even := func(place) int { return 1 }
	var free, shared, idle, up []place
	for _, p := range places {
		if p.free {
			free = append(free, p)
			if p.weight > 0 {
				shared = append(shared, p)
			} else {
				idle = append(idle, p)
			}
		}
		if len(p.up) > 0 {
			up = append(up, p)
		}
	}
	if own := w.ownZone(free); own != nil {
		pick("zone %s, which the client keeps", []any{own.zone}, []place{*own}, even)
		return
	}
	g := w.site.Routing
	home := w.node.Group.Slot(w.address.HomeZone)
	if g != nil && g.NoHome {
		home = 0
		w.step("zone", w.object(), "routing.homeZone", "no zone is home: the shares decide")
	}
	if i := slices.IndexFunc(free, func(p place) bool { return p.slot == home }); i >= 0 && home > 0 {
		pick("zone %s, the home of the address", []any{free[i].zone}, free[i:i+1], even)
		return
	}
	switch {
	case len(shared) > 0:
		pick("%s by their shares", []any{zonesOf(shared)}, shared, func(p place) int { return p.weight })
	case len(idle) > 0:
		pick("%s without a share, since no zone with one is available", []any{zonesOf(idle)}, idle, even)
	case len(up) > 0:
		pick("%s with a server up, since no zone is available", []any{zonesOf(up)}, up, even)
	default:
		w.regardless(places)
	}
	if len(w.trace.Answer.Zones) > 1 && !w.http() {
		w.step("zone", "", "", "a client keeps one of them by its address")
	}
}

// everywhere leads to a pool that stands for all zones, so that none of them is chosen.
func (w *walk) everywhere(pool string) {
	if w.poolOf(pool) == nil {
		w.regardless(nil)
		return
	}
	p := place{pool: pool, up: w.up(pool)}
	if len(p.up) == 0 {
		w.step("zone", "Pool/"+pool, "", "no server is up")
		w.regardless([]place{p})
		return
	}
	if w.call == nil {
		w.step("zone", w.object(), "backends."+w.trace.Answer.Backend, "pool %s serves all zones", pool)
	}
	w.chosen([]place{p}, func(place) int { return 1 })
}

func zonesOf(list []place) string {
	var names []string
	for _, p := range list {
		names = append(names, p.zone)
	}
	if len(names) == 1 {
		return "zone " + names[0]
	}
	return "zones " + strings.Join(names, ", ")
}

// places looks at each zone that the backend has a pool in, and tells why some are not available.
func (w *walk) places(b *ir.Backend) []place {
	var list []place
	g := w.site.Routing
	least := 1
	if g != nil && g.MinHealthy > 1 {
		least = g.MinHealthy
	}
	for i, pool := range b.Slots[:min(len(b.Slots), len(w.node.Group.Zones))] {
		p := place{slot: i + 1, pool: pool, weight: 1}
		if w.poolOf(pool) == nil {
			continue
		}
		p.zone = w.node.Group.Zones[i]
		if g != nil && g.Weights != nil {
			p.weight = 0
			if i < len(g.Weights) {
				p.weight = g.Weights[i]
			}
		}
		p.up = w.up(pool)
		shift, until := w.shifted(p.zone)
		switch {
		case len(p.up) == 0:
			w.step("zone", "Pool/"+pool, "", "no server is up in zone %s", p.zone)
		case shift != "":
			w.step("zone", "ZoneShift/"+shift, "", "takes the site out of zone %s until %s", p.zone, until.UTC().Format(time.RFC3339))
		case len(p.up) < least:
			w.step("zone", w.object(), "routing.minHealthy", "zone %s has %d of %d servers that it needs", p.zone, len(p.up), least)
		default:
			p.free = true
		}
		list = append(list, p)
	}
	return list
}

func (w *walk) poolOf(name string) *ir.Pool {
	for i := range w.node.Pools {
		if w.node.Pools[i].Name == name && name != "" {
			return &w.node.Pools[i]
		}
	}
	return nil
}

// up gives the servers of a pool that may take traffic.
func (w *walk) up(pool string) []string {
	p := w.poolOf(pool)
	if p == nil {
		return nil
	}
	var list []string
	for i := range p.Servers {
		s := &p.Servers[i]
		if !s.Maintenance && s.Weight > 0 && w.view.Health(pool, s.Name) {
			list = append(list, s.Name)
		}
	}
	return list
}

// shifted gives the ZoneShift that takes the site out of a zone and lasts longest, "" for none.
func (w *walk) shifted(zone string) (name string, until time.Time) {
	for _, s := range w.node.Shifts {
		if s.Zone == zone && slices.Contains(s.Sites, w.site.Name) && s.ExpiresAt.Unix() > w.q.At.Unix() && (s.From.IsZero() || s.From.Unix() <= w.q.At.Unix()) && s.ExpiresAt.After(until) {
			name, until = s.Name, s.ExpiresAt
		}
	}
	return name, until
}

// ownZone gives the zone that the client's cookie names, if it is free and the site keeps clients in their zone.
func (w *walk) ownZone(free []place) *place {
	g := w.site.Routing
	if g == nil || g.KeepZone == 0 || !w.http() {
		return nil
	}
	zone, found := w.header.cookie(zoneCookie)
	if !found {
		w.step("zone", w.object(), "routing.keepZone", "the client has no cookie of a zone yet, and gets one")
		return nil
	}
	for i := range free {
		if free[i].zone == zone && w.node.Group.Slot(zone) > 0 {
			return &free[i]
		}
	}
	w.step("zone", w.object(), "routing.keepZone", "the client's cookie names %s, which is not available", clip(zone))
	return nil
}

// chosen puts down the zones of the answer, those of the same pool in the same zone once.
func (w *walk) chosen(list []place, share func(place) int) {
	total := 0
	for _, p := range list {
		total += share(p)
	}
	a := &w.trace.Answer
	a.Outcome = Served
	for _, p := range list {
		a.Zones = append(a.Zones, Share{Zone: p.zone, Pool: p.pool, Cookie: w.poolOf(p.pool).Cookie, Percent: 100 * float64(share(p)) / float64(total), Servers: p.up})
	}
}

// regardless tells what happens when no zone has a server up: each server that is admitted is tried, then the fallback.
func (w *walk) regardless(places []place) {
	a := &w.trace.Answer
	field := "backends." + a.Backend
	for _, p := range places {
		if slices.ContainsFunc(a.Zones, func(s Share) bool { return s.Pool == p.pool }) {
			continue
		}
		if servers := w.admitted(p.pool); len(servers) > 0 {
			a.Zones = append(a.Zones, Share{Zone: p.zone, Pool: p.pool, Servers: servers})
		}
	}
	for i := range a.Zones {
		a.Zones[i].Percent = 100 / float64(len(a.Zones))
	}
	if len(a.Zones) > 0 {
		a.Outcome = Tried
		w.step("zone", w.object(), field, "no server is up: each is tried whatever its health, %d at most", mostTried)
	}
	if g := w.site.Routing; g != nil && w.poolOf(g.Fallback) != nil {
		w.step("zone", w.object(), "routing.fallback", "pool %s takes what nobody else can", g.Fallback)
		share := Share{Pool: g.Fallback, Percent: 100, Servers: w.up(g.Fallback)}
		if len(a.Zones) > 0 {
			a.Fallback = &share
		} else if len(share.Servers) > 0 {
			a.Outcome, a.Zones = Served, []Share{share}
			return
		}
	}
	if len(a.Zones) == 0 {
		w.step("zone", w.object(), field, "nobody is there to take it")
		w.nobody()
	}
}

// admitted gives the servers of a pool that are not out by hand, whatever their health.
func (w *walk) admitted(pool string) []string {
	var list []string
	for _, s := range w.poolOf(pool).Servers {
		if !s.Maintenance && s.Weight > 0 {
			list = append(list, s.Name)
		}
	}
	return list
}

// nobody answers that no server is there.
func (w *walk) nobody() {
	a := &w.trace.Answer
	a.Outcome = Unserved
	if w.http() {
		a.Status, a.Page = 503, w.pageFor(503)
	}
	a.Target, a.Headers, a.ResponseHeaders = "", nil, nil
}
