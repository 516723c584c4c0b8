package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"weir"
	"weir/internal/ir"
)

// Env is what the machine adds to a node: who HAProxy runs as, and where its log goes.
type Env struct {
	Version Version
	// User and Group are what workers run as; empty when HAProxy is not started by root.
	User, Group string
	Log         Log
	// Unbindable are addresses that this machine can't listen at: they are left out, all others serve.
	Unbindable map[netip.AddrPort]bool
	// UnbindableUDP are those where it can't for QUIC alone: HTTP/3 is left out there, and nothing else.
	UnbindableUDP map[netip.AddrPort]bool
	// NoNamespace is the network namespace that can't be entered, "" for none: what listens there is left out.
	NoNamespace string
	// Home is the absolute path of the load balancer's folder where HAProxy runs elsewhere, as one that systemd started
	// does; empty when it runs there.
	Home string
	// SocketUser is the number of the account that the run-time socket belongs to; empty for the one that HAProxy has.
	SocketUser string
	// TicketKeys is the absolute path of the file of TLS ticket keys, which must be there whenever HAProxy reads its
	// configuration; empty lets each HAProxy draw keys of its own.
	TicketKeys string
}

// Log is where the frontends' lines go and what is in them; the zero value is no log.
type Log struct {
	// Target is a whole log directive.
	Target string
	// The formats are log-format strings without single quotes.
	HTTPFormat, TCPFormat, ErrorFormat string
	// HTTPSFormat and TLSFormat are those of frontends that end TLS, of mode http and tcp; empty for the others' ones.
	HTTPSFormat, TLSFormat string
	// CallItems go before the closing brace of the formats of mode http in frontends with a way out.
	CallItems string
}

// The files of a load balancer, relative to its folder, which is HAProxy's working directory.
const (
	ConfigFile      = "haproxy.cfg"
	StateFile       = "servers.state"
	AdminSocket     = "run/admin.sock"
	MasterSocket    = "run/master.sock"
	Jail            = "jail"
	PeerSocket      = Jail + "/peers.sock"
	PlaceholderCert = "certs/_weir.pem"
)

// TicketKeysWord is in a configuration whose TLS ticket keys come from a file, and in no other (bind options,
// configuration.txt 5.1).
const TicketKeysWord = "tls-ticket-keys"

// smallBuffer is the size in bytes of the buffers for requests kept for a retry; longer ones, with large cookies,
// take a usual buffer.
const smallBuffer = 4096

// Render decides everything that HAProxy is told for a node. It is a pure function: equal nodes give equal
// configurations.
func Render(n ir.Node, env Env) Config {
	r := renderer{node: n, env: env}
	return r.render()
}

func (r *renderer) render() Config {
	r.can, r.maps, r.whole = r.env.Version.Capabilities(), map[string]map[string]Entry{}, map[string][]Entry{}
	r.indexNode()
	r.global()
	r.nameservers()
	r.profiles()
	r.anyProfiles()
	r.healthChecks()
	r.limitPeers()
	r.routing()
	r.frontends()
	r.stats()
	r.again()
	r.backends()
	r.places()
	r.certificates()
	return r.finish()
}

type renderer struct {
	node ir.Node
	env  Env
	can  Capabilities

	pools     map[string]*ir.Pool
	addresses map[string]*ir.Address
	names     map[string]string // pool → backend name
	standIns  map[string]bool   // pools that others can stand in for
	shifted   map[string]bool   // site@slot
	times     map[string]*siteTimes

	sections []Section
	backend  []Backend
	maps     map[string]map[string]Entry
	ordered  map[string][]Entry
	whole    map[string][]Entry // maps that are put down at once, by key
	sets     *listSets
	keys     mapKeys
	certs    []Cert
	lists    []CrtList

	logic logics

	// past is what was rendered before, nil for nothing; options are those of each pool's servers.
	past    *Renderer
	options []string
}

