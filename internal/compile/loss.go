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

// Losses gives that of those of some sites that have several zones in a node. What there is to carry is reckoned as Leave
// does: the site as it was, with all its servers, is taken to be sized so that one of its zones may go; one that is new is
// taken as it is.
func Losses(old, now *ir.Node, sites []string, at time.Time) map[string]Loss {
	losses, before, after := map[string]Loss{}, sitesOf(old, sites), sitesOf(now, sites)
	if len(after) == 0 {
		return losses
	}
	was, is := strengthsOf(old, at, nil), strengthsOf(now, at, nil)
	oldHomes, homes := homesOf(old), homesOf(now)
	for name, s := range after {
		for _, b := range s.Backends {
			if zonesOf(b) < 2 {
				continue
			}
			load := sized(s, b, homes, is)
			if o := before[name]; o != nil && slices.Equal(old.Group.Zones, now.Group.Zones) {
				i := slices.IndexFunc(o.Backends, func(had ir.Backend) bool { return had.Name == b.Name && zonesOf(had) > 1 })
				if i >= 0 {
					load = sized(o, o.Backends[i], oldHomes, was)
				}
			}
			loss, ok := worst(now, s, b, homes, is, load, at)
			if known, told := losses[name]; ok && load > 0 && (!told || loss.worse(known)) {
				loss.Backend = b.Name
				losses[name] = loss
			}
		}
	}
	return losses
}

// sitesOf finds those of some sites that a node has.
func sitesOf(node *ir.Node, names []string) map[string]*ir.Site {
	wanted, found := make(map[string]bool, len(names)), map[string]*ir.Site{}
	for _, name := range names {
		wanted[name] = true
	}
	for i := range node.Sites {
		if s := &node.Sites[i]; wanted[s.Name] {
			found[s.Name] = s
		}
	}
	return found
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
