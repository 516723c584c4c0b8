package plan

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// world is what people want, small enough that two of them have much in common. Its config is what a renderer
// would make of it: digests in names, maps that route to backends, lists that show certificates.
type world struct {
	version  haproxy.Version
	ports    map[string]bool
	pools    map[string]*worldPool
	sites    map[string]*worldSite
	patterns []string          // pattern=pool
	certs    map[string]int    // generation
	lists    map[string]string // SNI to certificate and options, "www=ec[ssl-min-ver TLSv1.2]"
	ca       int
	bulk     string // a site with hundreds of hosts
	// fixedIDs lets a member keep its ID whatever form it has, fixedNames its name, so that its forms can't stand side by side.
	fixedIDs, fixedNames bool
}

type worldPool struct {
	profile string
	members map[string]*worldMember
}

type worldMember struct {
	address, options    string
	check, maintenance  bool
	weight, connections int
}

type worldSite struct {
	hosts  map[string]bool
	routes map[string][]string // path to pools
}

var (
	poolNames_   = []string{"api", "img", "web-az1", "web-az2"}
	memberNames  = []string{"a", "b", "c", "d"}
	siteNames    = []string{"blog", "shop", "www"}
	hostNames    = []string{"a.test", "b.test", "c.test", "d.test"}
	pathNames    = []string{"", "api", "img"}
	profileNames = []string{"p-hash", "p-least", "p-robin"}
	certNames    = []string{"ec", "old", "rsa"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func newWorld(r *rand.Rand) *world {
	w := &world{
		version: haproxy.Version{Major: 3, Minor: 4}, ports: map[string]bool{"80": true}, pools: map[string]*worldPool{},
		sites: map[string]*worldSite{}, certs: map[string]int{}, lists: map[string]string{},
	}
	for range 12 + r.IntN(30) {
		w.mutate(r)
	}
	return w
}

func newMember(r *rand.Rand) *worldMember {
	return &worldMember{
		address: fmt.Sprintf("10.0.0.%d:80", 1+r.IntN(9)), options: pick(r, []string{"inter 1s", "inter 2s", "ssl ca-file certs/ca.pem"}),
		check: r.IntN(3) > 0, maintenance: r.IntN(4) == 0, weight: pick(r, []int{0, 0, 1, 10, 100, 100}), connections: pick(r, []int{0, 0, 50}),
	}
}

// mutate makes one change, of the kinds that people and inventories make.
func (w *world) mutate(r *rand.Rand) {
	switch r.IntN(16) {
	case 0, 1:
		w.pools[pick(r, poolNames_)] = newPool(r)
	case 2:
		delete(w.pools, pick(r, poolNames_))
	case 3, 4, 11, 12, 13, 14:
		if p := w.pools[pick(r, poolNames_)]; p != nil {
			p.mutate(r)
		}
	case 5, 6:
		w.sites[pick(r, siteNames)] = &worldSite{hosts: map[string]bool{}, routes: map[string][]string{"": {pick(r, poolNames_)}}}
	case 7, 8:
		if s := w.sites[pick(r, siteNames)]; s != nil {
			s.mutate(r)
		}
	case 9:
		if r.IntN(2) == 0 {
			delete(w.sites, pick(r, siteNames))
		}
		w.patterns = slices.DeleteFunc(w.patterns, func(string) bool { return r.IntN(3) == 0 })
		w.patterns = slices.Insert(w.patterns, r.IntN(len(w.patterns)+1), pick(r, siteNames)+"/"+pick(r, pathNames)+"="+pick(r, poolNames_))
	case 10:
		w.certs[pick(r, certNames)] = r.IntN(3)
		w.ca = r.IntN(3)
		w.bulk = pick(r, append(siteNames, "", "", ""))
	default:
		sni := pick(r, hostNames)
		if delete(w.lists, sni); r.IntN(4) > 0 {
			w.lists[sni] = pick(r, certNames) + "=" + pick(r, []string{"", "ssl-min-ver TLSv1.2", "ssl-min-ver TLSv1.3"})
		}
	}
}

func newPool(r *rand.Rand) *worldPool {
	p := &worldPool{profile: pick(r, profileNames), members: map[string]*worldMember{}}
	for range 1 + r.IntN(3) {
		p.members[pick(r, memberNames)] = newMember(r)
	}
	return p
}

func (p *worldPool) mutate(r *rand.Rand) {
	name := pick(r, memberNames)
	if len(p.members) > 0 && r.IntN(4) > 0 {
		name = pick(r, slices.Sorted(maps.Keys(p.members)))
	}
	m := p.members[name]
	switch {
	case r.IntN(5) == 0:
		p.profile = pick(r, profileNames)
	case m == nil || r.IntN(6) == 0:
		p.members[name] = newMember(r)
	case r.IntN(6) == 0:
		delete(p.members, name)
	case r.IntN(4) == 0:
		m.options = newMember(r).options
	default:
		c := newMember(r)
		c.maintenance = r.IntN(3) == 0
		m.weight, m.maintenance, m.connections = c.weight, c.maintenance, c.connections
	}
}

func (s *worldSite) mutate(r *rand.Rand) {
	host, path := pick(r, hostNames), pick(r, pathNames)
	switch r.IntN(4) {
	case 0:
		s.hosts[host] = !s.hosts[host]
	case 1:
		if delete(s.routes, path); path == "" {
			s.routes[path] = []string{pick(r, poolNames_)}
		}
	case 2:
		s.routes[path] = []string{pick(r, poolNames_), pick(r, poolNames_)}
	default:
		s.hosts[host] = true
		s.routes[path] = []string{pick(r, poolNames_)}
	}
}

// clone copies a world, so that a walk can go on from it.
func (w *world) clone() *world {
	c := *w
	c.ports, c.certs, c.lists = maps.Clone(w.ports), maps.Clone(w.certs), maps.Clone(w.lists)
	c.patterns = slices.Clone(w.patterns)
	c.pools, c.sites = map[string]*worldPool{}, map[string]*worldSite{}
	for n, p := range w.pools {
		q := &worldPool{profile: p.profile, members: map[string]*worldMember{}}
		for k, m := range p.members {
			copied := *m
			q.members[k] = &copied
		}
		c.pools[n] = q
	}
	for n, s := range w.sites {
		c.sites[n] = &worldSite{hosts: maps.Clone(s.hosts), routes: maps.Clone(s.routes)}
	}
	return &c
}

// testDigest is as haproxy's own, of two more letters so that no two collide by chance in a test.
func testDigest(parts ...string) string {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(parts, "\x00")))
	return fmt.Sprintf("%016x", h.Sum64())
}

