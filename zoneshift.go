package weir

import (
	"slices"
	"time"
)

// ZoneShift takes the traffic of sites out of a zone until it expires. Exactly one of sites, role and all says whose.
type ZoneShift struct {
	// Sites are names of Sites.
	Sites []string `json:"sites,omitempty"`
	// Role shifts every Site of a role, those that are made later too.
	Role string `json:"role,omitempty"`
	// All shifts every Site.
	All bool `json:"all,omitempty"`
	// Zone is the one that the traffic leaves. While no other zone can take it, it stays.
	Zone      string    `json:"zone"`
	Reason    string    `json:"reason"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// Normalize writes the expiry in UTC, in whole seconds, as load balancers hold it against their clocks.
func (z *ZoneShift) Normalize() { z.ExpiresAt = z.ExpiresAt.UTC().Truncate(time.Second) }

// Validate checks that something is shifted, out of where, why, and until when.
func (z *ZoneShift) Validate(p *Problems) {
	set := 0
	for _, is := range []bool{len(z.Sites) > 0, z.Role != "", z.All} {
		if is {
			set++
		}
	}
	if set != 1 {
		p.Add("sites", "needs exactly one of sites, role and all")
	}
	names(p, "sites", z.Sites)
	if z.Role != "" {
		required(p, "role", z.Role)
	}
	required(p, "zone", z.Zone)
	if z.Reason == "" {
		p.Add("reason", "is required: the next person wants to know why")
	}
	prose(p, "reason", z.Reason, 500)
	if z.ExpiresAt.IsZero() {
		p.Add("expiresAt", "is required, such as 2030-01-31T12:00:00Z")
	}
}

// References are the sites, the role and the zone.
func (z *ZoneShift) References() []Reference {
	list := each(nil, "sites", "Site", z.Sites)
	list = optional(list, "role", "Role", z.Role)
	return optional(list, "zone", "Zone", z.Zone)
}

// Shifts says whether the shift, whose object belongs to a role, is about a Site. What belongs to a role shifts that
// role's Sites alone; only what belongs to none, and so is an admin's, shifts those of others.
func (z *ZoneShift) Shifts(role string, site *Object) bool {
	if role != "" && site.Metadata.Role != role {
		return false
	}
	return z.All || z.Role != "" && z.Role == site.Metadata.Role || slices.Contains(z.Sites, site.Metadata.Name)
}
