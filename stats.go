package weir

import (
	"net/netip"
	"regexp"
	"strconv"
)

// StatsPage is HAProxy's own page of statistics, at a port of its own at each load balancer.
type StatsPage struct {
	// Address is where each load balancer listens, as the machine has it; 127.0.0.1 when left out. The page speaks http
	// without TLS.
	Address netip.Addr `json:"address,omitzero"`
	// Port is one that no site of the group has.
	Port Port `json:"port"`
	// Users may see the page; there must be one at least.
	Users []StatsUser `json:"users"`
}

// StatsUser is one who may see the page of statistics.
type StatsUser struct {
	Name string `json:"name"`
	// PasswordHash is what "openssl passwd -6" makes of the password: SHA-512 or SHA-256 of crypt(3), with at most 20,000
	// rounds, since HAProxy counts them at each request. Whoever may read the Tuning sees it, so take a long random
	// password.
	PasswordHash string `json:"passwordHash"`
	// Admin may drain, stop and start servers on the page, which is told and undone as changes by other hands are; who
	// is not can only look.
	Admin bool `json:"admin,omitempty"`
}

// cryptHash is what crypt(3) takes as SHA-256 or SHA-512.
var cryptHash = regexp.MustCompile(`^\$(?:5|6)\$(?:rounds=([0-9]{4,6})\$)?[./A-Za-z0-9]{8,16}\$(?:[./A-Za-z0-9]{43}|[./A-Za-z0-9]{86})$`)

func (s *StatsPage) normalize() {
	if s == nil {
		return
	}
	if !s.Address.IsValid() {
		s.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if s.Address.Is4In6() {
		s.Address = s.Address.Unmap()
	}
}

func (s *StatsPage) validate(p *Problems, ports []BoundPort) {
	if s == nil {
		return
	}
	s.Port.check(p, "stats.port")
	for i, b := range ports {
		if b.Port == s.Port {
			p.Add("stats.port", "%d is ports[%d] already; the page needs one of its own", s.Port, i)
		}
	}
	if !s.Address.IsValid() || s.Address.Zone() != "" || s.Address.IsMulticast() {
		p.Add("stats.address", "must be an address that each load balancer has, such as 127.0.0.1")
	}
	if len(s.Users) == 0 {
		p.Add("stats.users", "needs one at least")
	}
	if len(s.Users) > 64 {
		p.Add("stats.users", "has %d users; 64 at most", len(s.Users))
	}
	seen := map[string]bool{}
	for i, u := range s.Users {
		path := index("stats.users", i)
		if u.Name == "" {
			p.Add(path+".name", "is required")
		}
		checkToken(p, path+".name", u.Name)
		if seen[u.Name] {
			p.Add(path+".name", "%q is listed twice", clip(u.Name))
		}
		seen[u.Name] = true
		m := cryptHash.FindStringSubmatch(u.PasswordHash)
		if m == nil {
			p.Add(path+".passwordHash", "is no hash as openssl passwd -6 makes; a password itself does not belong here")
		} else if rounds, _ := strconv.Atoi(m[1]); rounds > 20_000 {
			p.Add(path+".passwordHash", "has %d rounds; 20000 at most, since HAProxy serves nobody meanwhile", rounds)
		}
	}
}