func (p *worldPool) backendName(name string) string { return name + "." + testDigest(p.profile)[:4] }

// config renders the world.
func (w *world) config() haproxy.Config {
	c := haproxy.Config{Version: w.version, Sections: w.sections()}
	checks := haproxy.Map{Path: "maps/hc_path"}
	for _, name := range slices.Sorted(maps.Keys(w.pools)) {
		b := w.pools[name].backend(name)
		if w.fixedIDs {
			for i := range b.Servers {
				base := haproxy.BaseName(b.Servers[i].Name)
				b.Servers[i].ID = 1 + slices.Index(memberNames, base)
				if w.fixedNames {
					b.Servers[i].Name = base + ".same"
				}
			}
		}
		c.Backends = append(c.Backends, b)
		checks.Entries = append(checks.Entries, haproxy.Entry{Key: b.Name, Value: "/ping/" + name})
	}
	slices.SortFunc(checks.Entries, func(a, b haproxy.Entry) int { return strings.Compare(a.Key, b.Key) })
	hosts, routes := w.routing()
	c.Maps = []haproxy.Map{checks, hosts, w.patternMap(), routes, {Path: "maps/wild", Entries: w.wild()}}
	if w.trusts() {
		c.Certs = []haproxy.Cert{{Path: "certs/ca.pem", Authority: true, Digest: fmt.Sprint("ca", w.ca), Certificate: "ca"}}
	}
	for _, n := range slices.Sorted(maps.Keys(w.certs)) {
		c.Certs = append(c.Certs, haproxy.Cert{Path: "certs/" + n + ".pem", Digest: fmt.Sprint(n, w.certs[n]), Certificate: n, Owner: "Certificate/" + n})
	}
	c.CrtLists = []haproxy.CrtList{w.crtList()}
	return c
}

