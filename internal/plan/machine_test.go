package plan

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// machine is a HAProxy as strict as the real one: it refuses what HAProxy refuses, and knows which servers take
// traffic. Its checks are the worst that can be: a new server comes up when it is waited for, never before.
type machine struct {
	config   haproxy.Config // version and sections
	backends map[string]*machineBackend
	maps     map[string][]haproxy.Entry
	ordered  map[string]bool
	certs    map[certKey]string // digest, "" is empty
	lists    map[string][]haproxy.CrtEntry
}

// onDisk stands for the digest of a file that is no certificate of anybody's.
const onDisk = "on disk"

type machineBackend struct {
	haproxy.Backend
	published bool
	servers   map[string]*machineServer
}

type machineServer struct {
	haproxy.Server
	checked bool // health checks run
	up      bool
}

func (s *machineServer) serves() bool { return serves(&s.Server) && s.up }

// newMachine starts a machine that has had the configuration for a while: what is checked has been found up.
func newMachine(c haproxy.Config) *machine {
	m := &machine{
		config: c, backends: map[string]*machineBackend{}, maps: map[string][]haproxy.Entry{}, ordered: map[string]bool{},
		certs: map[certKey]string{}, lists: map[string][]haproxy.CrtEntry{},
	}
	for _, b := range c.Backends {
		mb := &machineBackend{Backend: b, published: true, servers: map[string]*machineServer{}}
		for _, s := range b.Servers {
			up := !s.Check || !s.Maintenance && !s.Unproven
			s.Unproven = false // known to who looks, not to HAProxy
			mb.servers[s.Name] = &machineServer{Server: s, checked: s.Check, up: up}
		}
		m.backends[b.Name] = mb
	}
	for _, l := range c.Maps {
		m.maps[l.Path], m.ordered[l.Path] = slices.Clone(l.Entries), l.Ordered
	}
	for _, f := range c.Certs {
		m.certs[keyOfCert(f)] = f.Digest
	}
	for _, l := range c.CrtLists {
		for _, e := range l.Entries { // files that are on disk from the start
			if !managed(c.Certs, e.File) {
				m.certs[certKey{path: e.File}] = onDisk
			}
		}
		m.lists[l.Path] = slices.Clone(l.Entries)
	}
	return m
}

// do carries out one operation, or refuses it as HAProxy would.
func (m *machine) do(o *Op) error {
	switch o.Kind {
	case NewCA, SetCA, DelCA, NewCert, SetCert, DelCert:
		return m.file(o)
	case AddCrt, DelCrt:
		return m.list(o)
	case MapAdd, MapSet, MapDel, MapSwap:
		return m.entry(o)
	case AddBackend:
		return m.addBackend(o)
	}
	b := m.backends[o.Backend]
	if b == nil {
		return fmt.Errorf("no such backend")
	}
	switch o.Kind {
	case PublishBackend, UnpublishBackend:
		if b.published == (o.Kind == PublishBackend) {
			return fmt.Errorf("published already or not at all")
		}
		b.published = o.Kind == PublishBackend
		return nil
	case RemoveBackend:
		if b.published || len(b.servers) > 0 {
			return fmt.Errorf("published or not empty")
		}
		delete(m.backends, o.Backend)
		return nil
	case AddServer:
		return m.addServer(b, o)
	case WaitUp:
		return b.waitUp(o.Servers)
	default:
		return b.server(o)
	}
}

func (m *machine) file(o *Op) error {
	k := certKey{o.Path, o.Kind == NewCA || o.Kind == SetCA || o.Kind == DelCA}
	_, there := m.certs[k]
	if there == (o.Kind == NewCA || o.Kind == NewCert) {
		return fmt.Errorf("file known already, or not known")
	}
	switch o.Kind {
	case NewCA, NewCert:
		m.certs[k] = ""
	case SetCA, SetCert:
		m.certs[k] = o.Digest
	default:
		if m.uses(o.Path) {
			return fmt.Errorf("certificate is in use")
		}
		delete(m.certs, k)
	}
	return nil
}

func (m *machine) uses(path string) bool {
	for _, l := range m.lists {
		if slices.ContainsFunc(l, func(e haproxy.CrtEntry) bool { return e.File == path }) {
			return true
		}
	}
	for _, b := range m.backends {
		for _, s := range b.servers {
			if slices.Contains(strings.Fields(s.Options), path) {
				return true
			}
		}
	}
	return false
}

func (m *machine) list(o *Op) error {
	l, ok := m.lists[o.Path]
	if !ok {
		return fmt.Errorf("no such list")
	}
	e := haproxy.CrtEntry{File: o.File, Options: o.Options, SNI: o.SNI}
	i := slices.IndexFunc(l, func(x haproxy.CrtEntry) bool { return sameCrt(x, e) })
	if o.Kind == AddCrt {
		if m.certs[certKey{path: o.File}] == "" {
			return fmt.Errorf("certificate is empty")
		}
		m.lists[o.Path] = append(l, e)
		return nil
	}
	if i < 0 {
		return fmt.Errorf("no such line")
	}
	m.lists[o.Path] = slices.Delete(l, i, i+1)
	return nil
}

func (m *machine) entry(o *Op) error {
	l, ok := m.maps[o.Path]
	if !ok {
		return fmt.Errorf("no such map")
	}
	i := slices.IndexFunc(l, func(e haproxy.Entry) bool { return e.Key == o.Key })
	switch {
	case o.Kind == MapSwap:
		m.maps[o.Path] = slices.Clone(o.Entries)
	case (i >= 0) == (o.Kind == MapAdd):
		return fmt.Errorf("key there already, or not there")
	case o.Kind == MapAdd:
		m.maps[o.Path] = append(l, haproxy.Entry{Key: o.Key, Value: o.Value})
	case o.Kind == MapSet:
		l[i].Value = o.Value
	default:
		m.maps[o.Path] = slices.Delete(l, i, i+1)
	}
	return nil
}

