package haproxy

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// backendName is the pool's name with a digest of its profile and, below 3.4, of its text.
func (r *renderer) backendName(p *ir.Pool) string {
	return p.Name + "." + digest(append([]string{r.profileOf(p).name(), p.Mode}, r.backendText(p)...)...)
}

func (r *renderer) backendText(p *ir.Pool) []string {
	if r.can.HealthChecks || p.Check.Type == "none" {
		return nil
	}
	return checkOf(p).text()
}

func (r *renderer) backends() {
	r.options = make([]string, len(r.node.Pools))
	from := sources(r.node.Self, r.env)
	for i := range r.node.Pools {
		p := &r.node.Pools[i]
		name, owner := r.names[p.Name], ir.PoolOwner(p.Name)
		b := Backend{Name: name, Profile: r.profileOf(p).name(), Mode: p.Mode, Text: r.backendText(p), Owner: owner}
		r.options[i] = r.serverOptions(p)
		var known bool
		if b.Servers, known = r.past.servers(p, r.options[i], from); !known {
			b.Servers = servers(p, r.options[i], from)
		}
		b.Servers = r.withAgain(p, b.Servers, owner)
		r.backend = append(r.backend, b)
		r.poolMaps(p, name, owner)
	}
}

// servers gives the members of a pool whose servers have these options, with connections that come from these addresses.
func servers(p *ir.Pool, options string, from []netip.Addr) []Server {
	if len(p.Servers) == 0 {
		return nil
	}
	taken := make(map[int]bool, len(p.Servers))
	deal := dealer{pool: p.Name, from: from}
	list := make([]Server, 0, len(p.Servers))
	for i := range p.Servers {
		list = append(list, server(p, &p.Servers[i], options+deal.source(p.Servers[i].Address), taken))
	}
	return list
}

// poolMaps are what a pool says at run time under its backend's name.
func (r *renderer) poolMaps(p *ir.Pool, name, owner string) {
	if p.Endpoint != nil {
		r.endpointMaps(p.Endpoint, name, owner)
		r.nameOf(p.Endpoint, name, owner)
	}
	if id := r.logic.pools[p.Name]; id != "" {
		r.put(mapPoolLogic, name, id, owner)
	}
	if p.ServerTimeout != 0 && p.Mode == "http" {
		r.put(mapServerTimeout, name, fmt.Sprint(p.ServerTimeout.Ms()), owner)
	}
	if timeout := queueTimeout(p); timeout != 0 {
		r.put(mapQueueTimeout, name, fmt.Sprint(timeout.Milliseconds()), owner)
	}
	switch p.Check.Type {
	case "smtp":
		r.put(mapCheckHost, name, p.Check.Host, owner)
	case "postgresql":
		r.put(mapCheckHello, name, hello(p.Check.User), owner)
	case "http":
		r.put(mapCheckPath, name, p.Check.Path, owner)
		r.put(mapCheckHost, name, p.Check.Host, owner)
		if p.Check.Body != "" {
			r.put(mapCheckBody, name, p.Check.Body, owner)
		}
	}
}

func server(p *ir.Pool, s *ir.Server, options string, taken map[int]bool) Server {
	if p.Cookie != "" {
		// The cookie's value is the member's name, the same for its successor.
		options += " cookie " + s.Name
	}
	out := Server{
		Address: s.At(), Options: strings.TrimSpace(options), Check: p.Check.Type != "none",
		Weight: s.Weight, MaxConnections: p.MaxConnections, Maintenance: s.Maintenance, Owner: s.Object(),
	}
	out.Name = s.Name + "." + digest(out.Address, out.Options)
	out.ID = serverID(s.Name, out.Name, taken)
	return out
}

// placeBits are the bits of a server's ID that give its place on the ring of consistent hashing (TestFactLowBitsOfID in
// internal/hapctl).
const placeBits = 28

// Place gives what of an ID counts for consistent hashing: it stays with the member, whatever its address and options, so
// that no key moves when those change. What is above tells a server from the one that it replaces.
func Place(id int) int { return id & (1<<placeBits - 1) }

// Elsewhere gives the IDs of the same place as one, itself first.
func Elsewhere(id int) []int {
	list := []int{id}
	for high := range 1 << (31 - placeBits) {
		if other := high<<placeBits | Place(id); other != id {
			list = append(list, other)
		}
	}
	return list
}

