package compile

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// Leaving is what becomes of the traffic that a ZoneShift takes out of its zone.
type Leaving struct {
	// Burdens are the zones that would carry more than they can, by zone, each with what it would carry the worst of.
	Burdens []Burden
	// Stays are the sites of which no other zone can take some backend, so that its traffic stays; Unmoved those that have
	// no pool of the zone alone, so that there is nothing to move. Both are sorted.
	Stays, Unmoved []string
}

// Burden is more than a zone can carry.
type Burden struct {
	Zone string
	// Site and Backend are what it is about; empty where it is about all sites of a group and Zone.capacity.
	Site, Backend string
	// Carries is in per cent of what the zone can, Grows of what it carries now; 0 when it carries nothing now.
	Carries, Grows int
	// More is how many other sites the zone would carry too much of.
	More int
}

// tooMuch is from how many per cent on a zone is said to carry too much; below are roundings.
const tooMuch = 101

// Leave reckons what the other zones would carry while a ZoneShift of the set holds. How many requests there are it does
// not know. It takes a site to be sized so that it may lose one of its n zones: with all its servers and without shifts
// the zone that is nearest to its limit carries (n-1)/n of what it can. What a zone can is the weight of those servers of
// its pool that may take traffic, and for all sites of a group together its capacity.
func Leave(set *weir.Set, shift string, now time.Time) Leaving {
	ref := weir.Ref{Kind: "ZoneShift", Name: shift}
	o := set.Get(ref)
	if o == nil {
		return Leaving{}
	}
	if from, _ := o.Spec.(*weir.ZoneShift).Window(set); from.After(now) {
		now = from // what goes by a schedule is judged when that begins
	}
	l := leave{set: set, now: now, worst: map[string]Burden{}, over: map[string]map[string]bool{}}
	compiler := New()
	for _, group := range compiler.Groups(set, set, []weir.Ref{ref}) {
		node, _ := compiler.Group(set, group)
		if i := slices.IndexFunc(node.Shifts, func(s ir.Shift) bool { return s.Name == shift }); i >= 0 {
			l.group(&node, i)
		}
	}
	l.unmoved(o.Spec.(*weir.ZoneShift))
	return l.told()
}

// LeaveNodes is Leave for a shift that nobody has made, which would hold beside those that nodes have: one of each group.
func LeaveNodes(set *weir.Set, nodes []ir.Node, shift ir.Shift, now time.Time) Leaving {
	l := leave{set: set, now: now, worst: map[string]Burden{}, over: map[string]map[string]bool{}}
	for _, node := range nodes {
		node.Shifts = append(slices.Clip(node.Shifts), shift)
		l.group(&node, len(node.Shifts)-1)
	}
	l.unmoved(&weir.ZoneShift{Sites: shift.Sites, Zone: shift.Zone})
	return l.told()
}

// told puts in order what was found.
func (l *leave) told() Leaving {
	for _, zone := range sortedKeys(l.worst) {
		l.Burdens = append(l.Burdens, l.worst[zone])
	}
	slices.Sort(l.Stays)
	l.Stays = slices.Compact(l.Stays)
	return l.Leaving
}

type leave struct {
	Leaving
	set   *weir.Set
	now   time.Time
	worst map[string]Burden          // by zone
	over  map[string]map[string]bool // sites of which a zone would carry too much
}

// strength is what a pool can carry: the weight of its servers, all of them and those that may take traffic, which are
// counted too.
type strength struct {
	whole, able float64
	servers     int
}

// shares are parts of the traffic by slot: with all servers and no shifts; as it is; and with the shift.
type shares struct{ base, now, then []float64 }