func (r *renderer) indexNode() {
	r.node.Tuning.Normalize() // a node without a tuning has the defaults
	r.pools = make(map[string]*ir.Pool, len(r.node.Pools))
	r.names = make(map[string]string, len(r.node.Pools))
	r.bindLogics()
	r.standIns = r.zoned()
	for i := range r.node.Pools {
		p := &r.node.Pools[i]
		r.pools[p.Name] = p
		r.names[p.Name] = r.backendName(p)
	}
	r.addresses = make(map[string]*ir.Address, len(r.node.Addresses))
	for i := range r.node.Addresses {
		r.addresses[r.node.Addresses[i].Name] = &r.node.Addresses[i]
	}
	r.findTimes()
	r.ordered = map[string][]Entry{}
	for _, path := range slices.Concat(mapFiles, zoneMapFiles, []string{mapPlaces, mapWays, mapRegardless}) {
		r.maps[path] = map[string]Entry{}
	}
}

// put sets a map entry; the first wins, as it does in HAProxy.
func (r *renderer) put(path, key, value, owner string) {
	m := r.maps[path]
	if m == nil {
		m = map[string]Entry{}
		r.maps[path] = m
	}
	if _, ok := m[key]; !ok {
		m[key] = Entry{key, value, owner}
	}
}

// push appends to a map that is searched from the top.
func (r *renderer) push(path, key, value, owner string) {
	r.ordered[path] = append(r.ordered[path], Entry{key, value, owner})
}

// section begins a section; lines are added to what it returns.
func (r *renderer) section(kind, name string) *Section {
	r.sections = append(r.sections, Section{Kind: kind, Name: name})
	return &r.sections[len(r.sections)-1]
}

// add appends a directive of Weir's own.
func (s *Section) add(format string, args ...any) {
	s.own("", format, args...)
}

// own appends a directive that an object causes.
func (s *Section) own(owner, format string, args ...any) {
	s.Lines = append(s.Lines, Line{Text: fmt.Sprintf(format, args...), Owner: owner})
}

func (r *renderer) tuningOwner() string {
	if r.node.Tuning.Name == "" {
		return "LoadBalancerGroup/" + r.node.Group.Name
	}
	return "Tuning/" + r.node.Tuning.Name
}

func (r *renderer) global() {
	t, owner := r.node.Tuning, r.tuningOwner()
	s := r.section("global", "")
	if r.env.Home != "" {
		// Every other file is named as ever, and found from there.
		s.add("%s%s", atHome, Quoted(r.env.Home))
	}
	user := ""
	if r.env.SocketUser != "" {
		user = " uid " + r.env.SocketUser
	}
	s.add("stats socket %s mode 600 level admin%s", Quoted("unix@"+r.at(AdminSocket)), user)
	s.add("%s%s", stateAt, Quoted(r.at(StateFile)))
	s.add("ssl-load-extra-files none")
	if r.normalizes() {
		s.add("expose-experimental-directives") // normalize-uri; HAProxy warns where nothing uses it
	}
	r.tlsDefaults(s)
	// By this HAProxy knows what it sent itself; nobody else does.
	s.add("set-var proc.again uuid()")
	s.add("set-var proc.started date()")
	if r.env.User != "" {
		s.own(owner, "user %s", r.env.User)
		s.own(owner, "group %s", r.env.Group)
		// From here the workers, which are another account, find the socket at which counts are handed on, and nothing else.
		s.add("chroot %s", Quoted(r.at(Jail)))
		if r.lowQUIC() {
			s.add("%s", keepLowPorts)
		}
	}
	for name, v := range ordered(
		"maxconn", t.MaxConnections, "nbthread", t.Threads, "ulimit-n", t.OpenFiles,
		"tune.bufsize", t.BufferSize, "tune.maxrewrite", t.MaxRewrite) {
		if v != 0 {
			s.own(owner, "%s %d", name, v)
		}
	}
	if r.can.SmallBuffers {
		s.add("tune.bufsize.small %d", smallBuffer)
	}
	if r.limits() || r.aborts() {
		s.add("localpeer weir")
	}
	if n := r.stickCounters(); n > 0 {
		s.add("tune.stick-counters %d", n)
	}
	r.usualCase(s)
	s.own(owner, "spread-checks %d", *t.SpreadChecks)
	// When HAProxy starts, first checks are spread over the shortest interval of a second or more: where all servers are
	// checked every hour the last would be let in after one.
	s.add("max-spread-checks 5s")
	s.own(owner, "hard-stop-after %s", ms(t.HardStopAfter))
}

