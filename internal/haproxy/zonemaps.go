package haproxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/ir"
)

// The maps of which zone a request goes to.
const (
	mapHomes     = "maps/homes.map"      // IPAddress → slot of its home zone
	mapHomeless  = "maps/homeless.map"   // site → 1 where the home does not count
	mapLeast     = "maps/least.map"      // site → servers up that a zone needs, where that is not 1
	mapWeights   = "maps/weights.map"    // site → the shares of all slots, with colons between, where they are not even
	mapShifts    = "maps/shifts.map"     // site@slot, or site|schedules that hold@slot → when the shift out of the zone ends, in seconds since 1970
	mapKeep      = "maps/keep.map"       // site → how long a client keeps its zone, in seconds
	mapSlots     = "maps/slots.map"      // zone → slot
	mapZoneNames = "maps/zone-names.map" // slot → zone
	mapFallbacks = "maps/fallbacks.map"  // site → backend
)

var zoneMapFiles = []string{mapHomes, mapHomeless, mapLeast, mapWeights, mapShifts, mapKeep, mapSlots, mapZoneNames, mapFallbacks}

// evenWeights are the shares of a site that says none.
var evenWeights = strings.TrimSuffix(strings.Repeat("1:", ir.Slots), ":")

// zones fills the maps of the group's zones and of shifts.
func (r *renderer) zones() {
	owner := "LoadBalancerGroup/" + r.node.Group.Name
	for i, zone := range r.node.Group.Zones {
		r.put(mapSlots, zone, strconv.Itoa(i+1), owner)
		r.put(mapZoneNames, strconv.Itoa(i+1), zone, owner)
	}
	for _, a := range r.node.Addresses {
		if slot := r.node.Group.Slot(a.HomeZone); slot > 0 {
			r.put(mapHomes, a.Name, strconv.Itoa(slot), "IPAddress/"+a.Name)
		}
	}
	r.shifted = map[string]bool{}
	until := map[string]int64{}
	for _, s := range r.node.Shifts {
		slot := r.node.Group.Slot(s.Zone)
		if slot == 0 {
			continue
		}
		for _, site := range s.Sites {
			r.shifted[fmt.Sprintf("%s@%d", site, slot)] = true
			for _, when := range r.shiftedWhen(&s, site) {
				key := fmt.Sprintf("%s@%d", when, slot)
				if end := s.ExpiresAt.Unix(); end > until[key] { // of several the one that lasts longest
					until[key] = end
					delete(r.maps[mapShifts], key)
					r.put(mapShifts, key, strconv.FormatInt(end, 10), "ZoneShift/"+s.Name)
				}
			}
		}
	}
}

// shiftedWhen gives what a site is looked up by while a shift has begun: of one that has a beginning in the times when that
// holds, of others always.
func (r *renderer) shiftedWhen(s *ir.Shift, site string) (keys []string) {
	t := r.times[site]
	if !s.From.IsZero() {
		for _, set := range t.with(shiftWindow(s.Name)) {
			keys = append(keys, timely(site, set))
		}
		return keys
	}
	keys = []string{site}
	if t != nil {
		for _, set := range t.sets {
			keys = append(keys, timely(site, set.id))
		}
	}
	return keys
}

// siteZones fills what a site says of zones.
func (r *renderer) siteZones(s *ir.Site) {
	g, owner := s.Routing, "Site/"+s.Name
	if g == nil {
		return
	}
	if g.MinHealthy > 1 {
		r.put(mapLeast, s.Name, strconv.Itoa(g.MinHealthy), owner)
	}
	if g.KeepZone > 0 && s.Mode == "http" {
		r.put(mapKeep, s.Name, strconv.Itoa(int(g.KeepZone.D().Seconds())), owner)
	}
	if g.NoHome {
		r.put(mapHomeless, s.Name, "1", owner)
	}
	if g.Weights != nil {
		words := slices.Repeat([]string{"0"}, ir.Slots)
		for i, w := range g.Weights {
			words[i] = strconv.Itoa(w)
		}
		r.put(mapWeights, s.Name, strings.Join(words, ":"), owner)
	}
	if name, ok := r.names[g.Fallback]; ok {
		r.put(mapFallbacks, s.Name, name, owner)
	}
}

// usualZones says whether the home zone takes what comes to a site at an address as long as it has servers: if so, one
// look-up decides.
func (r *renderer) usualZones(s *ir.Site, home int) bool {
	if g := s.Routing; g != nil && (g.MinHealthy > 1 || g.KeepZone > 0 || g.NoHome) {
		return false
	}
	return !r.shifted[fmt.Sprintf("%s@%d", s.Name, home)]
}
