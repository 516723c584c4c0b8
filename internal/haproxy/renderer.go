package haproxy

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"weir/internal/ir"
)

// Renderer is Render for one node after the other: of what a node shares in memory with the one before nothing is
// worked out again, and configurations share memory as their nodes do. Nobody may change either. A node in which
// only servers of some pools differ, as after a new weight, costs what those pools cost; one in which certificates were
// renewed, what those cost. The zero value is ready, for one goroutine at a time.
type Renderer struct {
	ready   bool
	node    ir.Node
	env     Env
	config  Config
	options []string // of the servers of each pool of node
	sources []netip.Addr
	sets    *listSets
	keys    mapKeys
	at      []int // place of each pool's backend in config
}

// Render gives what the function Render gives.
func (k *Renderer) Render(n ir.Node, env Env) Config {
	if k.sameFrame(&n, &env) {
		k.inFrame(n)
		return k.config
	}
	r := renderer{node: n, env: env, past: k}
	config := r.render()
	env.Unbindable, env.UnbindableUDP = maps.Clone(env.Unbindable), maps.Clone(env.UnbindableUDP) // who gave them may change them
	*k = Renderer{ready: true, node: n, env: env, config: config, options: r.options, sources: sources(n.Self, env), sets: r.sets, keys: r.keys, at: make([]int, len(n.Pools))}
	for i := range n.Pools {
		name := r.names[n.Pools[i].Name]
		j, found := slices.BinarySearchFunc(config.Backends, name, func(b Backend, name string) int { return strings.Compare(b.Name, name) })
		k.at[i] = j
		k.ready = k.ready && found && (i == 0 || n.Pools[i-1].Name < n.Pools[i].Name)
	}
	return config
}

// inFrame renders the servers and certificates that differ; everything else is as before.
func (k *Renderer) inFrame(n ir.Node) {
	var backends []Backend
	changed := map[string]*ir.Pool{}
	for i := range n.Pools {
		p := &n.Pools[i]
		if shared(p.Servers, k.node.Pools[i].Servers) {
			continue
		}
		if backends == nil { // those given out stay as they are
			backends = slices.Clone(k.config.Backends)
		}
		b := &backends[k.at[i]]
		was := b.Servers
		b.Servers = servers(p, k.options[i], k.sources)
		if at, has := findOwn(was); has {
			again := was[at]
			at, _ = findOwn(b.Servers)
			b.Servers = slices.Insert(b.Servers, at, again)
		}
		changed[b.Name] = p
	}
	if !shared(n.Certificates, k.node.Certificates) {
		k.config.Certs = renewed(k.config.Certs, k.node.Certificates, n.Certificates)
	}
	k.node = n
	if backends != nil {
		k.config.Backends, k.config.Maps = backends, replaced(k.config.Maps, changed)
	}
}

// renewed gives the files of certificates some of which have changed.
func renewed(files []Cert, was, now []ir.Certificate) []Cert {
	files = slices.Clone(files)
	for i := range now {
		if sameContent(&was[i], &now[i]) {
			continue
		}
		path := certFile(now[i].Name)
		at, found := slices.BinarySearchFunc(files, path, func(c Cert, path string) int { return strings.Compare(c.Path, path) })
		if found {
			files[at] = certificate(&now[i])
		}
	}
	return files
}

// onlyRenewed says that certificates are shown as before, whatever chains and keys they have now.
func (k *Renderer) onlyRenewed(now []ir.Certificate) bool {
	was := k.node.Certificates
	if shared(was, now) {
		return true
	}
	if len(was) != len(now) {
		return false
	}
	var authorities map[string]bool
	for i := range now {
		w, n := &was[i], &now[i]
		if w.Name != n.Name || (w.Key == nil) != (n.Key == nil) || !slices.Equal(w.Names, n.Names) {
			return false
		}
		if sameContent(w, n) {
			continue
		}
		if authorities == nil {
			authorities = map[string]bool{}
			for _, p := range k.node.Pools {
				if p.TLS != nil {
					authorities[p.TLS.CA] = true
				}
			}
			for i := range k.node.Sites {
				authorities[k.node.Sites[i].ClientAuthority] = true
			}
		}
		if authorities[n.Name] || n.Key == nil {
			return false // the file of an authority is named by what is in it
		}
	}
	return true
}

func sameContent(a, b *ir.Certificate) bool {
	return a.Chain == b.Chain && (a.Key == b.Key || a.Key != nil && b.Key != nil && *a.Key == *b.Key)
}

// servers gives what was rendered of a pool before, if it would be the same again.
func (k *Renderer) servers(p *ir.Pool, options string, from []netip.Addr) ([]Server, bool) {
	if k == nil || !k.ready || !slices.Equal(from, k.sources) {
		return nil, false
	}
	i, found := slices.BinarySearchFunc(k.node.Pools, p.Name, func(p ir.Pool, name string) int { return strings.Compare(p.Name, name) })
	if !found || k.options[i] != options || !p.SameButServers(&k.node.Pools[i]) || !shared(p.Servers, k.node.Pools[i].Servers) {
		return nil, false
	}
	return k.config.Backends[k.at[i]].Servers, true
}

// sameFrame says that only servers can differ, and in no pool whether there are any, and what certificates hold.
func (k *Renderer) sameFrame(n *ir.Node, env *Env) bool {
	was := &k.node
	if !k.ready || !sameEnv(env, &k.env) || len(n.Pools) != len(was.Pools) {
		return false
	}
	for i := range n.Pools {
		p, old := &n.Pools[i], &was.Pools[i]
		if !p.SameButServers(old) || (len(p.Servers) == 0) != (len(old.Servers) == 0) {
			return false
		}
		if !shared(p.Servers, old.Servers) && (len(placed(p)) == 0) != (len(placed(old)) == 0) {
			return false
		}
	}
	return shared(n.Addresses, was.Addresses) && shared(n.Sites, was.Sites) && shared(n.Lists, was.Lists) &&
		shared(n.Maps, was.Maps) && shared(n.Pages, was.Pages) && shared(n.Limits, was.Limits) && shared(n.Logics, was.Logics) && shared(n.Shifts, was.Shifts) && shared(n.Schedules, was.Schedules) && shared(n.Splits, was.Splits) && shared(n.Clients, was.Clients) && shared(n.SLAs, was.SLAs) && shared(n.Rules, was.Rules) && shared(n.Challenges, was.Challenges) && k.onlyRenewed(n.Certificates) &&
		reflect.DeepEqual(n.Self, was.Self) && reflect.DeepEqual(n.Group, was.Group) && reflect.DeepEqual(n.Tuning, was.Tuning)
}

func sameEnv(a, b *Env) bool {
	return a.Version == b.Version && a.User == b.User && a.Group == b.Group && a.Log == b.Log && a.Home == b.Home && a.SocketUser == b.SocketUser && a.TicketKeys == b.TicketKeys && a.NoNamespace == b.NoNamespace && maps.Equal(a.Unbindable, b.Unbindable) && maps.Equal(a.UnbindableUDP, b.UnbindableUDP)
}

// shared says whether two lists are one in memory.
func shared[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
