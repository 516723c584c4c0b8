package haproxy

import (
	"net/netip"
	"strings"
)

// Bound is one address and port that a configuration listens at, with the object that asked for the port. UDP is where
// QUIC comes to; Namespace is the network namespace, "" for HAProxy's own.
type Bound struct {
	netip.AddrPort
	UDP       bool
	Owner     string
	Namespace string
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
			namespace := NamespaceOf(words)
			for word := range strings.SplitSeq(words[1], ",") {
				plain := OverTCP(word)
				if a, err := netip.ParseAddrPort(plain); err == nil {
					list = append(list, Bound{a, plain != word, l.Owner, namespace})
				}
			}
		}
	}
	return list
}

// OverTCP gives an address of a bind line without what says that it is for QUIC.
func OverTCP(word string) string {
	return strings.TrimPrefix(strings.TrimPrefix(word, "quic4@"), "quic6@")
}
