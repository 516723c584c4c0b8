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
	byBackend := map[string][]haproxy.ServerState{}
	for _, s := range states {
		byBackend[s.Backend] = append(byBackend[s.Backend], s)
	}
	slices.Sort(names)
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
	byName := make(map[string]haproxy.Server, len(known))
	for _, s := range known {
		byName[s.Name] = s
	}
	var list []haproxy.Server
	for _, st := range states {
		s := byName[st.Server]
		s.Name, s.Address, s.ID, s.Weight, s.Maintenance = st.Server, addressOf(st), st.ID, st.Weight, st.Maint()
		s.Drained = !s.Maintenance && st.Admin&haproxy.AdminForcedDrain != 0
		list = append(list, s)
	}
	// In the order in which they are known, then by name: order is no state.
	slices.SortFunc(list, func(a, b haproxy.Server) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func addressOf(st haproxy.ServerState) string {
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
	rows, err := o.Stat(ctx)
	if err != nil {
		return err
	}
	o.bounds(rows)
	return nil
}

// bounds takes what rows of the statistics say of the backends that were seen.
func (o *observer) bounds(rows []haproxy.StatRow) {
	limit, hidden := map[[2]string]int{}, map[string]bool{}
	for _, row := range rows {
		switch row.Type {
		case haproxy.StatServer:
			limit[[2]string{row.Proxy, row.Service}] = row.SessionLimit
		case haproxy.StatBackend:
			hidden[row.Proxy] = row.Unpublished
		}
	}
	for i := range o.seen.Backends {
		b := &o.seen.Backends[i]
		b.Unpublished = hidden[b.Name]
		for j := range b.Servers {
			b.Servers[j].MaxConnections = limit[[2]string{b.Name, b.Servers[j].Name}]
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
	names, err := o.Certs(ctx)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(names.Names))
	for _, name := range names.Names {
		there[name] = true
	}
	var own []haproxy.Cert
	for _, k := range o.known.Certs {
		if k.Authority {
			if err := o.authority(ctx, k); err != nil {
				return err
			}
		} else if there[k.Path] {
			own = append(own, k)
		}
	}
	for part := range slices.Chunk(own, maxBatch) {
		if err := o.some(ctx, part); err != nil {
			return err
		}
	}
	if o.whole {
		o.strangers(names.Names)
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
		if !strings.EqualFold(live.SHA1, leafSHA1(k.Chain)) {
			k.Digest, k.Chain = "another: SHA1 "+live.SHA1, ""
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
