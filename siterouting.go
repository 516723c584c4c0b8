package weir

import "time"

// SiteRouting says which zone a request of a site goes to.
type SiteRouting struct {
	// HomeZone is vip where a request belongs to the home zone of the address that it came to, or none where the shares
	// decide for every request; vip when left out.
	HomeZone string `json:"homeZone,omitempty"`
	// Weights are the shares of the zones, 0 to 1000 relative to each other, for what no home decides. A zone that is not
	// listed has none, and takes requests only when no listed one can; when left out all are alike.
	Weights map[string]int `json:"weights,omitempty"`
	// MinHealthy is how many servers up the pool of a zone needs for the zone to be available to its backend; 1 when left out.
	MinHealthy int `json:"minHealthy,omitempty"`
	// KeepZone is how long a cookie holds a client in the zone that answered it, in whole seconds; without it there is no
	// cookie. For http sites only: clients of the others keep their zone by their address.
	KeepZone Duration `json:"keepZone,omitempty"`
	// Fallback names the Pool that takes what no server of any zone can.
	Fallback string `json:"fallback,omitempty"`
}

// The home zones that SiteRouting can have.
const (
	HomeZoneVIP  = "vip"  // that of the address
	HomeZoneNone = "none" // nobody's
)

const (
	mostShare   = 1000    // of a zone's weight
	mostHealthy = 100_000 // of minHealthy
)

func (r *SiteRouting) normalize() {
	if r == nil {
		return
	}
	setDefault(&r.HomeZone, HomeZoneVIP)
	setDefault(&r.MinHealthy, 1)
}

// validateRouting checks what the routing says, and that it says it of zones that the site has.
func (s *Site) validateRouting(p *Problems) {
	r := s.Routing
	if r == nil {
		return
	}
	oneOf(p, "routing.homeZone", r.HomeZone, HomeZoneVIP, HomeZoneNone)
	between(p, "routing.minHealthy", r.MinHealthy, 1, mostHealthy)
	if r.KeepZone != 0 {
		if s.Mode != "http" {
			p.Add("routing.keepZone", "is a cookie, which only http sites have; clients of a %s site keep their zone by their address: leave it out", clip(s.Mode))
		}
		r.KeepZone.within(p, "routing.keepZone", time.Second, 365*24*time.Hour)
		wholeSeconds(p, "routing.keepZone", r.KeepZone)
	}
	if r.Fallback != "" {
		required(p, "routing.fallback", r.Fallback)
	}
	s.validateWeights(p)
}

func (s *Site) validateWeights(p *Problems) {
	some := false
	for _, zone := range sortedKeys(s.Routing.Weights) {
		path, share := "routing.weights."+clip(zone), s.Routing.Weights[zone]
		between(p, path, share, 0, mostShare)
		some = some || share > 0
		if !s.hasZone(zone) {
			p.Add(path, "no backend has a pool of zone %q; name one that has, or give a backend a pool there", clip(zone))
		}
	}
	if s.Routing.Weights != nil && !some {
		p.Add("routing.weights", "needs a zone with a share above 0; leave it out for equal shares")
	}
}

// hasZone says whether some backend names a pool for the zone.
func (s *Site) hasZone(zone string) bool {
	for _, b := range s.Backends {
		if _, ok := b.Zones[zone]; ok {
			return true
		}
	}
	return false
}

// ServesFrom says whether some pool of the site may serve in a zone: one of that zone, or one of all zones.
func (s *Site) ServesFrom(zone string) bool {
	for _, b := range s.Backends {
		if _, ok := b.Zones[zone]; ok || b.Zones == nil {
			return true
		}
	}
	return false
}

func wholeSeconds(p *Problems, path string, d Duration) {
	if d.D()%time.Second != 0 {
		p.Add(path, "%s is not a whole number of seconds", d)
	}
}
