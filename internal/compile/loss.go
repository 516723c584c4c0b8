package compile

import (
	"math"
	"slices"
	"time"

	"weir/internal/ir"
)

// Loss is what happens when a site loses the one of its zones that is the worst to lose.
type Loss struct {
	Backend string
	// Without is the zone that is lost; Zone carries the most then, Carries in per cent of what it can.
	Without, Zone string
	Carries       int
	// Nobody says that no other zone can take the traffic at all; Zone and Carries are empty then.
	Nobody bool
}

// Holds says that the other zones can carry what is left of a zone.
func (l Loss) Holds() bool { return !l.Nobody && l.Carries < tooMuch }

func (l Loss) worse(than Loss) bool {
	return l.Nobody && !than.Nobody || l.Nobody == than.Nobody && l.Carries > than.Carries
}

// Losses gives that of the sites of a node with several zones. What there is to carry is reckoned as Leave does: the site
// as it was, with all its servers, is taken to be sized so that one of its zones may go; one that is new is taken as it is.
func Losses(old, now *ir.Node, at time.Time) map[string]Loss {
	losses := map[string]Loss{}
	was, is := strengthsOf(old, at, nil), strengthsOf(now, at, nil)
	oldHomes, homes := homesOf(old), homesOf(now)
	for i := range now.Sites {
		s := &now.Sites[i]
		for _, b := range s.Backends {
			if zonesOf(b) < 2 {
				continue
			}
			load := sized(s, b, homes, is)
			if o, before := backendOf(old, s.Name, b.Name); o != nil && zonesOf(before) > 1 && slices.Equal(old.Group.Zones, now.Group.Zones) {
				load = sized(o, before, oldHomes, was)
			}
			loss, ok := worst(now, s, b, homes, is, load, at)
			if known, told := losses[s.Name]; ok && load > 0 && (!told || loss.worse(known)) {
				loss.Backend = b.Name
				losses[s.Name] = loss
			}
		}
	}
	return losses
}

// zonesOf counts the zones that have a pool of a backend of their own.
func zonesOf(b ir.Backend) (n int) {
	for _, pool := range b.Slots {
		if pool != "" {
			n++
		}
	}
	return n
}

// backendOf finds a backend of a site by their names; the site is nil when it is not there.
func backendOf(node *ir.Node, site, backend string) (*ir.Site, ir.Backend) {
	for i := range node.Sites {
		for _, b := range node.Sites[i].Backends {
			if node.Sites[i].Name == site && b.Name == backend {
				return &node.Sites[i], b
			}
		}
	}
	return nil, ir.Backend{}
}

// sized is how much traffic there is, in weights of servers, if one zone may go.
func sized(s *ir.Site, b ir.Backend, homes map[string]int, strengths map[string]strength) float64 {
	none := make([]bool, len(b.Slots))
	part, _ := divide(s, b, homes, strengths, none, none)
	most, zones := math.Inf(1), 0.0
	for i, pool := range b.Slots {
		if whole := strengths[pool].whole; whole > 0 {
			zones++
		}
		if part.base[i] > 0 {
			most = min(most, strengths[pool].whole/part.base[i])
		}
	}
	if zones == 0 || math.IsInf(most, 1) {
		return 0
	}
	return most * (zones - 1) / zones
}

// worst loses one zone after the other; ok is false where none has any traffic.
func worst(node *ir.Node, s *ir.Site, b ir.Backend, homes map[string]int, strengths map[string]strength, load float64, at time.Time) (out Loss, ok bool) {
	now, _ := goneFrom(node, s.Name, -1, at)
	for lost, zone := range node.Group.Zones {
		if lost >= len(b.Slots) || b.Slots[lost] == "" {
			continue
		}
		without := slices.Clone(now)
		without[lost] = true
		part, stays := divide(s, b, homes, strengths, now, without)
		if part.now[lost] == 0 {
			continue
		}
		one := Loss{Without: zone, Nobody: stays}
		for i := range part.then {
			able := strengths[b.Slots[i]].able
			if stays || part.then[i] == 0 || able == 0 {
				continue
			}
			if carries := int(math.Round(100 * load * part.then[i] / able)); carries > one.Carries {
				one.Zone, one.Carries = node.Group.Zones[i], carries
			}
		}
		if !ok || one.worse(out) {
			out, ok = one, true
		}
	}
	return out, ok
}
