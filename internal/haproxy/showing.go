package haproxy

import (
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// Showing is a certificate at a port, and how a client on the load balancer itself gets to see it.
type Showing struct {
	// Certificate is its name, Path its file, Chain its PEM.
	Certificate, Path string
	Chain             weir.Chain
	// At are addresses of the site as this machine binds them.
	At []netip.AddrPort
	// Names are what a client may ask for: no wildcards.
	Names []string
	// Modern says that nothing below TLS 1.3 is spoken.
	Modern bool
	// Rivals are the chains that are in the list for a name, too, by the name: twins with a key of another kind, or one
	// of the same kind, of which HAProxy shows the first.
	Rivals map[string][]weir.Chain
}

// wildcardLabel stands for the star of a wildcard; that a site has just this name is of no harm.
const wildcardLabel = "weir-proof"

// Showings gives where the certificates in files are shown, by the lists of a configuration that was rendered of a
// node. One without an address that can be bound or without a name to ask for is left out.
func Showings(n *ir.Node, c *Config, env Env, files map[string]bool) []Showing {
	s := showings{node: n, env: env, certs: map[string]*Cert{}, sites: map[string]*ir.Site{}, addresses: map[string]netip.Addr{}, names: map[string][]string{}}
	for i := range c.Certs {
		if !c.Certs[i].Authority {
			s.certs[c.Certs[i].Path] = &c.Certs[i]
		}
	}
	for i := range n.Sites {
		s.sites["Site/"+n.Sites[i].Name] = &n.Sites[i]
	}
	for _, a := range n.Addresses {
		s.addresses[a.Name] = a.Address
	}
	for i := range n.Certificates {
		s.names[n.Certificates[i].Name] = n.Certificates[i].Names
	}
	r := renderer{node: *n, env: env}
	var out []Showing
	for _, p := range r.ports() {
		i := slices.IndexFunc(c.CrtLists, func(l CrtList) bool { return l.Path == crtListFile(p.number) })
		if i >= 0 {
			out = append(out, s.list(c.CrtLists[i].Entries, p.number, files)...)
		}
	}
	return out
}

type showings struct {
	node      *ir.Node
	env       Env
	certs     map[string]*Cert
	sites     map[string]*ir.Site
	addresses map[string]netip.Addr
	names     map[string][]string // of certificates
}

func (s *showings) list(entries []CrtEntry, p weir.Port, files map[string]bool) []Showing {
	var out []Showing
	byName := s.sharers(entries, files)
	for i := range entries {
		e := &entries[i]
		if !files[e.File] || s.certs[e.File] == nil {
			continue
		}
		c := s.certs[e.File]
		one := Showing{
			Certificate: c.Certificate, Path: c.Path, Chain: c.Chain, Names: s.asked(e), At: s.at(e.Owner, p),
			Modern: strings.Contains(e.Options, "ssl-min-ver TLSv1.3"), Rivals: map[string][]weir.Chain{},
		}
		if len(one.At) == 0 || len(one.Names) == 0 {
			continue
		}
		for _, name := range one.Names {
			for _, file := range byName[name] {
				if other := s.certs[file]; file != e.File && other != nil {
					one.Rivals[name] = append(one.Rivals[name], other.Chain)
				}
			}
		}
		out = append(out, one)
	}
	return out
}

// sharers gives all files that are in the list for a name, by the name, of those names that files are in it for.
func (s *showings) sharers(entries []CrtEntry, files map[string]bool) map[string][]string {
	byName := map[string][]string{}
	for i := range entries {
		if e := &entries[i]; files[e.File] {
			for _, name := range s.asked(e) {
				byName[name] = nil
			}
		}
	}
	for i := range entries {
		e := &entries[i]
		for _, name := range s.asked(e) {
			if list, ok := byName[name]; ok {
				byName[name] = append(list, e.File)
			}
		}
	}
	return byName
}

// asked gives the names of an entry as a client asks for them.
func (s *showings) asked(e *CrtEntry) []string {
	names := e.SNI
	if len(names) == 0 && s.certs[e.File] != nil {
		names = s.names[s.certs[e.File].Certificate]
	}
	out := make([]string, 0, len(names))
	for _, name := range names {
		canonical, err := weir.CanonicalHostname(name)
		if rest, ok := strings.CutPrefix(canonical, "*"); ok && err == nil {
			canonical = wildcardLabel + rest
		}
		if err == nil && canonical != wildcardLabel {
			out = append(out, canonical)
		}
	}
	return out
}

// at gives where a site's port is on this machine.
func (s *showings) at(owner string, p weir.Port) []netip.AddrPort {
	site := s.sites[owner]
	if site == nil || lacksNamespace(s.node.Self, s.env) {
		return nil
	}
	var out []netip.AddrPort
	for _, name := range site.Addresses {
		a, ok := s.addresses[name]
		if !ok {
			continue
		}
		at := netip.AddrPortFrom(LocalAddress(s.node.Self, a), uint16(LocalPort(s.node.Self, p)))
		if !s.env.Unbindable[at] {
			out = append(out, at)
		}
	}
	return out
}
