package hapctl

import (
	"context"
	"crypto/sha1" //nolint:gosec // HAProxy tells certificates by it; nothing is trusted for it
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/internal/haproxy"
)

// Observe gives what a running HAProxy has, as far as the run-time socket can change it. known is what it may
// have: it says which maps and lists to look at, and what names stand for, since a name holds a digest of
// everything that HAProxy doesn't show. Sections are taken from known as they are.
func (c *Client) Observe(ctx context.Context, known haproxy.Config) (haproxy.Config, error) {
	o := observer{Client: c, known: known, whole: true, seen: haproxy.Config{Version: known.Version, Sections: known.Sections}}
	for _, step := range []func(context.Context) error{o.servers, o.limits, o.maps, o.certificates, o.lists} {
		if err := step(ctx); err != nil {
			return haproxy.Config{}, fmt.Errorf("read back: %w", err)
		}
	}
	return o.seen, nil
}

type observer struct {
	*Client
	known, seen haproxy.Config
	// whole asks for certificates that are not known, too.
	whole bool
}

func (o *observer) servers(ctx context.Context) error {
	names, err := o.Backends(ctx)
	if err != nil {
		return err
	}
	states, err := o.ServersState(ctx, "")
	if err != nil {
		return err
	}
	byBackend := make(map[string][]haproxy.ServerState, len(names))
	for len(states) > 0 { // those of a backend stand together
		n, name := 1, states[0].Backend
		for n < len(states) && states[n].Backend == name {
			n++
		}
		if before, known := byBackend[name]; known {
			byBackend[name] = slices.Concat(before, states[:n])
		} else {
			byBackend[name] = states[:n:n]
		}
		states = states[n:]
	}
	slices.Sort(names)
	o.seen.Backends = make([]haproxy.Backend, 0, len(names))
	for _, name := range names {
		b := haproxy.Backend{Name: name}
		var servers []haproxy.Server
		if k := findBackend(o.known, name); k != nil {
			b, servers = *k, k.Servers
		}
		b.Servers = serversOf(byBackend[name], servers)
		o.seen.Backends = append(o.seen.Backends, b)
	}
	return nil
}

// serversOf gives the servers as HAProxy has them, with what it doesn't show from those that are known by name.
func serversOf(states []haproxy.ServerState, known []haproxy.Server) []haproxy.Server {
	at := make(map[string]int, len(known))
	for i := range known {
		at[known[i].Name] = i
	}
	list := make([]haproxy.Server, 0, len(states))
	for _, st := range states {
		var s haproxy.Server
		if i, ok := at[st.Server]; ok {
			s = known[i]
		} else {
			s.Name = strings.Clone(st.Server) // not the whole answer with it
		}
		if addr := addressOf(st, s.Address); addr != s.Address {
			s.Address = addr
		}
		s.ID, s.Weight, s.Maintenance = st.ID, st.Weight, st.Maint()
		s.Drained = !s.Maintenance && st.Admin&haproxy.AdminForcedDrain != 0
		s.MaxConnections = 0 // until bounds are read
		list = append(list, s)
	}
	// In the order in which they are known, then by name: order is no state.
	slices.SortFunc(list, func(a, b haproxy.Server) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// addressOf gives where a server is. Of one at a socket HAProxy tells nothing: it is taken to be where it is known to
// be, as its name, which has a digest of that, says.
func addressOf(st haproxy.ServerState, known string) string {
	if st.Address == "-" {
		return known
	}
	if a, err := netip.ParseAddr(st.Address); err == nil {
		return netip.AddrPortFrom(a, uint16(st.Port)).String()
	}
	return net.JoinHostPort(st.Address, strconv.Itoa(st.Port))
}

func findBackend(c haproxy.Config, name string) *haproxy.Backend {
	i, ok := slices.BinarySearchFunc(c.Backends, name, func(b haproxy.Backend, n string) int { return strings.Compare(b.Name, n) })
	if !ok {
		return nil
	}
	return &c.Backends[i]
}

// limits reads what the servers' state doesn't hold.
func (o *observer) limits(ctx context.Context) error {
	_, err := ask(ctx, o.Client, func(text string) (struct{}, error) { return struct{}{}, haproxy.Limits(text, o.bounds()) }, "show", "stat")
	return err
}

// bounds gives what takes over what rows of the statistics say of the backends that were seen.
func (o *observer) bounds() func(haproxy.Limit) {
	for i := range o.seen.Backends {
		o.seen.Backends[i].Unpublished = false
	}
	var b *haproxy.Backend // of the last row
	return func(row haproxy.Limit) {
		if row.Type != haproxy.StatServer && row.Type != haproxy.StatBackend {
			return
		}
		if b == nil || b.Name != row.Proxy {
			b = findBackend(o.seen, row.Proxy)
		}
		if b == nil {
			return
		}
		if row.Type == haproxy.StatBackend {
			b.Unpublished = row.Unpublished
			return
		}
		if i, ok := slices.BinarySearchFunc(b.Servers, row.Service, func(s haproxy.Server, name string) int { return strings.Compare(s.Name, name) }); ok {
			b.Servers[i].MaxConnections = row.SessionLimit
		}
	}
}

func (o *observer) maps(ctx context.Context) error {
	for _, k := range o.known.Maps {
		pairs, err := o.Map(ctx, k.Path)
		var refused *Refused
		if errors.As(err, &refused) {
			continue // not in this process: a reload brings it
		}
		if err != nil {
			return err
		}
		o.seen.Maps = append(o.seen.Maps, mapOf(k, pairs))
	}
	return nil
}

func mapOf(k haproxy.Map, pairs []haproxy.MapPair) haproxy.Map {
	owner := make(map[string]string, len(k.Entries))
	for _, e := range k.Entries {
		owner[e.Key] = e.Owner
	}
	m := haproxy.Map{Path: k.Path, Ordered: k.Ordered}
	for _, p := range pairs {
		m.Entries = append(m.Entries, haproxy.Entry{Key: p.Key, Value: p.Value, Owner: owner[p.Key]})
	}
	if !m.Ordered {
		slices.SortStableFunc(m.Entries, func(a, b haproxy.Entry) int { return strings.Compare(a.Key, b.Key) })
	}
	return m
}

func (o *observer) certificates(ctx context.Context) error {
	if !o.whole {
		// All names are a long answer where there are thousands; it is needed only when one is missing.
		before := len(o.seen.Certs)
		err := o.read(ctx, o.known.Certs)
		if err == nil || !errors.As(err, new(*Refused)) || errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrStaleWorker) {
			return err
		}
		o.seen.Certs = o.seen.Certs[:before]
	}
	names, err := o.Certs(ctx)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(names.Names))
	for _, name := range names.Names {
		there[name] = true
	}
	err = o.read(ctx, slices.DeleteFunc(slices.Clone(o.known.Certs), func(c haproxy.Cert) bool { return !c.Authority && !there[c.Path] }))
	if err == nil && o.whole {
		o.strangers(names.Names)
		slices.SortFunc(o.seen.Certs, func(a, b haproxy.Cert) int { return strings.Compare(a.Path, b.Path) })
	}
	return err
}

