package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// Apply gives what a HAProxy that has have has after the plan: the model against which plans are checked. have
// stays as it is. A plan to reload brings what Diff was asked for; one that came through JSON no longer knows
// that and brings nothing. Operations on what is not there do nothing.
func Apply(p Plan, have haproxy.Config) haproxy.Config {
	if len(p.Reload) > 0 {
		if p.after == nil {
			return have
		}
		return *p.after
	}
	m := newModel(have)
	for i := range p.Ops {
		m.do(&p.Ops[i])
	}
	return m.config()
}

// model holds what operations have touched in a form that is quick to change; the rest is have's.
type model struct {
	have     haproxy.Config
	backends map[string]*modelBackend
	maps     map[string]*modelMap
	lists    map[string]*haproxy.CrtList
	certs    map[certKey]*haproxy.Cert // nil is gone
}

type certKey struct {
	path      string
	authority bool
}

type modelBackend struct {
	haproxy.Backend
	servers map[string]*haproxy.Server
	gone    bool
}

// modelMap holds the entries by key, of equal keys the first; or all in their order.
type modelMap struct {
	ordered bool
	list    []haproxy.Entry
	keys    map[string]haproxy.Entry
}

func newModel(have haproxy.Config) *model {
	return &model{
		have: have, backends: map[string]*modelBackend{}, maps: map[string]*modelMap{},
		lists: map[string]*haproxy.CrtList{}, certs: map[certKey]*haproxy.Cert{},
	}
}

func (m *model) do(o *Op) {
	switch o.Kind {
	case NewCA, NewCert, SetCA, SetCert, DelCA, DelCert:
		m.cert(o)
	case AddCrt, DelCrt:
		m.crt(o)
	case MapAdd, MapSet, MapDel, MapSwap:
		m.entry(o)
	case AddBackend:
		m.backends[o.Backend] = &modelBackend{
			Backend: haproxy.Backend{Name: o.Backend, Profile: o.Profile, Mode: o.Mode, Owner: o.Owner, Unpublished: true},
			servers: map[string]*haproxy.Server{},
		}
	case PublishBackend, UnpublishBackend:
		m.backend(o.Backend).Unpublished = o.Kind == UnpublishBackend
	case RemoveBackend:
		m.backend(o.Backend).gone = true
	case AddServer:
		m.backend(o.Backend).servers[o.Server] = &haproxy.Server{
			Name: o.Server, Address: o.Address, Options: o.Options, Check: o.Check, ID: o.ID, Weight: o.Weight,
			MaxConnections: o.MaxConnections, Maintenance: true, Owner: o.Owner,
		}
	case RemoveServer:
		delete(m.backend(o.Backend).servers, o.Server)
	case EnableServer, DisableServer, SetWeight, SetMaxConnections:
		if s := m.backend(o.Backend).servers[o.Server]; s != nil {
			setServer(s, o)
		}
	}
}

func setServer(s *haproxy.Server, o *Op) {
	switch o.Kind {
	case EnableServer:
		s.Maintenance, s.Drained, s.Unproven = false, false, false
	case DisableServer:
		s.Maintenance, s.Drained, s.Unproven = true, false, false
	case SetWeight:
		s.Weight = o.Weight
	case SetMaxConnections:
		s.MaxConnections = o.MaxConnections
	}
	s.Owner = o.Owner
}

// backend gives a backend to change; one that nobody has is gone from the start.
func (m *model) backend(name string) *modelBackend {
	if b := m.backends[name]; b != nil {
		return b
	}
	b := &modelBackend{servers: map[string]*haproxy.Server{}}
	b.gone = true
	for i := range m.have.Backends {
		if m.have.Backends[i].Name != name {
			continue
		}
		b.gone, b.Backend = false, m.have.Backends[i]
		for _, s := range b.Servers {
			b.servers[s.Name] = &s
		}
		break
	}
	m.backends[name] = b
	return b
}

func (m *model) cert(o *Op) {
	k := certKey{o.Path, o.Kind == NewCA || o.Kind == SetCA || o.Kind == DelCA}
	if o.Kind == DelCA || o.Kind == DelCert {
		m.certs[k] = nil
		return
	}
	m.certs[k] = &haproxy.Cert{
		Path: o.Path, Authority: k.authority, Digest: o.Digest, Certificate: o.Certificate, Chain: o.chain, Owner: o.Owner,
	}
}

func (m *model) crt(o *Op) {
	l := m.lists[o.Path]
	if l == nil {
		i := slices.IndexFunc(m.have.CrtLists, func(l haproxy.CrtList) bool { return l.Path == o.Path })
		if i < 0 {
			return
		}
		l = &haproxy.CrtList{Path: o.Path, Entries: slices.Clone(m.have.CrtLists[i].Entries)}
		m.lists[o.Path] = l
	}
	e := haproxy.CrtEntry{File: o.File, Options: o.Options, SNI: o.SNI, Owner: o.Owner}
	if o.Kind == AddCrt {
		l.Entries = append(l.Entries, e)
		return
	}
	if i := slices.IndexFunc(l.Entries, func(x haproxy.CrtEntry) bool { return sameCrt(x, e) }); i >= 0 {
		l.Entries = slices.Delete(l.Entries, i, i+1)
	}
}

