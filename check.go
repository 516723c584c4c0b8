package weir

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// MaxZones is how many zones one load-balancer group can span: the rules in haproxy.cfg have that many places.
const MaxZones = 8

// MaxPorts is how many ports one load-balancer group can listen at: each is a frontend of some fifty rules.
const MaxPorts = 256

// named is how many objects a message names before it only says that there are more.
const named = 5

// Check reports the rules between objects that after breaks, looking only at what the objects written can have
// broken: before is the set without them, after with them, and written names what was put or deleted. Each
// object put must have passed Validate. An empty list means that after may be stored.
func Check(before, after *Set, written []Ref) []Problem {
	c := &checker{before: before, after: after, written: make(map[Ref]bool, len(written))}
	for _, r := range written {
		c.written[r] = true
	}
	// In order, so that the same change is always refused in the same words.
	order := slices.SortedFunc(maps.Keys(c.written), func(a, b Ref) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	for _, r := range order {
		c.object(r, before.Get(r), after.Get(r))
	}
	c.checkGroups()
	c.checkAdmins()
	return c.problems.List()
}

type checker struct {
	before, after *Set
	written       map[Ref]bool
	problems      Problems
	// groups are those whose ports, names or zones may be wrong now, with what put them at risk.
	groups map[string]*groupCheck
	// addresses finds an IPAddress by its address; it is made when the first one is asked for.
	addresses map[string][]string
	// full are the quotas that have been reported, as "role\x00kind".
	full map[string]bool
	// orders are what sites want ordered; they are made when somebody asks first.
	orders map[string]Wanted
	// shares says of two roles whether a server of the one is shared with the other, as far as anybody has asked.
	shares map[[2]string]bool
}

func (c *checker) add(o Ref, path, format string, args ...any) {
	p := Problems{Object: o.String()}
	p.Add(path, format, args...)
	c.problems.Append(p.list...)
}

func (c *checker) object(r Ref, old, now *Object) {
	if now == nil {
		if old != nil {
			c.deleted(r)
			c.stillWanted(old)
			if r.Kind == "IdentityProvider" {
				c.identityProvider(r, old, nil)
			}
		}
		return
	}
	c.references(now)
	c.quota(old, now)
	if old != nil {
		c.lostRights(old, now)
	}
	switch spec := now.Spec.(type) {
	case *Site:
		c.site(now, spec)
		c.siteEgress(now, spec)
		c.siteLists(now, spec)
		c.logicOf(now)
		c.routing(now, spec)
		c.stillShifted(old, now)
	case *Pool:
		c.pool(old, now, spec)
		c.logicOf(now)
	case *Route:
		c.route(now, spec)
	case *Logic:
		c.logic(now)
	case *RateLimit:
		c.rateLimit(now, spec)
	case *AccessList:
		c.accessList(now, spec)
	case *Certificate:
		c.certificate(old, now, spec)
	case *Issuer:
		c.issuer(now, spec)
	case *IdentityProvider:
		c.identityProvider(r, old, now)
	case *DiscoverySource:
		c.discoverySource(now, spec)
	case *IPAddress:
		c.ipAddress(old, now, spec)
		c.addressEgress(now)
	case *Override:
		c.override(now, spec)
	case *Split:
		c.split(now, spec)
	case *Schedule:
		c.schedule(now, spec)
	case *EgressClient:
		c.egressClient(now, spec)
		c.rulesOf(now)
	case *Partner:
		c.partner(now, spec)
	case *EgressRule:
		c.egressRule(now, spec)
	case *ZoneShift:
		c.zoneShift(now, spec)
	case *Role:
		c.role(old, now, spec)
	case *LoadBalancer:
		c.loadBalancer(now, spec)
	case *LoadBalancerGroup:
		c.group(old, now, spec)
	case *Tuning:
		c.tuning(now)
	case *Token:
		c.token(now, spec)
	}
}

// references: everything that an object names is there, and its role may name it.
func (c *checker) references(o *Object) {
	for _, r := range o.References() {
		target := c.after.Get(r.Ref)
		if target == nil {
			c.add(o.Ref(), r.Path, "%s %q does not exist; create it in the same change, or name another", r.Kind, clip(r.Name))
		} else if !mayRefer(o, target) {
			c.add(o.Ref(), r.Path, "%s belongs to role %s, which does not share it with role %s: its owner must add that to metadata.shareWith",
				r.Ref, target.Metadata.Role, o.Metadata.Role)
		} else if target.Kind == "Certificate" && target.Metadata.ManagedBy == ManagedByWeir {
			c.add(o.Ref(), r.Path, "%s comes and goes with the host names of sites that say certificates: auto, and can't be named; say that word at a listener, or name a Certificate of your own", r.Ref)
		}
	}
}

// deleted: nothing that stays may name what goes.
func (c *checker) deleted(r Ref) {
	var list sample
	for other := range c.after.Referrers(r) {
		if list.add(other.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(r, "", "can't be deleted: %s to it; change or delete %s in the same change", list.refer(), list.them())
	}
}

// lostRights: who refers to an object that changed hands, or is shared with fewer, must still be allowed to.
// Referrers that were written too report it themselves.
func (c *checker) lostRights(old, now *Object) {
	gone := slices.ContainsFunc(old.Metadata.ShareWith, func(s string) bool { return !slices.Contains(now.Metadata.ShareWith, s) })
	if old.Metadata.Role == now.Metadata.Role && !gone {
		return
	}
	var list sample
	for r := range c.after.Referrers(now.Ref()) {
		if c.written[r] {
			continue
		}
		if o := c.after.Get(r); o != nil && !mayRefer(o, now) && list.add(r.String()) {
			break
		}
	}
	if list.empty() {
		return
	}
	path := "metadata.shareWith"
	if old.Metadata.Role != now.Metadata.Role {
		path = "metadata.role"
	}
	c.add(now.Ref(), path, "%s to it and would no longer be allowed to; change %s first, or keep sharing it with their roles", list.refer(), list.them())
}

// sample collects names for a message, up to a number that can be read.
type sample struct {
	names []string
	more  bool
}

// add takes a name and says whether there is no use in finding more.
func (s *sample) add(name string) bool {
	if slices.Contains(s.names, name) {
		return false
	}
	if len(s.names) == named {
		s.more = true
		return true
	}
	s.names = append(s.names, name)
	return false
}

func (s *sample) empty() bool { return len(s.names) == 0 }

// refer and them bend to how many there are.
func (s sample) refer() string {
	if len(s.names) == 1 && !s.more {
		return s.String() + " refers"
	}
	return s.String() + " refer"
}

func (s sample) them() string {
	if len(s.names) == 1 && !s.more {
		return "it"
	}
	return "them"
}

// String gives "a, b and c", or "a, b, c, d, e and others".
func (s sample) String() string {
	list := s.names
	if s.more {
		list = append(slices.Clone(list), "others")
	}
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}
