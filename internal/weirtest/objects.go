package weirtest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"weir"
)

// Options bound what random objects may use; the zero value is fine where nothing is bound for real.
type Options struct {
	// Ranges are the groups', in turn; groups get LocalRanges of none. Give a test's own Prefix for real HAProxy.
	Ranges []netip.Prefix
	// Ports are what sites may listen at, each with its one mode.
	Ports []weir.BoundPort
	// Origins are where servers and members are.
	Origins []netip.AddrPort
	// Groups, Zones, Addresses, Servers, Pools and Sites bound how many there are.
	Groups, Zones, Addresses, Servers, Pools, Sites int
	// Plain makes no pool speak TLS or PROXY to its servers, which plain origins could not answer.
	Plain bool
	// Faults lets through what the rules accept and compiling leaves out: pages too long for the buffers, servers
	// without the port that a pool asks for, entries of maps that name no backend.
	Faults bool
	// Sealed gives certificates a KeyRef, as the store does, in place of the key; CertificateKey finds the key.
	Sealed bool
	// Registered gives servers registrations of all states, and lets pools ask for them.
	Registered bool
	// Zoned lets sites say how they choose between zones, and takes some out of zones.
	Zoned bool
	// Logic gives sites and pools some.
	Logic bool
	// Egress makes some sites ways out, by which clients call partners.
	Egress bool
	// Expires is when overrides and shifts end; 2100 when zero.
	Expires time.Time
}

func (o Options) filled() Options {
	if len(o.Ranges) == 0 {
		o.Ranges = []netip.Prefix{netip.MustParsePrefix("127.32.0.0/24")}
	}
	if len(o.Ports) == 0 {
		o.Ports = []weir.BoundPort{
			{Port: 8080, Mode: weir.PortHTTP},
			{Port: 8081, Mode: weir.PortHTTP},
			{Port: 8443, Mode: weir.PortHTTPS},
			{Port: 9443, Mode: weir.PortHTTPS},
			{Port: 3890, Mode: weir.PortTCP},
			{Port: 6360, Mode: weir.PortTLSTCP},
			{Port: 7443, Mode: weir.PortTLSPassthrough},
		}
	}
	if len(o.Origins) == 0 {
		for i := range 16 {
			o.Origins = append(o.Origins, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 33, 0, byte(1 + i)}), 8000))
		}
	}
	for field, least := range map[*int]int{&o.Groups: 2, &o.Zones: 3, &o.Addresses: 8, &o.Servers: 24, &o.Pools: 12, &o.Sites: 10} {
		if *field == 0 {
			*field = least
		}
	}
	if o.Expires.IsZero() {
		o.Expires = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return o
}

// RandomObjects makes a set of objects of all traffic kinds that passes Validate and Check; equal seeds and
// options give equal objects, but for the keys in certificates.
func RandomObjects(seed uint64, o Options) *weir.Set {
	w := &world{Options: o.filled(), rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), set: weir.NewSet()}
	for i := range w.Zones {
		w.must(object("Zone", zoneName(i), "", &weir.Zone{}))
	}
	for _, role := range roles[1:] {
		w.must(object("Role", role, "", &weir.Role{Contact: "the " + role + " people"}))
	}
	w.must(object("Tuning", "tuning", "", w.tuning()))
	for i := range w.Groups {
		name := groupName(i)
		w.must(object("LoadBalancerGroup", name, "", &weir.LoadBalancerGroup{Ranges: []netip.Prefix{w.Ranges[i%len(w.Ranges)]}, Tuning: "tuning"}))
		for z := range w.Zones {
			w.must(object("LoadBalancer", fmt.Sprintf("%s-%s-1", name, zoneName(z)), "", &weir.LoadBalancer{Group: name, Zone: zoneName(z)}))
		}
	}
	if w.Zoned {
		w.try(w.grow("Schedule"))
	}
	// What is referred to comes first; several attempts each, so that most of it is there in the end.
	for _, kind := range w.kinds("IPAddress", "Certificate", "ErrorPage", "AccessList", "Map", "Logic", "RateLimit", "Server", "Pool", "Site", "Site", "Site", "Route", "Override", "EgressClient", "Partner", "SLA", "EgressRule") {
		for range 3 * w.most(kind) {
			if w.set.Len(kind) < w.most(kind) {
				w.try(w.grow(kind))
			}
		}
	}
	if w.Zoned {
		w.try(w.grow("Split"))
		for range w.most("ZoneShift") {
			w.try(w.grow("ZoneShift"))
		}
	}
	return w.set
}