// read reads certificates, all but authorities' there for certain.
func (o *observer) read(ctx context.Context, list []haproxy.Cert) error {
	var own []haproxy.Cert
	for _, k := range list {
		if !k.Authority {
			own = append(own, k)
		} else if err := o.authority(ctx, k); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(own, maxBatch) {
		if err := o.some(ctx, part); err != nil {
			return err
		}
	}
	slices.SortFunc(o.seen.Certs, func(a, b haproxy.Cert) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// some reads certificates that are there.
func (o *observer) some(ctx context.Context, list []haproxy.Cert) error {
	cmds := make([]Command, len(list))
	for i, k := range list {
		var err error
		if cmds[i], err = NewCommand("show", "ssl", "cert", k.Path); err != nil {
			return err
		}
	}
	answers, err := o.DoAll(ctx, cmds...)
	if err != nil {
		return err
	}
	for i, k := range list {
		live, err := haproxy.ParseCert(answers[i].Text)
		if err != nil {
			return err
		}
		if !strings.EqualFold(live.SHA1, leafSHA1(k.Chain.Leaf())) {
			k.Digest, k.Chain = "another: SHA1 "+live.SHA1, weir.Chain{}
		}
		o.seen.Certs = append(o.seen.Certs, k)
	}
	return nil
}

// strangers adds the certificates in memory that nobody knows: a change that was not brought to its end, or one
// that nobody saw, left them.
func (o *observer) strangers(names []string) {
	known := make(map[string]bool, len(o.known.Certs))
	for i := range o.known.Certs {
		if c := &o.known.Certs[i]; !c.Authority {
			known[c.Path] = true
		}
	}
	for _, name := range names {
		if !known[name] && name != haproxy.PlaceholderCert && strings.HasPrefix(name, certFolder) {
			o.seen.Certs = append(o.seen.Certs, haproxy.Cert{Path: name, Digest: "not known"})
		}
	}
}

// certFolder is where the certificates are that Weir puts into HAProxy.
const certFolder = "certs/"

func leafSHA1(chain string) string {
	if all := chainSHA1(chain); len(all) > 0 {
		return all[0]
	}
	return ""
}

func chainSHA1(chain string) []string {
	var list []string
	for rest := []byte(chain); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return list
		}
		sum := sha1.Sum(block.Bytes) //nolint:gosec // as above
		list = append(list, strings.ToUpper(hex.EncodeToString(sum[:])))
	}
}
