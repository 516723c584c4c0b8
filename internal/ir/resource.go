package ir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"weir"
)

// Resource is one part of a node that is sent, kept and refused by itself. Its ID is "self", "group",
// "tuning", or a kind and name: "address/www", "site/www", "pool/web", "server/web/web-017", "list/x",
// "map/x", "page/x", "limit/x", "logic/x", "certificate/x", "challenge/<token>", "shift/x", "schedule/x", "split/x",
// "client/x", "sla/x", "rule/x". One that is in a list is never changed, but replaced: lists of what comes after
// each other share the rest.
type Resource struct {
	ID   string          `json:"id"`
	Body json.RawMessage `json:"body"`
	// Certificate may stand in place of Body where the certificate is in memory anyway: thousands of chains, once
	// more as JSON, would be tens of megabytes that are hardly ever sent.
	Certificate *Certificate `json:"-"`
}

// JSON is the body, written anew for a Certificate that stands in its place.
func (r *Resource) JSON() json.RawMessage {
	if r.Certificate == nil {
		return r.Body
	}
	return r.Certificate.json()
}

// AppendJSON appends what JSON gives.
func (r *Resource) AppendJSON(b []byte) []byte {
	if r.Certificate == nil {
		return append(b, r.Body...)
	}
	return r.Certificate.appendJSON(b)
}

// Lighten puts the certificates of a node, which are sorted by name, in place of the bodies that were made of them.
func Lighten(list []*Resource, certificates []Certificate) {
	for i := range list {
		name, ok := strings.CutPrefix(list[i].ID, "certificate/")
		if !ok {
			continue
		}
		if at, found := slices.BinarySearchFunc(certificates, name, func(c Certificate, name string) int { return strings.Compare(c.Name, name) }); found {
			one := certificates[at] // alone: a resource outlives its node, and would keep the others of it in memory
			list[i].Body, list[i].Certificate = nil, &one
		}
	}
}

// Same says whether two resources have the same body; it costs nothing for those that share it in memory.
func (r *Resource) Same(o *Resource) bool {
	if r == o {
		return true
	}
	if r.Certificate != nil && o.Certificate != nil {
		return reflect.DeepEqual(r.Certificate, o.Certificate)
	}
	return bytes.Equal(r.JSON(), o.JSON())
}

// kinds are those of the objects that become one resource each, by the first part of its ID.
var kinds = map[string]string{
	"address": "IPAddress", "site": "Site", "pool": "Pool", "list": "AccessList", "map": "Map", "page": "ErrorPage", "limit": "RateLimit", "logic": "Logic", "shift": "ZoneShift", "schedule": "Schedule", "split": "Split", "client": "EgressClient", "sla": "SLA", "rule": "EgressRule", "certificate": "Certificate",
	"challenge": "Challenge", // no object, but those who read of one know what is meant
}

var prefixes = func() map[string]string {
	out := make(map[string]string, len(kinds))
	for prefix, kind := range kinds {
		out[kind] = prefix + "/"
	}
	return out
}()

// Owner names the object that a resource comes from, as "Pool/web"; a server of a pool is given as the pool's
// member "Server/web-017" only by its body, so here it is the pool.
func Owner(id string) string {
	kind, rest, _ := strings.Cut(id, "/")
	name, _, _ := strings.Cut(rest, "/")
	if kind == "server" || kind == "pool" {
		return PoolOwner(name)
	}
	if kinds[kind] == "" {
		return ""
	}
	return kinds[kind] + "/" + name
}

// ID names the resource that an object becomes; ok is false for kinds that become none, or not just one.
func ID(object weir.Ref) (id string, ok bool) {
	prefix, ok := prefixes[object.Kind]
	return prefix + object.Name, ok
}

