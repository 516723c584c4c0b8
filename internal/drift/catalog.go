package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir/internal/haproxy"
)

// catalog finds things in a configuration by their places.
type catalog struct {
	backends map[string]*haproxy.Backend
	maps     map[string]*haproxy.Map
	lists    map[string]*haproxy.CrtList
	certs    map[Place]*haproxy.Cert
	// Made when they are asked for.
	servers map[string]map[string]*haproxy.Server
	entries map[string]map[string]string
	lines   map[string]map[string]bool
}

func newCatalog(c haproxy.Config) *catalog {
	out := &catalog{
		backends: make(map[string]*haproxy.Backend, len(c.Backends)), maps: make(map[string]*haproxy.Map, len(c.Maps)),
		lists: make(map[string]*haproxy.CrtList, len(c.CrtLists)), certs: make(map[Place]*haproxy.Cert, len(c.Certs)),
		servers: map[string]map[string]*haproxy.Server{}, entries: map[string]map[string]string{}, lines: map[string]map[string]bool{},
	}
	for i := range c.Backends {
		out.backends[c.Backends[i].Name] = &c.Backends[i]
	}
	for i := range c.Maps {
		out.maps[c.Maps[i].Path] = &c.Maps[i]
	}
	for i := range c.CrtLists {
		out.lists[c.CrtLists[i].Path] = &c.CrtLists[i]
	}
	for i := range c.Certs {
		out.certs[placeOfCert(&c.Certs[i])] = &c.Certs[i]
	}
	return out
}

// value gives what is at a place, "" for nothing. Equal things have equal values.
func (c *catalog) value(p Place) string {
	switch p.Kind {
	case Weight, State, Address, Limit, Server:
		if s := c.server(p.At, p.Name); s != nil {
			return valueOfServer(p.Kind, s)
		}
	case Backend:
		if c.backends[p.At] != nil {
			return "there"
		}
	case Published:
		if b := c.backends[p.At]; b != nil {
			return published(b)
		}
	case Entry:
		return c.entry(p.At, p.Name)
	case Map:
		if m := c.maps[p.At]; m != nil {
			return digestOf(m.Entries)
		}
	case Certificate, Authority:
		if cert := c.certs[p]; cert != nil {
			return "digest " + cert.Digest
		}
	case ListLine:
		if c.line(p.At, p.Name) {
			return "there"
		}
	}
	return ""
}

func (c *catalog) server(backend, name string) *haproxy.Server {
	known, ok := c.servers[backend]
	if !ok {
		known = map[string]*haproxy.Server{}
		if b := c.backends[backend]; b != nil {
			for i := range b.Servers {
				known[b.Servers[i].Name] = &b.Servers[i]
			}
		}
		c.servers[backend] = known
	}
	return known[name]
}

// entry gives a value with a mark before it, so that an empty one is something.
func (c *catalog) entry(path, key string) string {
	known, ok := c.entries[path]
	if !ok {
		known = map[string]string{}
		if m := c.maps[path]; m != nil {
			for _, e := range slices.Backward(m.Entries) { // of equal keys the first counts
				known[e.Key] = "=" + e.Value
			}
		}
		c.entries[path] = known
	}
	return known[key]
}

func (c *catalog) line(path, name string) bool {
	known, ok := c.lines[path]
	if !ok {
		known = map[string]bool{}
		if l := c.lists[path]; l != nil {
			for i := range l.Entries {
				known[nameOfLine(&l.Entries[i])] = true
			}
		}
		c.lines[path] = known
	}
	return known[name]
}

func valueOfServer(kind Kind, s *haproxy.Server) string {
	switch kind {
	case Weight:
		return strconv.Itoa(s.Weight)
	case State:
		return stateOf(s)
	case Address:
		return sameAddress(s.Address)
	case Limit:
		return strconv.Itoa(s.MaxConnections)
	}
	return fmt.Sprintf("id %d", s.ID)
}

// sameAddress writes an address as HAProxy shows it, as far as it is one.
func sameAddress(text string) string {
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.String()
	}
	return text
}

func published(b *haproxy.Backend) string {
	if b.Unpublished {
		return "unpublished"
	}
	return "published"
}

func digestOf(entries []haproxy.Entry) string {
	h := sha256.New()
	for _, e := range entries {
		fmt.Fprintf(h, "%d %s %s\n", len(e.Key), e.Key, e.Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func placeOfCert(c *haproxy.Cert) Place {
	if c.Authority {
		return Place{Kind: Authority, At: c.Path}
	}
	return Place{Kind: Certificate, At: c.Path}
}

// nameOfLine is the line as in the file, the words of its options in order.
func nameOfLine(e *haproxy.CrtEntry) string {
	options := strings.Fields(e.Options)
	slices.Sort(options)
	sni := slices.Clone(e.SNI)
	slices.Sort(sni)
	line := haproxy.CrtEntry{File: e.File, Options: strings.Join(options, " "), SNI: sni}
	return line.Line()
}