func (m *machine) addBackend(o *Op) error {
	profile := func(s haproxy.Section) bool { return s.Kind == "defaults" && plainName(&s) == o.Profile }
	switch {
	case m.backends[o.Backend] != nil:
		return fmt.Errorf("name is taken")
	case !m.config.Version.Capabilities().DynamicBackends:
		return fmt.Errorf("unknown command")
	case !slices.ContainsFunc(m.config.Sections, profile):
		return fmt.Errorf("no such profile")
	}
	b := haproxy.Backend{Name: o.Backend, Profile: o.Profile, Mode: o.Mode}
	m.backends[o.Backend] = &machineBackend{Backend: b, servers: map[string]*machineServer{}}
	return nil
}

func (m *machine) addServer(b *machineBackend, o *Op) error {
	if b.servers[o.Server] != nil {
		return fmt.Errorf("name is taken")
	}
	for _, s := range b.servers {
		if s.ID == o.ID && o.ID != 0 {
			return fmt.Errorf("ID is taken by %s", s.Name)
		}
	}
	f := strings.Fields(o.Options)
	if i := slices.Index(f, "ca-file"); i >= 0 && f[i+1] != "@system-ca" && m.certs[certKey{f[i+1], true}] == "" {
		return fmt.Errorf("ca-file is not loaded")
	}
	b.servers[o.Server] = &machineServer{up: !o.Check, Server: haproxy.Server{
		Name: o.Server, Address: o.Address, Options: o.Options, Check: o.Check, ID: o.ID, Weight: o.Weight,
		MaxConnections: o.MaxConnections, Maintenance: true,
	}}
	return nil
}

func (b *machineBackend) server(o *Op) error {
	s := b.servers[o.Server]
	if s == nil {
		return fmt.Errorf("no such server")
	}
	switch o.Kind {
	case EnableHealth:
		s.checked = true
	case EnableServer:
		s.up = !s.Check || s.up && !s.Maintenance
		s.Maintenance = false
	case DisableServer:
		s.Maintenance, s.up = true, !s.Check
	case SetWeight:
		s.Weight = o.Weight
	case SetMaxConnections:
		s.MaxConnections = o.MaxConnections
	case RemoveServer:
		if !s.Maintenance {
			return fmt.Errorf("server is not in maintenance")
		}
		delete(b.servers, o.Server)
	default:
		return fmt.Errorf("unknown operation")
	}
	return nil
}

func (b *machineBackend) waitUp(names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("waits for nothing")
	}
	for _, n := range names {
		s := b.servers[n]
		if s == nil || s.Maintenance || !s.checked || !s.Check {
			return fmt.Errorf("%s can't come up", n)
		}
		s.up = true
	}
	return nil
}

// has gives what the machine has, as a configuration.
func (m *machine) has() haproxy.Config {
	c := haproxy.Config{Version: m.config.Version, Sections: m.config.Sections}
	for _, b := range m.backends {
		out := b.Backend
		if out.Servers = nil; !b.published {
			out.Name = "unpublished " + out.Name
		}
		for _, s := range b.servers {
			server := s.Server
			if s.Check && !s.checked && !s.Maintenance {
				server.Options += " (checks don't run)"
			}
			out.Servers = append(out.Servers, server)
		}
		c.Backends = append(c.Backends, out)
	}
	for path, l := range m.maps {
		c.Maps = append(c.Maps, haproxy.Map{Path: path, Ordered: m.ordered[path], Entries: l})
	}
	for k, digest := range m.certs {
		if digest == onDisk {
			continue
		}
		c.Certs = append(c.Certs, haproxy.Cert{Path: k.path, Authority: k.authority, Digest: digest})
	}
	for path, l := range m.lists {
		c.CrtLists = append(c.CrtLists, haproxy.CrtList{Path: path, Entries: l})
	}
	return c
}

// lookup gives the value of a key.
func lookup(entries []haproxy.Entry, key string) (string, bool) {
	for _, e := range entries {
		if e.Key == key {
			return e.Value, true
		}
	}
	return "", false
}

// site gives the site of a host: the host's own entry, or the wildcard's.
func (m *machine) site(host string) (string, bool) {
	if site, ok := lookup(m.maps["maps/hosts"], host); ok {
		return site, true
	}
	return lookup(m.maps["maps/wild"], host[strings.IndexByte(host, '.'):])
}

// leadsTo gives the backends that a request is sent to, best first, as the frontends of a generated world do it:
// host to site; then the first pattern of the ordered map, or site and path, or the site alone, to backends.
func (m *machine) leadsTo(host, path string) []string {
	site, ok := m.site(host)
	if !ok {
		return nil
	}
	for _, e := range m.maps["maps/patterns"] {
		if strings.HasPrefix(site+"/"+path, e.Key) {
			return strings.Split(e.Value, "|")
		}
	}
	value, ok := lookup(m.maps["maps/routes"], site+"/"+path)
	if !ok {
		if value, ok = lookup(m.maps["maps/routes"], site+"/"); !ok {
			return nil
		}
	}
	return strings.Split(value, "|")
}

// answers says that some server takes the request.
func (m *machine) answers(host, path string) bool {
	return slices.ContainsFunc(m.leadsTo(host, path), m.canServe)
}

func (m *machine) canServe(backend string) bool {
	b := m.backends[backend]
	if b == nil || !b.published {
		return false
	}
	for _, s := range b.servers {
		if s.serves() {
			return true
		}
	}
	return false
}
