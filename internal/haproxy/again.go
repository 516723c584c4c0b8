package haproxy

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// A pool that serves one zone of several has a last server that leads back to this HAProxy: a backup, which is used
// only where no other is up. What comes out of it is still the same request to HAProxy's retries, and goes to another
// zone. Names that begin with "_" are no people's.
const (
	againName = "_again"
	againID   = 2 // members have odd ones
	// againRetries bounds how many servers of a zone one request may meet: as many refuse at most before another zone is
	// asked, and a request on which servers hang up, or which ends them, does that to no more.
	againRetries = 16
)

// OwnMap says of a map that it is about where servers are, which pools say already.
func OwnMap(path string) bool {
	return path == mapWays || path == mapPlaces || path == mapRegardless
}

// Again says of a section that it is where requests come back.
func Again(s *Section) bool { return s.Kind == "frontend" && strings.HasPrefix(s.Name, "again-") }

// firstChecks is for how many seconds after its start nothing is noted: servers that were not checked yet say nothing of
// their zone.
const firstChecks = 5

// notesTable is the stick table that knows which backends sent something back, and when.
const notesTable = "again-http"

// Own says of a backend's or server's name that it is Weir's own means, which no object is.
func Own(name string) bool { return strings.HasPrefix(name, "_") }

// What is known of a request that is sent back, in its PROXY header (proxy-protocol.txt 2.2: 0xE0 to 0xEF are custom).
const (
	tlvSecret = 0xE0 + iota // by which HAProxy knows itself: whoever is on the machine can connect to an abstract socket
	tlvRoute
	tlvTried // slots
	tlvFrom  // backend
	tlvVIP   // name of the IPAddress
	tlvWalk  // of the walk through all servers: where it began, and how far it is
)

// againAddress is an abstract socket, since a worker in a chroot sees no other. HAProxies that share a machine differ in
// what they bind.
func (r *renderer) againAddress(mode string) string {
	self := r.node.Self
	parts := []string{self.Name, fmt.Sprint(self.LocalPorts)}
	for _, p := range r.node.Group.Ranges {
		parts = append(parts, p.String(), r.local(p.Addr()).String())
	}
	return "abns@weir-again-" + digest(parts...) + digest(append(parts, "")...) + "-" + mode
}

// againServer is the last server of a backend of a mode; more are options of the server.
func (r *renderer) againServer(mode, more, owner string) Server {
	var b strings.Builder
	b.WriteString(more + "send-proxy-v2")
	for _, t := range []struct {
		kind int
		text string
	}{
		{tlvSecret, "%[var(proc.again)]"},
		{tlvRoute, "%[var(txn.route)]"},
		{tlvTried, "%[var(txn.tried)]"},
		{tlvFrom, "%[be_name]"},
		{tlvVIP, "%[var(sess.vip)]"},
		{tlvWalk, "%[var(txn.walk)]"},
	} {
		fmt.Fprintf(&b, " set-proxy-v2-tlv-fmt(0x%X) %s", t.kind, t.text)
	}
	s := Server{Address: r.againAddress(mode), Options: b.String(), ID: againID, Weight: 1, Owner: owner}
	s.Name = againName + "." + digest(s.Address, s.Options)
	return s
}

// withAgain gives the members with the server that leads back among them, at its place by name, if the pool is to have
// one: the same list when it is so already.
func (r *renderer) withAgain(p *ir.Pool, list []Server, owner string) []Server {
	at, has := findOwn(list)
	if !r.standIns[p.Name] {
		switch {
		case !has:
			return list
		case len(list) == 1:
			return nil
		}
		return slices.Delete(slices.Clone(list), at, at+1)
	}
	again := r.againServer(p.Mode, "backup ", owner)
	if !has {
		return slices.Insert(slices.Clip(list), at, again)
	}
	if list[at] != again {
		list = slices.Clone(list)
		list[at] = again
	}
	return list
}

// findOwn finds the server that leads back among the members of a pool, or its place.
func findOwn(list []Server) (at int, has bool) {
	at, _ = slices.BinarySearchFunc(list, againName, func(s Server, name string) int { return strings.Compare(s.Name[:1], name[:1]) })
	return at, at < len(list) && Own(list[at].Name)
}

// zoned finds the pools that others can stand in for: those of backends with several zones.
func (r *renderer) zoned() map[string]bool {
	zoned := map[string]bool{}
	for i := range r.node.Sites {
		for _, b := range r.node.Sites[i].Backends {
			first := ""
			for _, pool := range b.Slots {
				switch {
				case pool == "":
				case first == "":
					first = pool
				case pool != first:
					zoned[first], zoned[pool] = true, true
				}
			}
		}
	}
	return zoned
}

// again is where requests come back: a listener for each mode.
func (r *renderer) again() {
	wait, ramp := r.zoneReturn()
	for _, mode := range []string{"http", "tcp"} {
		rule := "http-request"
		if mode == "tcp" {
			rule = "tcp-request content"
		}
		s := r.section("frontend", "again-"+mode+" from clients-"+mode)
		s.add("bind %s accept-proxy", r.againAddress(mode))
		if mode == "http" {
			s.add("stick-table type string len %d size 10k expire %ds store gpt(1)", weir.MaxName+8, wait+ramp+10)
		}
		s.add("tcp-request session reject unless { fc_pp_tlv(0x%X),strcmp(proc.again) eq 0 }", tlvSecret)
		s.add("tcp-request session set-var(sess.vip) fc_pp_tlv(0x%X)", tlvVIP)
		s.add("%s set-log-level silent", rule) // the first pass tells of it
		c := chooser{r: r, s: s, rule: rule, tcp: mode == "tcp", second: true}
		c.set("route", "fc_pp_tlv(0x%X)", tlvRoute)
		c.set("from", "fc_pp_tlv(0x%X)", tlvFrom)
		c.add("set-var-fmt(txn.tried) -%%[fc_pp_tlv(0x%X)]", tlvTried)
		c.set("walk", "fc_pp_tlv(0x%X)", tlvWalk)
		if wait+ramp > 0 {
			s.add("# its zone is not asked for a while, and what knows that no zone is like that no longer does")
			c.set("age", "date,sub(proc.started)")
			noted := fmt.Sprintf("if { var(txn.age) -m int ge %d }", firstChecks)
			c.add("track-sc0 var(txn.from) table %s %s", notesTable, noted)
			c.add("sc-set-gpt(0,0) date %s", noted)
			c.add("set-var(proc.down) date,add(%d) %s", wait+ramp, noted)
		}
		c.choose()
		if mode == "http" {
			s.add("http-response set-header %s %%[var(txn.at)] if { var(txn.keep) -m found } !{ srv_name -m beg %s }", zoneHeader, againName)
		}
		s.add("use_backend %%[var(txn.be)] if { var(txn.be) -m found }")
	}
}