// stickCounters is how many counters a request may be told by, 0 for the usual.
func (r *renderer) stickCounters() int {
	switch {
	case r.egresses(0):
		return flightCounter + 1
	case r.aborts():
		return legCounter + 1
	case r.limits():
		return weir.MaxRateLimits
	}
	return 0
}

// at gives the path of a file that HAProxy looks for after it has read its configuration, when default-path is over.
func (r *renderer) at(file string) string {
	if r.env.Home == "" {
		return file
	}
	return r.env.Home + "/" + file
}

func (r *renderer) commonTimeouts(s *Section) {
	t, owner := r.node.Tuning.Timeouts, r.tuningOwner()
	s.own(owner, "timeout client %s", ms(t.Client))
	s.own(owner, "timeout http-request %s", ms(t.HTTPRequest))
	s.own(owner, "timeout http-keep-alive %s", ms(t.HTTPKeepAlive))
}

func (r *renderer) serverTimeouts(s *Section, server weir.Duration) {
	t, owner := r.node.Tuning.Timeouts, r.tuningOwner()
	s.own(owner, "timeout connect %s", ms(t.Connect))
	s.own(owner, "timeout server %s", ms(server))
	s.own(owner, "timeout queue %s", ms(t.Queue))
	s.own(owner, "timeout tunnel %s", ms(t.Tunnel))
	s.own(owner, "timeout check %s", ms(t.Check))
}

func (r *renderer) finish() Config {
	c := Config{Version: r.env.Version, Sections: r.sections, Backends: r.backend, Certs: r.certs, CrtLists: r.lists}
	for path, entries := range r.maps {
		m := Map{Path: path, Entries: make([]Entry, 0, len(entries))}
		for _, e := range entries {
			m.Entries = append(m.Entries, e)
		}
		sort.Slice(m.Entries, func(i, j int) bool { return m.Entries[i].Key < m.Entries[j].Key })
		c.Maps = append(c.Maps, m)
	}
	for path, entries := range r.whole {
		c.Maps = append(c.Maps, Map{Path: path, Entries: entries})
	}
	for path, entries := range r.ordered {
		c.Maps = append(c.Maps, Map{Path: path, Ordered: true, Entries: entries})
	}
	for _, path := range orderedMapFiles {
		if _, ok := r.ordered[path]; !ok {
			c.Maps = append(c.Maps, Map{Path: path, Ordered: true})
		}
	}
	used := r.mapsInText()
	c.Maps = slices.DeleteFunc(c.Maps, func(m Map) bool { return !used[m.Path] })
	slices.SortFunc(c.Maps, func(a, b Map) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(c.Backends, func(a, b Backend) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Certs, func(a, b Cert) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(c.CrtLists, func(a, b CrtList) int { return strings.Compare(a.Path, b.Path) })
	return c
}

// mapsInText finds the maps that the text names: HAProxy knows no others.
func (r *renderer) mapsInText() map[string]bool {
	used := map[string]bool{}
	for _, s := range r.sections {
		for _, l := range s.Lines {
			noteMaps(used, l.Text)
		}
	}
	for _, b := range r.backend {
		for _, line := range b.Text {
			noteMaps(used, line)
		}
	}
	return used
}

// noteMaps adds the paths behind each "opt@" of a line. It is no regular expression because all text passes here
// at every change.
func noteMaps(used map[string]bool, line string) {
	for {
		_, rest, ok := strings.Cut(line, "opt@")
		if !ok {
			return
		}
		end := strings.IndexFunc(rest, func(c rune) bool { return !partOfPath(c) })
		if end < 0 {
			end = len(rest)
		}
		if end > 0 {
			used[rest[:end]] = true
		}
		line = rest[end:]
	}
}

func partOfPath(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '/' || c == '_' || c == '-'
}

// ms writes a duration as HAProxy reads it.
func ms(d weir.Duration) string { return fmt.Sprintf("%dms", d.Ms()) }

// ordered walks pairs of a name and a value in the order given.
func ordered(pairs ...any) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield(pairs[i].(string), pairs[i+1].(int)) {
				return
			}
		}
	}
}