// trusts says that some member is reached by TLS.
func (w *world) trusts() bool {
	for _, p := range w.pools {
		for _, m := range p.members {
			if strings.Contains(m.options, "ca-file") {
				return true
			}
		}
	}
	return false
}

func (w *world) sections() []haproxy.Section {
	list := []haproxy.Section{{Kind: "global", Lines: []haproxy.Line{{Text: "maxconn 1000"}}}}
	for _, p := range profileNames {
		list = append(list, haproxy.Section{Kind: "defaults", Name: p, Lines: []haproxy.Line{{Text: "mode http"}}, Spare: true})
	}
	for _, p := range slices.Sorted(maps.Keys(w.ports)) {
		list = append(list, haproxy.Section{Kind: "frontend", Name: "http-" + p, Lines: []haproxy.Line{{Text: "bind 127.0.0.1:" + p}}})
	}
	return list
}

func (p *worldPool) backend(name string) haproxy.Backend {
	b := haproxy.Backend{Name: p.backendName(name), Profile: p.profile, Mode: "http", Owner: "Pool/" + name}
	for _, n := range slices.Sorted(maps.Keys(p.members)) {
		m := p.members[n]
		options := m.options
		if m.check {
			options = "check " + options
		}
		d := testDigest(m.address, options)
		id := 0
		fmt.Sscanf(testDigest(n, d)[:7], "%x", &id)
		b.Servers = append(b.Servers, haproxy.Server{
			Name: n + "." + d[:4], Address: m.address, Options: options, Check: m.check, ID: id + 1,
			Weight: m.weight, MaxConnections: m.connections, Maintenance: m.maintenance, Owner: "Server/" + n,
		})
	}
	return b
}

// leads gives the value that names the pools there are, false when there are none.
func (w *world) leads(pools []string) (string, bool) {
	var names []string
	for _, n := range pools {
		if p := w.pools[n]; p != nil && !slices.Contains(names, p.backendName(n)) {
			names = append(names, p.backendName(n))
		}
	}
	return strings.Join(names, "|"), len(names) > 0
}

func (w *world) routing() (hosts, routes haproxy.Map) {
	taken, paths := map[string]string{}, map[string]string{}
	for _, n := range slices.Sorted(maps.Keys(w.sites)) {
		for path, pools := range w.sites[n].routes {
			if v, ok := w.leads(pools); ok {
				paths[n+"/"+path] = v
			}
		}
		for h, on := range w.sites[n].hosts {
			if on {
				taken[h] = n
			}
		}
	}
	for i := range 250 {
		if w.sites[w.bulk] != nil {
			taken[fmt.Sprintf("%03d.bulk.test", i)] = w.bulk
		}
	}
	return haproxy.Map{Path: "maps/hosts", Entries: entries(taken)}, haproxy.Map{Path: "maps/routes", Entries: entries(paths)}
}

func entries(m map[string]string) []haproxy.Entry {
	var list []haproxy.Entry
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, haproxy.Entry{Key: k, Value: m[k]})
	}
	return list
}

// wild sends every host that nobody has taken to the first site.
func (w *world) wild() []haproxy.Entry {
	for _, n := range slices.Sorted(maps.Keys(w.sites)) {
		return []haproxy.Entry{{Key: ".test", Value: n}}
	}
	return nil
}

func (w *world) patternMap() haproxy.Map {
	m := haproxy.Map{Path: "maps/patterns", Ordered: true}
	for _, p := range w.patterns {
		key, pool, _ := strings.Cut(p, "=")
		_, twice := lookup(m.Entries, key)
		if v, ok := w.leads([]string{pool}); ok && !twice {
			m.Entries = append(m.Entries, haproxy.Entry{Key: key, Value: v})
		}
	}
	return m
}

func (w *world) crtList() haproxy.CrtList {
	l := haproxy.CrtList{Path: "lists/443"}
	for _, sni := range slices.Sorted(maps.Keys(w.lists)) {
		cert, options, _ := strings.Cut(w.lists[sni], "=")
		if _, ok := w.certs[cert]; ok {
			l.Entries = append(l.Entries, haproxy.CrtEntry{File: "certs/" + cert + ".pem", Options: options, SNI: []string{sni}})
		}
	}
	slices.SortFunc(l.Entries, func(a, b haproxy.CrtEntry) int { return compareCrt(&a, &b) })
	return l
}
