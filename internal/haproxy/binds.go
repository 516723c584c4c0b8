package haproxy

import (
	"net/netip"
	"strings"
)

// Bound is one address and port that a configuration listens at, with the object that asked for the port.
type Bound struct {
	netip.AddrPort
	Owner string
}

// Binds lists what the frontends listen at, in the order of the text.
func (c Config) Binds() []Bound {
	var list []Bound
	for _, s := range c.Sections {
		if s.Kind != "frontend" {
			continue
		}
		for _, l := range s.Lines {
			words := strings.Fields(l.Text)
			if len(words) < 2 || words[0] != "bind" {
				continue
			}
			for word := range strings.SplitSeq(words[1], ",") {
				if a, err := netip.ParseAddrPort(word); err == nil {
					list = append(list, Bound{a, l.Owner})
				}
			}
		}
	}
	return list
}