// Resources takes a node apart, sorted by ID.
func (n Node) Resources() []*Resource {
	var list []*Resource
	add := func(id string, body any) {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(fmt.Sprintf("resource %s: %v", id, err))
		}
		list = append(list, &Resource{ID: id, Body: raw})
	}
	add("self", n.Self)
	add("group", n.Group)
	add("tuning", n.Tuning)
	for _, v := range n.Addresses {
		add("address/"+v.Name, v)
	}
	for _, v := range n.Sites {
		add("site/"+v.Name, v)
	}
	for _, v := range n.Pools {
		servers := v.Servers
		v.Servers = nil
		add("pool/"+v.Name, v)
		for _, s := range servers {
			add("server/"+v.Name+"/"+s.Name, s)
		}
	}
	for _, v := range n.Lists {
		add("list/"+v.Name, v)
	}
	for _, v := range n.Maps {
		add("map/"+v.Name, v)
	}
	for _, v := range n.Pages {
		add("page/"+v.Name, v)
	}
	for _, v := range n.Limits {
		add("limit/"+v.Name, v)
	}
	for _, v := range n.Logics {
		add("logic/"+v.Name, v)
	}
	for _, v := range n.Certificates {
		add("certificate/"+v.Name, v)
	}
	for _, v := range n.Challenges {
		add("challenge/"+v.Token, v)
	}
	for _, v := range n.Shifts {
		add("shift/"+v.Name, v)
	}
	for _, v := range n.Splits {
		add("split/"+v.Name, v)
	}
	for _, v := range n.Schedules {
		add("schedule/"+v.Name, v)
	}
	for _, v := range n.Clients {
		add("client/"+v.Name, v)
	}
	for _, v := range n.SLAs {
		add("sla/"+v.Name, v)
	}
	for _, v := range n.Rules {
		add("rule/"+v.Name, v)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

// Assemble puts a node together again. A server whose pool is missing is left out; an unknown kind of
// resource is an error, since a newer control plane may mean something by it: see Understand.
func Assemble(list []*Resource) (Node, error) {
	var n Node
	servers := map[string][]Server{}
	for _, r := range list {
		if err := n.take(r, servers); err != nil {
			return Node{}, fmt.Errorf("resource %s: %w", r.ID, err)
		}
	}
	for i := range n.Pools {
		n.Pools[i].Servers = servers[n.Pools[i].Name]
	}
	n.sort()
	return n, nil
}

func (n *Node) take(r *Resource, servers map[string][]Server) error {
	kind, rest, _ := strings.Cut(r.ID, "/")
	switch kind {
	case "self":
		return read(r, func(v Self) { n.Self = v })
	case "group":
		return read(r, func(v Group) { n.Group = v })
	case "tuning":
		return read(r, func(v Tuning) { n.Tuning = v })
	case "address":
		return read(r, func(v Address) { n.Addresses = append(n.Addresses, v) })
	case "site":
		return read(r, func(v Site) { n.Sites = append(n.Sites, v) })
	case "pool":
		return read(r, func(v Pool) { n.Pools = append(n.Pools, v) })
	case "server":
		pool, _, _ := strings.Cut(rest, "/")
		return read(r, func(v Server) { servers[pool] = append(servers[pool], v) })
	case "list":
		return read(r, func(v AccessList) { n.Lists = append(n.Lists, v) })
	case "map":
		return read(r, func(v Map) { n.Maps = append(n.Maps, v) })
	case "page":
		return read(r, func(v Page) { n.Pages = append(n.Pages, v) })
	case "limit":
		return read(r, func(v RateLimit) { n.Limits = append(n.Limits, v) })
	case "logic":
		return read(r, func(v Logic) { n.Logics = append(n.Logics, v) })
	case "certificate":
		return read(r, func(v Certificate) { n.Certificates = append(n.Certificates, v) })
	case "shift":
		return read(r, func(v Shift) { n.Shifts = append(n.Shifts, v) })
	case "split":
		return read(r, func(v Split) { n.Splits = append(n.Splits, v) })
	case "schedule":
		return read(r, func(v Schedule) { n.Schedules = append(n.Schedules, v) })
	case "client":
		return read(r, func(v EgressClient) { n.Clients = append(n.Clients, v) })
	case "sla":
		return read(r, func(v SLA) { n.SLAs = append(n.SLAs, v) })
	case "rule":
		return read(r, func(v EgressRule) { n.Rules = append(n.Rules, v) })
	case "challenge":
		return read(r, func(v Challenge) { n.Challenges = append(n.Challenges, v) })
	}
	return ErrUnknownKind
}

// read gives what a resource's body says.
func read[T any](r *Resource, use func(T)) error {
	var v T
	if err := decode(r, &v); err != nil {
		return err
	}
	use(v)
	return nil
}

// decode reads a resource's body.
func decode[T any](r *Resource, v *T) error {
	if c, ok := any(v).(*Certificate); ok && r.Certificate != nil {
		*c = *r.Certificate
		return nil
	}
	err := json.Unmarshal(r.JSON(), v)
	if s, ok := any(v).(*Server); ok {
		s.implied()
	}
	return err
}

func (n *Node) sort() {
	by(n.Addresses, func(v Address) string { return v.Name })
	by(n.Sites, func(v Site) string { return v.Name })
	by(n.Pools, func(v Pool) string { return v.Name })
	for i := range n.Pools {
		by(n.Pools[i].Servers, func(v Server) string { return v.Name })
	}
	by(n.Lists, func(v AccessList) string { return v.Name })
	by(n.Maps, func(v Map) string { return v.Name })
	by(n.Pages, func(v Page) string { return v.Name })
	by(n.Limits, func(v RateLimit) string { return v.Name })
	by(n.Logics, func(v Logic) string { return v.Name })
	by(n.Certificates, func(v Certificate) string { return v.Name })
	by(n.Shifts, func(v Shift) string { return v.Name })
	by(n.Splits, func(v Split) string { return v.Name })
	by(n.Schedules, func(v Schedule) string { return v.Name })
	by(n.Clients, func(v EgressClient) string { return v.Name })
	by(n.SLAs, func(v SLA) string { return v.Name })
	by(n.Rules, func(v EgressRule) string { return v.Name })
	by(n.Challenges, func(v Challenge) string { return v.Token })
}

// by sorts, unless that is done already.
func by[T any](list []T, key func(T) string) {
	compare := func(a, b T) int { return strings.Compare(key(a), key(b)) }
	if !slices.IsSortedFunc(list, compare) {
		slices.SortFunc(list, compare)
	}
}

// At gives the node as it must be at a moment: overrides that have not expired are applied to their servers,
// and none are left. The time is when the next one expires, zero for never.
func (n Node) At(now time.Time) (Node, time.Time) {
	var next time.Time
	n.Pools = slices.Clone(n.Pools)
	for i := range n.Pools {
		p := &n.Pools[i]
		if !overridden(p.Servers) {
			continue
		}
		p.Servers = slices.Clone(p.Servers)
		for j := range p.Servers {
			s := &p.Servers[j]
			var live []Override
			for _, o := range s.Overrides {
				if !now.Before(o.ExpiresAt) {
					continue
				}
				live = append(live, o)
				if next.IsZero() || o.ExpiresAt.Before(next) {
					next = o.ExpiresAt
				}
			}
			s.apply(live)
			s.Overrides = nil
		}
	}
	return n, next
}

// overridden looks at servers where they are: of tens of thousands, each copy costs.
func overridden(servers []Server) bool {
	for i := range servers {
		if len(servers[i].Overrides) > 0 {
			return true
		}
	}
	return false
}

// apply puts overrides on a server: of several weights the last by name counts, ready lets in one that is in maintenance
// without them, and taking traffic away is stronger than any of them.
func (s *Server) apply(list []Override) {
	drained := false
	if slices.ContainsFunc(list, func(o Override) bool { return o.State == weir.StateReady }) {
		s.Maintenance = false
	}
	for _, o := range list {
		if o.Weight != nil {
			s.Weight = *o.Weight
		}
		drained = drained || o.State == weir.StateDrain
		s.Maintenance = s.Maintenance || o.State == weir.StateMaintenance
	}
	if drained {
		s.Weight = 0
	}
}
