package haproxy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// CarryState rewrites a dump of «show servers state» for a HAProxy that will read want: what is known of a
// member goes with it when its server or its pool gets another name, so that it neither waits for a check that
// it has passed already, nor comes up when it was down. Weights are want's; who was in maintenance and is not
// to be is left out, and checked like a new one. When nobody is left who was up in a pool that served, or on a
// route of a site that served in have, those of whom nothing is known are taken for up: refusing every request
// would be worse. The other lines stay.
func CarryState(text string, have, want Config) (string, error) {
	states, err := ParseServersState(text)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	c := carrier{
		named: make(map[string]*carried, len(states)), members: map[string]*carried{}, up: map[string]*carried{},
		columns: strings.Fields(strings.TrimPrefix(lines[1], "#")),
	}
	for i := range states {
		c.learn(&carried{ServerState: states[i], fields: strings.Split(lines[2+i], " ")})
	}
	out := append([]string{}, lines[:2]...)
	wanted := map[string]bool{}
	takeovers := c.takeovers(have, want)
	for i := range want.Backends {
		b := &want.Backends[i]
		for j := range b.Servers {
			wanted[b.Name+"/"+b.Servers[j].Name] = true
		}
		known, unknown, alive := c.backend(b)
		model := c.up[BaseName(b.Name)]
		if model == nil {
			model = takeovers[b.Name]
		}
		if !alive && model != nil {
			for _, s := range unknown {
				known = append(known, c.line(model, b, s))
			}
		}
		out = append(out, known...)
	}
	for i, st := range states {
		if !wanted[st.Backend+"/"+st.Server] {
			out = append(out, lines[2+i])
		}
	}
	return strings.Join(out, "\n") + "\n", nil
}

type carrier struct {
	columns []string
	named   map[string]*carried // by backend/server
	members map[string]*carried // by pool, member and address; who is up goes before who is down
	up      map[string]*carried // by pool: one who is up
}

// carried is a line with what it says.
type carried struct {
	ServerState
	fields []string
}

func (s *carried) alive() bool { return s.Op != OpStopped && !s.Maint() }

func (c *carrier) learn(s *carried) {
	c.named[s.Backend+"/"+s.Server] = s
	if s.Maint() {
		return
	}
	pool := BaseName(s.Backend)
	key := memberKey(s.Backend, s.Server, joined(s.Address, s.Port))
	if old := c.members[key]; old == nil || s.alive() && !old.alive() {
		c.members[key] = s
	}
	if s.alive() && s.Weight > 0 && c.up[pool] == nil {
		c.up[pool] = s
	}
}

func memberKey(backend, server, address string) string {
	return BaseName(backend) + "/" + BaseName(server) + " " + address
}

func joined(address string, port int) string {
	if a, err := netip.ParseAddr(address); err == nil {
		return netip.AddrPortFrom(a, uint16(port)).String()
	}
	return address + ":" + strconv.Itoa(port)
}

// backend gives the lines of a backend's servers of whom something is known, the others that are checked, and
// whether anybody is up.
func (c *carrier) backend(b *Backend) (known []string, unknown []*Server, alive bool) {
	for i := range b.Servers {
		s := &b.Servers[i]
		if s.Maintenance || !s.Check {
			alive = alive || !s.Maintenance && s.Weight > 0
			continue // as the file says
		}
		old := c.named[b.Name+"/"+s.Name]
		if old == nil {
			old = c.members[memberKey(b.Name, s.Name, s.Address)]
		}
		if old == nil || old.Maint() {
			unknown = append(unknown, s)
			continue
		}
		alive = alive || old.alive() && s.Weight > 0
		known = append(known, c.line(old, b, s))
	}
	return known, unknown, alive
}

// takeovers finds the backends that will be all there is on a route of a site that has served, with one who was up
// there: a reload brings such a backend and what leads to it at once.
func (c *carrier) takeovers(have, want Config) map[string]*carried {
	serving := map[string]*carried{} // by site
	for route, backends := range routesOf(have) {
		for _, name := range backends {
			if model := c.up[BaseName(name)]; model != nil {
				serving[siteOf(route)] = model
			}
		}
	}
	taken := map[string]*carried{}
	if len(serving) == 0 {
		return taken
	}
	alive := map[string]bool{}
	for i := range want.Backends {
		_, _, alive[want.Backends[i].Name] = c.backend(&want.Backends[i])
	}
	for route, backends := range routesOf(want) {
		model := serving[siteOf(route)]
		if model == nil || slices.ContainsFunc(backends, func(name string) bool { return alive[name] }) {
			continue
		}
		for _, name := range backends {
			taken[name] = model
		}
	}
	return taken
}

