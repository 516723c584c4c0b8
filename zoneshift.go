package weir

import (
	"slices"
	"time"
)

// ZoneShift takes the traffic of sites out of a zone until it expires, or while a Schedule holds. Exactly one of sites, role and all says whose.
type ZoneShift struct {
	// Sites are names of Sites.
	Sites []string `json:"sites,omitempty"`
	// Role shifts every Site of a role, those that are made later too.
	Role string `json:"role,omitempty"`
	// All shifts every Site.
	All bool `json:"all,omitempty"`
	// Zone is the one that the traffic leaves. While no other zone can take it, it stays.
	Zone   string `json:"zone"`
	Reason string `json:"reason"`
	// ExpiresAt is when it ends by itself, by the clock of the load balancer, also with the control plane and the agent away;
	// it begins at once. Required unless schedule is there.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// Schedule names a window of time that it holds in, in place of expiresAt; the Schedule needs until.
	Schedule string `json:"schedule,omitempty"`
}

// Normalize writes the expiry in UTC, in whole seconds, as load balancers hold it against their clocks.
func (z *ZoneShift) Normalize() { z.ExpiresAt = wholeSecond(z.ExpiresAt) }

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
	if z.Schedule != "" {
		required(p, "schedule", z.Schedule)
	}
	if z.Reason == "" {
		p.Add("reason", "is required: the next person wants to know why")
	}
	prose(p, "reason", z.Reason, 500)
	switch {
	case z.Schedule != "" && !z.ExpiresAt.IsZero():
		p.Add("schedule", "says when the shift ends; leave out expiresAt, or schedule")
	case z.Schedule == "" && z.ExpiresAt.IsZero():
		p.Add("expiresAt", "is required, such as 2030-01-31T12:00:00Z; or name a Schedule in spec.schedule")
	}
}

// Window gives when the shift holds: from zero for at once, until its end. What goes by a Schedule that the set does not
// hold never does.
func (z *ZoneShift) Window(set *Set) (from, until time.Time) {
	if z.Schedule == "" {
		return time.Time{}, z.ExpiresAt
	}
	if s := Find[Schedule](set, "Schedule", z.Schedule); s != nil {
		return s.From, s.Until
	}
	return time.Time{}, time.Time{}
}

// References are the sites, the role, the schedule and the zone.
func (z *ZoneShift) References() []Reference {
	list := each(nil, "sites", "Site", z.Sites)
	list = optional(list, "role", "Role", z.Role)
	list = optional(list, "schedule", "Schedule", z.Schedule)
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