// serverID gives a number of which the place stays with the member and the rest with the server's name. Without an ID of
// its own, a dynamic server gets no traffic under consistent hashing (haproxy issue 3413).
func serverID(member, name string, taken map[int]bool) int {
	hash := func(s string) int {
		h := fnv.New32a()
		h.Write([]byte(s))
		sum := int(h.Sum32())
		return sum>>placeBits ^ sum // FNV's lowest bits alone are the poorest
	}
	place := Place(hash(member)) | 1
	for taken[place] {
		place = Place(place+1) | 1
	}
	taken[place] = true
	return hash(name)>>8&7<<placeBits | place
}

// serverOptions is everything on a server line that is the same for all members of a pool.
func (r *renderer) serverOptions(p *ir.Pool) string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	h := p.Check
	if h.Type != "none" {
		// init-state down: no traffic before the first good check. observe: a server that refuses or breaks
		// is taken out by the traffic that meets it, not by the next check.
		first := " init-state down"
		if p.Unchecked {
			first = "" // and not up, with which slow start would not be (TestFactSlowStart)
		}
		add("check inter %s fastinter %s rise %d fall %d%s observe layer4 error-limit 1 on-error mark-down",
			ms(h.Interval), ms(fastInterval(h.Interval)), h.Rise, h.Fall, first)
		if r.can.HealthChecks {
			add("healthcheck %s", checkOf(p).name())
		}
		if h.Port != 0 {
			add("port %d", h.Port)
		}
	}
	b.WriteString(r.speaking(p, h.Type != "none"))
	if p.Endpoint != nil {
		add("pool-conn-name var(txn.eg.own)")
	}
	if p.SlowStart != 0 {
		add("slowstart %s", ms(weir.Duration(p.SlowStart)))
	}
	return b.String()
}

// speaking is how servers of a pool are spoken to.
func (r *renderer) speaking(p *ir.Pool, checked bool) string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	if t := p.TLS; t != nil {
		add("ssl ssl-min-ver %s", t.MinVersion)
		if e := p.Endpoint; e != nil && e.MaxVersion != "" {
			add("ssl-max-ver %s", e.MaxVersion)
		}
		switch {
		case t.Verify == "none":
			add("verify none")
		case t.CA == "":
			add("verify required ca-file @system-ca")
		default:
			add("verify required ca-file %s", authorityFile(r.certificateOf(t.CA)))
		}
		switch {
		case t.SNI != "":
			add("sni str(%s)", t.SNI)
			if checked {
				add("check-sni %s", t.SNI)
			}
		case r.can.AutoSNI:
			// Or a client's Host that is no server name, as one with a dot at its end, would fail the handshake and
			// take the server out.
			add("no-sni-auto")
			if checked {
				add("no-check-sni-auto")
			}
		}
		if t.ClientCertificate != "" {
			add("crt %s", certFile(t.ClientCertificate))
		}
	}
	b.WriteString(protocol(p))
	switch p.SendProxy {
	case "v1":
		add("send-proxy")
	case "v2":
		add("send-proxy-v2")
	}
	return b.String()
}

// certificateOf gives a certificate of the node; one that is not there has no chain, so that HAProxy refuses who
// asks for it.
func (r *renderer) certificateOf(name string) *ir.Certificate {
	for i := range r.node.Certificates {
		if c := &r.node.Certificates[i]; c.Name == name {
			return c
		}
	}
	return &ir.Certificate{Name: name}
}

// fastInterval is the interval while a server's state is changing, half the usual one and at most 250 ms: 3.4 waits so
// long before the first check of a new one (TestFactFirstCheckOfAddedServer in internal/hapctl).
func fastInterval(d weir.Duration) weir.Duration {
	return min(max(d/2, weir.Duration(50*time.Millisecond)), d, weir.Duration(250*time.Millisecond))
}

// Line is the server as a line of haproxy.cfg or, with run-time form, as the tail of "add server backend/".
func (s Server) Line(runtime bool) string {
	var b strings.Builder
	b.Grow(len(s.Name) + len(s.Address) + len(s.Options) + 64)
	for _, part := range [...]string{s.Name, " ", s.Address, " id ", strconv.Itoa(s.ID), " weight ", strconv.Itoa(s.Weight)} {
		b.WriteString(part)
	}
	if s.MaxConnections > 0 {
		b.WriteString(" maxconn " + strconv.Itoa(s.MaxConnections))
	}
	if s.Options != "" {
		b.WriteString(" " + s.Options)
	}
	if s.Maintenance && !runtime {
		b.WriteString(" disabled")
	}
	return b.String()
}