// routesOf gives the backends of each route of a configuration.
func routesOf(c Config) map[string][]string {
	routes := map[string][]string{}
	for _, m := range c.Maps {
		if m.Path != mapZones {
			continue
		}
		for _, e := range m.Entries {
			routes[e.Key] = slices.DeleteFunc(strings.Split(e.Value, ":"), func(name string) bool { return name == none })
		}
	}
	return routes
}

func siteOf(route string) string {
	site, _, _ := strings.Cut(route, "/")
	return site
}

// line says of a server what is known of old.
func (c *carrier) line(old *carried, b *Backend, s *Server) string {
	fields := slices.Clone(old.fields)
	set := func(column, value string) {
		if i := slices.Index(c.columns, column); i >= 0 {
			fields[i] = value
		}
	}
	set("be_name", b.Name)
	set("srv_name", s.Name)
	set("srv_id", strconv.Itoa(s.ID))
	if a, err := netip.ParseAddrPort(s.Address); err == nil {
		set("srv_addr", a.Addr().String())
		set("srv_port", strconv.Itoa(int(a.Port())))
	}
	set("srv_uweight", strconv.Itoa(s.Weight))
	set("srv_iweight", strconv.Itoa(s.Weight))
	set("srv_admin_state", "0")
	return strings.Join(fields, " ")
}

// CarryHands writes into the lines that CarryState gave what target has of servers otherwise than want, whose files
// HAProxy will read: weights, and who is drained or in maintenance. Other lines come from text, the dump.
func CarryHands(carried, text string, want, target Config) (string, error) {
	hands := map[string]handState{}
	for i := range target.Backends {
		t := &target.Backends[i]
		j := slices.IndexFunc(want.Backends, func(b Backend) bool { return b.Name == t.Name })
		if j < 0 || len(t.Servers) > 0 && len(want.Backends[j].Servers) == len(t.Servers) && &want.Backends[j].Servers[0] == &t.Servers[0] {
			continue
		}
		for k := range t.Servers {
			s := &t.Servers[k]
			w := slices.IndexFunc(want.Backends[j].Servers, func(w Server) bool { return w.Name == s.Name })
			if w >= 0 {
				wished := &want.Backends[j].Servers[w]
				if s.Weight != wished.Weight || s.Drained != wished.Drained || s.Maintenance != wished.Maintenance {
					hands[t.Name+" "+s.Name] = handState{s, wished.Weight}
				}
			}
		}
	}
	if len(hands) == 0 {
		return carried, nil
	}
	if _, err := ParseServersState(text); err != nil {
		return "", err
	}
	dumped := strings.Split(strings.TrimRight(text, "\n"), "\n")
	columns := strings.Fields(strings.TrimPrefix(dumped[1], "#"))
	backend, server := slices.Index(columns, "be_name"), slices.Index(columns, "srv_name")
	var out []string
	take := func(lines []string) {
		for _, line := range lines {
			fields := strings.Split(line, " ")
			if key := fields[backend] + " " + fields[server]; hands[key].server != nil {
				line = hands[key].line(fields, columns)
				delete(hands, key)
			}
			out = append(out, line)
		}
	}
	lines := strings.Split(strings.TrimRight(carried, "\n"), "\n")
	out = append(out, lines[:2]...)
	take(lines[2:])
	take(slices.DeleteFunc(dumped[2:], func(line string) bool {
		fields := strings.Split(line, " ")
		return hands[fields[backend]+" "+fields[server]].server == nil
	}))
	return strings.Join(out, "\n") + "\n", nil
}

// handState is a server as another hand set it, and the weight in the file.
type handState struct {
	server *Server
	weight int
}

func (h handState) line(fields, columns []string) string {
	admin := 0
	switch {
	case h.server.Maintenance:
		admin = int(AdminForcedMaint)
	case h.server.Drained:
		admin = int(AdminForcedDrain)
	}
	for column, value := range map[string]int{"srv_uweight": h.server.Weight, "srv_iweight": h.weight, "srv_admin_state": admin} {
		if i := slices.Index(columns, column); i >= 0 {
			fields[i] = strconv.Itoa(value)
		}
	}
	return strings.Join(fields, " ")
}