func (l *leave) group(node *ir.Node, shift int) {
	strengths, homes := strengthsOf(node, l.now, nil), homesOf(node)
	all := shares{make([]float64, len(node.Group.Zones)), make([]float64, len(node.Group.Zones)), make([]float64, len(node.Group.Zones))}
	for i := range node.Sites {
		s := &node.Sites[i]
		before, after := l.gone(node, s.Name, shift)
		for _, b := range s.Backends {
			if b.Slots == nil {
				continue
			}
			part, stays := divide(s, b, homes, strengths, before, after)
			if b.Name == "default" {
				add(all.base, part.base)
				add(all.now, part.now)
				add(all.then, part.then)
			}
			switch {
			case slices.Equal(before, after): // it is not shifted
			case stays:
				l.Stays = append(l.Stays, s.Name)
			default:
				whole, able := make([]float64, len(b.Slots)), make([]float64, len(b.Slots))
				for i, pool := range b.Slots {
					whole[i], able[i] = strengths[pool].whole, strengths[pool].able
				}
				l.burdens(node, Burden{Site: s.Name, Backend: b.Name}, part, whole, able)
			}
		}
	}
	capacity := make([]float64, len(node.Group.Zones))
	for i, zone := range node.Group.Zones {
		if z := weir.Find[weir.Zone](l.set, "Zone", zone); z != nil && all.base[i] > 0 {
			capacity[i] = float64(z.Capacity)
		}
	}
	l.burdens(node, Burden{}, all, capacity, capacity)
}

// gone says for each slot whether a site is shifted out of it now, without the shift in question and with it.
func (l *leave) gone(node *ir.Node, site string, shift int) (before, after []bool) {
	return goneFrom(node, site, shift, l.now)
}

func goneFrom(node *ir.Node, site string, shift int, now time.Time) (before, after []bool) {
	before = make([]bool, len(node.Group.Zones))
	after = make([]bool, len(before))
	for i, other := range node.Shifts {
		slot := node.Group.Slot(other.Zone)
		if _, about := slices.BinarySearch(other.Sites, site); !about || slot == 0 || now.Before(other.From) || !now.Before(other.ExpiresAt) {
			continue
		}
		after[slot-1] = true
		before[slot-1] = before[slot-1] || i != shift
	}
	return before, after
}

// burdens notes which zones would carry too much.
func (l *leave) burdens(node *ir.Node, about Burden, part shares, whole, able []float64) {
	zones, most := 0.0, math.Inf(1) // how many zones there are, and what they could carry between them as traffic is divided
	for i := range whole {
		if whole[i] > 0 {
			zones++
		}
		if part.base[i] > 0 {
			most = min(most, whole[i]/part.base[i])
		}
	}
	if zones == 0 || math.IsInf(most, 1) {
		return
	}
	load := most * (zones - 1) / zones
	for i, zone := range node.Group.Zones {
		if part.then[i] <= part.now[i] || able[i] == 0 {
			continue // the shift gives it nothing
		}
		b := about
		b.Zone, b.Carries = zone, int(math.Round(100*load*part.then[i]/able[i]))
		if part.now[i] > 0 {
			b.Grows = int(math.Round(100 * part.then[i] / part.now[i]))
		}
		if b.Carries < tooMuch {
			continue
		}
		l.note(b)
	}
}

// note keeps the worst of each zone; what is about one site tells more than what is about all.
func (l *leave) note(b Burden) {
	old, told := l.worst[b.Zone]
	if b.Site != "" {
		if l.over[b.Zone] == nil {
			l.over[b.Zone] = map[string]bool{}
		}
		l.over[b.Zone][b.Site] = true
	}
	if told && (b.Site == "" || old.Site != "" && old.Carries >= b.Carries) {
		b = old
	}
	b.More = max(len(l.over[b.Zone])-1, 0)
	l.worst[b.Zone] = b
}

// unmoved finds the sites that a shift names in vain.
func (l *leave) unmoved(spec *weir.ZoneShift) {
	for _, name := range slices.Sorted(slices.Values(spec.Sites)) {
		site := weir.Find[weir.Site](l.set, "Site", name)
		if site == nil {
			continue
		}
		moves := false
		for _, b := range site.Backends {
			_, has := b.Zones[spec.Zone]
			moves = moves || has
		}
		if !moves {
			l.Unmoved = append(l.Unmoved, name)
		}
	}
}

// homesOf gives the slots of the home zones of addresses.
func homesOf(node *ir.Node) map[string]int {
	homes := map[string]int{}
	for _, a := range node.Addresses {
		homes[a.Name] = node.Group.Slot(a.HomeZone)
	}
	return homes
}

// strengthsOf goes by the objects alone; with up, what the checks see counts, too.
func strengthsOf(node *ir.Node, now time.Time, up func(pool, server string) bool) map[string]strength {
	at, _ := node.At(now)
	out := make(map[string]strength, len(node.Pools))
	for i := range node.Pools {
		var s strength
		for j := range node.Pools[i].Servers {
			s.whole += float64(node.Pools[i].Servers[j].Weight)
			if server := &at.Pools[i].Servers[j]; server.Weight > 0 && !server.Maintenance && (up == nil || up(node.Pools[i].Name, server.Name)) {
				s.servers++
				s.able += float64(server.Weight)
			}
		}
		out[node.Pools[i].Name] = s
	}
	return out
}