// RandomWrite makes a change of one to five writes that the rules accept after set.
func RandomWrite(rng *rand.Rand, set *weir.Set, o Options) []weir.Write {
	w := &world{Options: o.filled(), rng: rng, set: set.Copy()}
	for range 1000 {
		w.set = set.Copy()
		var change []weir.Write
		for range 1 + w.rng.IntN(w.rng.IntN(5)+1) {
			if step, ok := w.step(); ok && w.try(step) {
				change = append(change, step)
			}
		}
		if change = lastOfEach(change); len(change) > 0 && accepted(set, change) {
			return change
		}
	}
	panic("random write: the rules accept none of a thousand changes; give the options more room")
}

// RandomAttempt makes a change of one to five writes that each pass Validate and that the rules between objects
// may well refuse after set: it touches roles, zones, groups and load balancers too.
func RandomAttempt(rng *rand.Rand, set *weir.Set, o Options) []weir.Write {
	w := &world{Options: o.filled(), rng: rng, set: set}
	var change []weir.Write
	for range 1 + w.rng.IntN(w.rng.IntN(5)+1) {
		step, ok := w.step()
		if w.some(3) {
			step, ok = w.wild()
		}
		if ok && (step.Put == nil || len(weir.Validate(step.Put)) == 0) {
			change = append(change, step)
		}
	}
	return lastOfEach(change)
}

// Apply gives a copy of the set with the writes made.
func Apply(set *weir.Set, change []weir.Write) *weir.Set {
	after := set.Copy()
	for _, w := range change {
		if w.Put != nil {
			after.Put(w.Put)
		} else {
			after.Delete(w.Delete)
		}
	}
	return after
}

func accepted(set *weir.Set, change []weir.Write) bool {
	var written []weir.Ref
	for _, w := range change {
		written = append(written, w.Ref())
		if w.Put != nil && len(weir.Validate(w.Put)) > 0 {
			return false
		}
	}
	return len(weir.Check(set, Apply(set, change), written)) == 0
}

// lastOfEach keeps the last write of each object: one change writes an object once.
func lastOfEach(change []weir.Write) []weir.Write {
	var list []weir.Write
	for i, w := range change {
		if !slices.ContainsFunc(change[i+1:], func(later weir.Write) bool { return later.Ref() == w.Ref() }) {
			list = append(list, w)
		}
	}
	return list
}

// world is a set that grows.
type world struct {
	Options
	rng *rand.Rand
	set *weir.Set
}

func (w *world) must(o *weir.Object) {
	if problems := weir.Validate(o); len(problems) > 0 {
		panic(fmt.Sprintf("random objects: %v", problems))
	}
	w.set.Put(o)
}

// try makes a write if the rules accept it.
func (w *world) try(step weir.Write) bool {
	if !accepted(w.set, []weir.Write{step}) {
		return false
	}
	w.set = Apply(w.set, []weir.Write{step})
	return true
}