func (m *model) entry(o *Op) {
	l := m.mapOf(o.Path)
	if l == nil {
		return
	}
	e := haproxy.Entry{Key: o.Key, Value: o.Value, Owner: o.Owner}
	switch o.Kind {
	case MapSwap:
		l.fill(o.Entries)
	case MapAdd:
		l.add(e)
	case MapSet:
		l.set(e)
	case MapDel:
		delete(l.keys, o.Key)
		l.list = slices.DeleteFunc(l.list, func(e haproxy.Entry) bool { return e.Key == o.Key })
	}
}

func (m *model) mapOf(path string) *modelMap {
	if l := m.maps[path]; l != nil {
		return l
	}
	i := slices.IndexFunc(m.have.Maps, func(l haproxy.Map) bool { return l.Path == path })
	if i < 0 {
		return nil
	}
	l := &modelMap{ordered: m.have.Maps[i].Ordered}
	l.fill(m.have.Maps[i].Entries)
	m.maps[path] = l
	return l
}

func (l *modelMap) fill(entries []haproxy.Entry) {
	if l.ordered {
		l.list = slices.Clone(entries)
		return
	}
	l.keys = make(map[string]haproxy.Entry, len(entries))
	for _, e := range entries {
		l.add(e)
	}
}

func (l *modelMap) add(e haproxy.Entry) {
	if l.ordered {
		l.list = append(l.list, e)
	} else if _, there := l.keys[e.Key]; !there {
		l.keys[e.Key] = e
	}
}

func (l *modelMap) set(e haproxy.Entry) {
	for i := range l.list {
		if l.list[i].Key == e.Key {
			l.list[i] = e
		}
	}
	if _, there := l.keys[e.Key]; there {
		l.keys[e.Key] = e
	}
}

func (l *modelMap) entries() []haproxy.Entry {
	if l.ordered {
		return l.list
	}
	list := make([]haproxy.Entry, 0, len(l.keys))
	for _, e := range l.keys {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b haproxy.Entry) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// config puts what was touched together with what was not.
func (m *model) config() haproxy.Config {
	c := m.have
	if len(m.backends) > 0 {
		c.Backends = m.allBackends()
	}
	if len(m.maps) > 0 {
		c.Maps = slices.Clone(c.Maps)
		for i := range c.Maps {
			if l := m.maps[c.Maps[i].Path]; l != nil {
				c.Maps[i].Entries = l.entries()
			}
		}
	}
	if len(m.lists) > 0 {
		c.CrtLists = slices.Clone(c.CrtLists)
		for i := range c.CrtLists {
			if l := m.lists[c.CrtLists[i].Path]; l != nil {
				slices.SortStableFunc(l.Entries, func(a, b haproxy.CrtEntry) int { return compareCrt(&a, &b) })
				c.CrtLists[i] = *l
			}
		}
	}
	if len(m.certs) > 0 {
		c.Certs = m.allCerts()
	}
	return c
}

func (m *model) allBackends() []haproxy.Backend {
	touched := make([]haproxy.Backend, 0, len(m.backends))
	for _, b := range m.backends {
		if b.gone {
			continue
		}
		b.Servers = make([]haproxy.Server, 0, len(b.servers))
		for _, s := range b.servers {
			b.Servers = append(b.Servers, *s)
		}
		slices.SortFunc(b.Servers, func(x, y haproxy.Server) int { return strings.Compare(x.Name, y.Name) })
		touched = append(touched, b.Backend)
	}
	byName := func(x, y *haproxy.Backend) int { return strings.Compare(x.Name, y.Name) }
	slices.SortFunc(touched, func(x, y haproxy.Backend) int { return byName(&x, &y) })
	list := make([]haproxy.Backend, 0, len(m.have.Backends)+len(touched))
	merge(m.have.Backends, touched, byName, func(h, t *haproxy.Backend) {
		switch {
		case t != nil:
			list = append(list, *t)
		case m.backends[h.Name] == nil:
			list = append(list, *h)
		}
	})
	return list
}

func (m *model) allCerts() []haproxy.Cert {
	list := slices.DeleteFunc(slices.Clone(m.have.Certs), func(c haproxy.Cert) bool {
		_, touched := m.certs[certKey{c.Path, c.Authority}]
		return touched
	})
	for _, c := range m.certs {
		if c != nil {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(x, y haproxy.Cert) int { return compareCerts(&x, &y) })
	return list
}
