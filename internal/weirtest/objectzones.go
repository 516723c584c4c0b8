package weirtest

import (
	"time"

	"weir"
)

// routing is how a site chooses between its zones, nil for the usual.
func (w *world) routing(s *weir.Site, role string) *weir.SiteRouting {
	if !w.Zoned || w.some(2) {
		return nil
	}
	r := &weir.SiteRouting{HomeZone: pick(w.rng, "", "vip", "none"), MinHealthy: w.rng.IntN(3)}
	if s.Mode == "http" && w.some(2) {
		r.KeepZone = weir.Duration(time.Duration(1+w.rng.IntN(8)) * time.Hour)
	}
	if zones := s.Backends["default"].Zones; zones != nil && w.some(2) {
		r.Weights = map[string]int{}
		for z := range w.Zones {
			if _, has := zones[zoneName(z)]; has && !w.some(4) {
				r.Weights[zoneName(z)] = 1 + w.rng.IntN(100)
			}
		}
		if len(r.Weights) == 0 {
			r.Weights = nil
		}
	}
	if b, ok := w.backend(s.PoolMode(), role); ok && w.some(3) {
		r.Fallback = b.Pool
	}
	return r
}

// schedule is a window that is over, holds now, or is to come.
func (w *world) schedule() *weir.Schedule {
	year := 2020 + w.rng.IntN(3)*50
	s := &weir.Schedule{Until: time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC), Reason: "it's Sunday"}
	if w.some(2) {
		s.From = s.Until.AddDate(-1, 0, 0)
	}
	return s
}

// maintenance is one at any time, or while some Schedule holds.
func (w *world) maintenance(role string) *weir.SiteMaintenance {
	return &weir.SiteMaintenance{Page: w.anyName("ErrorPage", role), Except: w.anyName("AccessList", role), Schedule: w.anyName("Schedule", role)}
}

// split divides a backend of some site between two of its own, or calls between two services.
func (w *world) split(role string) *weir.Split {
	s := &weir.Split{Site: w.anyName("Site", role), Schedule: w.anyName("Schedule", role), Sticky: pick(w.rng, weir.StickyNone, weir.StickyCookie, weir.StickySource)}
	other := backendNames[0]
	if site := weir.Find[weir.Site](w.set, "Site", s.Site); site != nil {
		for _, name := range backendNames {
			if _, has := site.Backends[name]; has {
				other = name
			}
		}
	}
	first := "default"
	if site := weir.Find[weir.Site](w.set, "Site", s.Site); site != nil && site.Egress != nil {
		first, other = w.services(role)
	}
	s.Legs = []weir.SplitLeg{{Backend: first, Weight: w.rng.IntN(100)}, {Backend: other, Weight: 1 + w.rng.IntN(100)}}
	if w.some(2) {
		s.Steps = []weir.SplitStep{{At: time.Date(2020+w.rng.IntN(2)*80, 1, 1, 0, 0, 0, 0, time.UTC), Weights: map[string]int{other: 100}}}
	}
	return s
}

// shift takes some sites, a role's, or all out of a zone.
func (w *world) shift(role string) *weir.ZoneShift {
	z := &weir.ZoneShift{Zone: zoneName(w.rng.IntN(w.Zones)), Reason: "bad rollout", ExpiresAt: w.Expires}
	if w.some(6) {
		z.ExpiresAt = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if name := w.anyName("Schedule", role); name != "" && w.some(4) {
		z.ExpiresAt, z.Schedule = time.Time{}, name
	}
	switch n := w.rng.IntN(4); {
	case n == 0 && role == "":
		z.All = true
	case n == 1:
		if z.Role = role; role == "" {
			z.Role = pick(w.rng, roles[1:]...)
		}
	default:
		for range 1 + w.rng.IntN(3) {
			z.Sites = append(z.Sites, w.anyName("Site", role))
		}
	}
	return z
}