// step is one random write, which the rules may refuse.
func (w *world) step() (weir.Write, bool) {
	kind := weighted(w.rng, []string{"Server", "Pool", "Site", "Override", "Map", "AccessList", "RateLimit", "ErrorPage", "Certificate", "IPAddress", "Tuning", "LoadBalancer", "Route"},
		[]int{30, 18, 20, 10, 4, 4, 4, 3, 4, 4, 1, 2, 4})
	if w.Zoned && w.some(12) {
		kind = pick(w.rng, "ZoneShift", "ZoneShift", "ZoneShift", "Schedule", "Split")
	}
	if w.Logic && w.some(12) {
		kind = "Logic"
	}
	if w.Egress && w.some(6) {
		kind = pick(w.rng, "EgressClient", "Partner", "SLA", "EgressRule", "EgressRule")
	}
	switch kind {
	case "Tuning":
		return weir.Write{Put: object("Tuning", "tuning", "", w.tuning())}, true
	case "LoadBalancer":
		o := w.any(kind, "")
		if o == nil {
			return weir.Write{}, false
		}
		spec := *o.Spec.(*weir.LoadBalancer)
		spec.State = pick(w.rng, weir.Active, weir.Active, weir.Draining)
		return weir.Write{Put: object(kind, o.Metadata.Name, "", &spec)}, true
	}
	old := w.any(kind, "")
	// Sites and pools stay longer than the rest, or the world would be nearly empty: they depend on much.
	leave := map[bool]int{true: 5, false: 6}[kind == "Site" || kind == "Pool"]
	switch n := w.rng.IntN(10); {
	case old == nil || n < 4:
		return w.grow(kind), true
	case n < leave:
		if kind != "Site" && kind != "Pool" {
			old = w.unused(old)
		}
		return weir.Write{Delete: old.Ref()}, true
	case kind == "Server":
		// The commonest change of all: a server is given another weight, or something is said of its health.
		spec := *old.Spec.(*weir.Server)
		if w.Registered && !w.some(3) {
			spec.Registration = w.registration()
		} else {
			spec.Weight = new(w.rng.IntN(257))
		}
		return weir.Write{Put: &weir.Object{Kind: kind, Metadata: old.Metadata, Spec: &spec}}, true
	}
	return weir.Write{Put: w.make(kind, old.Metadata.Name)}, true
}

// unused gives an object of the same kind that nobody refers to, if there is one: what most sites name hardly ever goes.
func (w *world) unused(o *weir.Object) *weir.Object {
	for other := range w.set.All(o.Kind) {
		used := false
		for range w.set.Referrers(other.Ref()) {
			used = true
			break
		}
		if !used {
			return other
		}
	}
	return o
}

// grow puts an object of a kind under one of the names that there are for it, whether it is taken or not.
func (w *world) grow(kind string) weir.Write {
	return weir.Write{Put: w.make(kind, fmt.Sprintf("%s-%02d", shortName[kind], w.rng.IntN(w.most(kind))))}
}

// kinds leaves out what was not asked for.
func (w *world) kinds(list ...string) []string {
	return slices.DeleteFunc(list, func(kind string) bool {
		return kind == "Logic" && !w.Logic || slices.Contains([]string{"EgressClient", "Partner", "SLA", "EgressRule"}, kind) && !w.Egress
	})
}

func (w *world) most(kind string) int {
	switch kind {
	case "IPAddress":
		return w.Addresses
	case "Server":
		return w.Servers
	case "Pool":
		return w.Pools
	case "Site":
		return w.Sites
	}
	return 4
}

// any gives an object of a kind that a role may name, nil when there is none.
func (w *world) any(kind, role string) *weir.Object {
	from := &weir.Object{Metadata: weir.Metadata{Role: role}}
	var list []*weir.Object
	for o := range w.set.All(kind) {
		if from.MayReferTo(o) {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[w.rng.IntN(len(list))]
}

// anyName is any, as a name; "" when there is none.
func (w *world) anyName(kind, role string) string {
	if o := w.any(kind, role); o != nil {
		return o.Metadata.Name
	}
	return ""
}

// some says yes once in n times.
func (w *world) some(n int) bool { return w.rng.IntN(n) == 0 }

var roles = []string{"", "web", "media"}

var shortName = map[string]string{
	"IPAddress": "vip", "Certificate": "cert", "ErrorPage": "page", "AccessList": "list", "Map": "map", "RateLimit": "limit", "Logic": "logic",
	"Server": "srv", "Pool": "pool", "Site": "site", "Route": "route", "Override": "override", "ZoneShift": "shift", "Schedule": "time", "Split": "split",
	"EgressClient": "client", "Partner": "partner", "SLA": "sla", "EgressRule": "rule",
}

func zoneName(i int) string { return fmt.Sprintf("az%d", i+1) }
func groupName(i int) string {
	return []string{"edge", "inner", "lab"}[i%3] + map[bool]string{true: fmt.Sprint(i)}[i > 2]
}

func object(kind, name, role string, spec weir.Spec) *weir.Object {
	return &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name, Role: role}, Spec: spec}
}

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

func weighted(rng *rand.Rand, words []string, weights []int) string {
	sum := 0
	for _, n := range weights {
		sum += n
	}
	n := rng.IntN(sum)
	for i, word := range words {
		if n -= weights[i]; n < 0 {
			return word
		}
	}
	return words[0]
}