// divide gives how the traffic of a backend is divided between zones; stays says that with the shift no zone is
// available, so that none counts as shifted.
func divide(s *ir.Site, b ir.Backend, homes map[string]int, strengths map[string]strength, before, after []bool) (part shares, stays bool) {
	r := ir.Routing{}
	if s.Routing != nil {
		r = *s.Routing
	}
	pick := func(fit func(int, strength) bool) []float64 {
		fits := make([]bool, len(b.Slots))
		for i, pool := range b.Slots {
			fits[i] = pool != "" && fit(i, strengths[pool])
		}
		if !slices.Contains(fits, true) {
			return nil
		}
		return share(s, r, homes, fits)
	}
	least := max(r.MinHealthy, 1)
	any := func(_ int, p strength) bool { return p.servers > 0 }
	part.base = pick(func(_ int, p strength) bool { return p.whole > 0 })
	part.now = pick(func(i int, p strength) bool { return p.servers >= least && !before[i] })
	part.then = pick(func(i int, p strength) bool { return p.servers >= least && !after[i] })
	stays = part.then == nil
	for _, list := range []*[]float64{&part.now, &part.then} {
		if *list == nil {
			*list = pick(any)
		}
	}
	for _, list := range []*[]float64{&part.base, &part.now, &part.then} {
		if *list == nil {
			*list = make([]float64, len(b.Slots))
		}
	}
	return part, stays
}

// share divides 1 between the zones that fit: what came to an address goes to its home where that fits, else, and where
// no home counts, to all that fit by their weights.
func share(s *ir.Site, r ir.Routing, homes map[string]int, fits []bool) []float64 {
	spread := make([]float64, len(fits))
	sum := 0.0
	for _, weights := range [][]int{r.Weights, nil} {
		for i := range fits {
			switch {
			case !fits[i]:
			case weights == nil:
				spread[i] = 1
			default:
				spread[i] = float64(weights[i])
			}
			sum += spread[i]
		}
		if sum > 0 {
			break // else those with a weight do not fit
		}
	}
	out := make([]float64, len(fits))
	each := 1 / float64(len(s.Addresses))
	for _, a := range s.Addresses {
		if home := homes[a]; !r.NoHome && home > 0 && fits[home-1] {
			out[home-1] += each
			continue
		}
		for i := range out {
			out[i] += each * spread[i] / sum
		}
	}
	return out
}

func add(to, part []float64) {
	for i := range part {
		to[i] += part[i]
	}
}

// Words tells of what a shift out of a zone would do, a sentence each.
func (l Leaving) Words(zone string) (list []string) {
	for _, b := range l.Burdens {
		list = append(list, b.words())
	}
	if len(l.Stays) > 0 {
		list = append(list, fmt.Sprintf("no other zone is available to %s: traffic of it stays in %s", sites(l.Stays), zone))
	}
	if len(l.Unmoved) > 0 {
		has := "has"
		if len(l.Unmoved) > 1 {
			has = "have"
		}
		list = append(list, fmt.Sprintf("%s %s no pool of %s alone: nothing of it moves", sites(l.Unmoved), has, zone))
	}
	return list
}

func (b Burden) words() string {
	what := fmt.Sprintf("%d%% of its capacity", b.Carries)
	if b.Site != "" {
		what = fmt.Sprintf("%d%% of what its servers can of Site/%s (backend %s)", b.Carries, b.Site, b.Backend)
	}
	if b.More > 0 {
		what += fmt.Sprintf(", and too much of %d more", b.More)
	}
	now := "; now it carries nothing of it"
	if b.Grows > 0 {
		now = fmt.Sprintf("; that is %d%% of what it carries now", b.Grows)
	}
	return fmt.Sprintf("zone %s would carry %s%s, where all zones with all their servers are sized so that one may go: add servers there, end what else is shifted or drained, or shift less", b.Zone, what, now)
}

// sites names the first of them.
func sites(names []string) string {
	refs := make([]string, len(names))
	for i, name := range names {
		refs[i] = "Site/" + name
	}
	return strings.TrimSpace(few(refs, 4))
}
