package compile

import (
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// routing gives how a site chooses between zones, nil for the usual; slots of the group stand for names of zones.
func (b *builder) routing(ref weir.Ref, spec *weir.Site) *ir.Routing {
	r := spec.Routing
	if r == nil {
		return nil
	}
	out := ir.Routing{KeepZone: r.KeepZone, NoHome: r.HomeZone == weir.HomeZoneNone, Fallback: b.fallback(ref, spec), Weights: b.shares(ref, r)}
	if r.MinHealthy > 1 {
		out.MinHealthy = r.MinHealthy
	}
	if out.MinHealthy == 0 && out.KeepZone == 0 && !out.NoHome && out.Fallback == "" && out.Weights == nil {
		return nil
	}
	return &out
}

// shares gives the weights by slot, nil when all zones of the group are alike: also when those that have a share are
// none of the group's, since nobody can be sent there.
func (b *builder) shares(ref weir.Ref, r *weir.SiteRouting) []int {
	if r.Weights == nil {
		return nil
	}
	list := make([]int, len(b.node.Group.Zones))
	for zone, share := range r.Weights {
		if slot := b.node.Group.Slot(zone); slot > 0 {
			list[slot-1] = share
		}
	}
	if !slices.ContainsFunc(list, func(share int) bool { return share > 0 }) {
		b.problems.add(ref, "spec.routing.weights", "none of the zones with a share is one that group %s spans; all zones are alike", b.ref.Name)
		return nil
	}
	return list
}

func (b *builder) fallback(ref weir.Ref, spec *weir.Site) string {
	name := spec.Routing.Fallback
	if name == "" {
		return ""
	}
	if !b.pool(name) {
		b.problems.add(ref, "spec.routing.fallback", "Pool/%s can't be used; there is no fallback", name)
		return ""
	}
	if p := weir.Find[weir.Pool](b.set, "Pool", name); p.Mode != spec.PoolMode() {
		b.problems.add(ref, "spec.routing.fallback", "Pool/%s has mode %s and is left out: the site needs %s", name, p.Mode, spec.PoolMode())
		return ""
	}
	return name
}

// shifts are those of a group as they were worked out last. They are apart from the rest, which a shift leaves as it is:
// of ten thousand sites nothing else is to be worked out when one of them is shifted.
type shifts struct {
	made [2]*weir.Stamp // of ZoneShifts and Schedules
	list []ir.Shift
}

// shiftsOf gives the ZoneShifts of a group, by name: those about a zone that it spans, with such of its sites as may be
// served from there. Expired ones are among them until they are deleted: HAProxy compares with its own clock.
func (g *group) shiftsOf(set *weir.Set) []ir.Shift {
	if stamp := [2]*weir.Stamp{set.Stamp("ZoneShift"), set.Stamp("Schedule")}; g.shifts.made != stamp {
		g.shifts = shifts{made: stamp}
		for o := range set.All("ZoneShift") {
			if s := g.shift(set, o); len(s.Sites) > 0 {
				g.shifts.list = append(g.shifts.list, s)
			}
		}
		slices.SortFunc(g.shifts.list, func(a, b ir.Shift) int { return strings.Compare(a.Name, b.Name) })
	}
	return g.shifts.list
}

func (g *group) shift(set *weir.Set, o *weir.Object) ir.Shift {
	spec := o.Spec.(*weir.ZoneShift)
	s := ir.Shift{Name: o.Metadata.Name, Zone: spec.Zone}
	if s.From, s.ExpiresAt = spec.Window(set); g.node.Group.Slot(spec.Zone) == 0 || s.ExpiresAt.IsZero() {
		return s
	}
	take := func(name string) {
		site := set.Get(weir.Ref{Kind: "Site", Name: name})
		if site != nil && spec.Shifts(o.Metadata.Role, site) && site.Spec.(*weir.Site).ServesFrom(spec.Zone) {
			s.Sites = append(s.Sites, name)
		}
	}
	if len(spec.Sites) == 0 {
		for i := range g.node.Sites {
			take(g.node.Sites[i].Name)
		}
		return s
	}
	for _, name := range slices.Sorted(slices.Values(spec.Sites)) {
		if _, served := slices.BinarySearchFunc(g.node.Sites, name, func(s ir.Site, name string) int { return strings.Compare(s.Name, name) }); served {
			take(name)
		}
	}
	return s
}
