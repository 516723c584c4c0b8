package weir

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// RegistrationTerms bind a token with which servers register themselves.
type RegistrationTerms struct {
	// Role owns the servers that are registered.
	Role string `json:"role"`
	// Zone is the only zone of these servers; left out, they name theirs.
	Zone string `json:"zone,omitempty"`
	// Clusters are those that these servers may be in, which they are all in unless they name some; left out, they name
	// any.
	Clusters []string `json:"clusters,omitempty"`
	// Names are the names that may be registered, with * for any characters: web-az1-*.
	Names []string `json:"names"`
	// Networks are where servers may register from, and where the addresses lie that they may register; left out,
	// anywhere.
	Networks []netip.Prefix `json:"networks,omitempty"`
	// AnyAddress lets servers register another address than the one that they ask from.
	AnyAddress bool `json:"anyAddress,omitempty"`
	// Forget is how long a server that is withdrawn or stale, and silent, is kept before it is deleted, unless it is needed:
	// 1m to 8784h, or 0s for ever; a day when left out.
	Forget *Duration `json:"forget,omitempty"`
}

// UsualForget is how long a server that is gone is kept where no token says so.
const UsualForget = Duration(24 * time.Hour)

// Forgets is how long a server that is gone is kept, 0 for ever. No terms are those of a token that is gone too.
func (r *RegistrationTerms) Forgets() time.Duration {
	if r == nil || r.Forget == nil {
		return UsualForget.D()
	}
	return r.Forget.D()
}

func (r *RegistrationTerms) normalize() {
	maskAll(r.Networks)
	if r.Forget == nil {
		r.Forget = new(UsualForget)
	}
}

// maxNamePatterns bounds what a name is held against.
const maxNamePatterns = 100

func (r *RegistrationTerms) validate(p *Problems) {
	required(p, "registration.role", r.Role)
	if r.Zone != "" {
		required(p, "registration.zone", r.Zone)
	}
	names(p, "registration.clusters", r.Clusters)
	if len(r.Names) == 0 {
		p.Add("registration.names", "is required: say which names may be registered, such as web-az1-*; * alone is any")
	}
	if len(r.Names) > maxNamePatterns {
		p.Add("registration.names", "has %d patterns; at most %d are allowed", len(r.Names), maxNamePatterns)
	}
	unique(p, "registration.names", r.Names)
	for i, pattern := range r.Names {
		// What stands for the star must fit a name wherever it is.
		if pattern == "" || CheckName(strings.ReplaceAll(pattern, "*", "x")) != nil {
			p.Add(index("registration.names", i), "%q must be a name, in which * stands for any characters, such as web-az1-*", clip(pattern))
		}
	}
	if len(r.Networks) > 0 {
		checkPrefixes(p, "registration.networks", r.Networks)
	}
	if f := r.Forgets(); f != 0 && (f < time.Minute || f > year+24*time.Hour) {
		p.Add("registration.forget", "%s is neither from 1m to 8784h nor 0s, which is for ever", Duration(f))
	}
}

// MayName says whether a server of this name may be registered.
func (r *RegistrationTerms) MayName(name string) bool {
	return CheckName(name) == nil && slices.ContainsFunc(r.Names, func(pattern string) bool { return like(pattern, name) })
}

// Reaches says whether an address lies in the networks.
func (r *RegistrationTerms) Reaches(a netip.Addr) bool {
	return len(r.Networks) == 0 || slices.ContainsFunc(r.Networks, func(n netip.Prefix) bool { return n.Contains(a.Unmap()) })
}

// like holds a name against a pattern, in which * stands for any characters, or none.
func like(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	last := len(parts) - 1
	if !ok || last == 0 {
		return ok && rest == ""
	}
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[last])
}
