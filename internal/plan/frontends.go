package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

func (d *differ) newFrontend(s *haproxy.Section, c cause) cause {
	if haproxy.Again(s) {
		c.what, c.why = otherZone, whyPorts
		return c
	}
	mode, port := modeAndPort(s)
	if mode == haproxy.QUIC {
		http3 := http3Cause(true)
		http3.owner, http3.section, http3.port = c.owner, c.section, port
		return http3
	}
	c.port, c.what, c.many, c.why = port, "is new to the group", "are new to the group", whyPorts
	for i := range d.have.Sections {
		if was, p := modeAndPort(&d.have.Sections[i]); p == port && was != mode && was != haproxy.QUIC {
			c.what = "speaks " + mode + " instead of " + was
			c.many = "speak " + mode + " instead of " + was
		}
	}
	return c
}

// modeAndPort gives what a frontend's name says: how it speaks at which port of the group, which may be another
// than the machine's. Of other sections it gives nothing.
func modeAndPort(s *haproxy.Section) (mode, port string) {
	if s.Kind != "frontend" || haproxy.Again(s) {
		return "", ""
	}
	name := plainName(s)
	i := strings.LastIndexByte(name, '-')
	return name[:max(i, 0)], name[i+1:]
}

// boundAt gives the addresses with ports of a bind line, in order.
func boundAt(line string) []string {
	f := strings.Fields(line)
	if len(f) < 2 || f[0] != "bind" {
		return nil
	}
	list := strings.Split(f[1], ",")
	for i := range list {
		list[i] = haproxy.OverTCP(list[i])
	}
	return slices.DeleteFunc(list, func(at string) bool { return !strings.Contains(at, ":") })
}

// namespaceOf names the network namespace of a bind line.
func namespaceOf(line string) string {
	if name := haproxy.NamespaceOf(strings.Fields(line)); name != "" {
		return "the network namespace " + name
	}
	return "HAProxy's own network namespace"
}
