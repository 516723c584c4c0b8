package discovery

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"weir"
)

// Roster is what one source says, and what is to become of it: it is told what drivers tell, and what the store has, and
// gives the writes that bring the store's servers to what the source has, as far as that is believed. It knows no clock
// and is for one goroutine at a time.
type Roster struct {
	source  string
	role    string
	mapping *Mapping
	floor   Floor
	damper  *Damper
	store   Servers

	parts map[string][]*instance
	read  map[string]bool // parts that were told since the beginning
	whole bool            // it was told which parts there are
	// complete says that all parts were told since the beginning, so that what is in none of them is gone.
	complete bool
	slots    map[string]*slot
	// touched are the names that have to be looked at.
	touched map[string]struct{}
	// gone are those that the store has as good, and the source does not.
	gone map[string]*slot
	all  group
	each map[string]*group
	left map[*instance]string // why an instance is not a server
	// refused are names that the store does not take, with why.
	refused map[string]string
	doubt   Doubt
	// before is since when those are gone that whoever did this before has held, until they are seen again, or all parts
	// were told.
	before map[string]time.Time
}

// Servers is what the store has.
type Servers interface {
	// Server gives the one of that name, nil if there is none.
	Server(name string) *weir.Object
	// Zone says whether there is such a zone.
	Zone(name string) bool
	// Room says how many servers more the role can have by its quota, if it is bound.
	Room() (room, quota int, bound bool)
}

// instance is one that was found.
type instance struct {
	part, id string
	state    State
	wanted   Wanted
	why      string // why it can be no server, "" if it can
	next     *instance
}

// slot is a server's name.
type slot struct {
	name string
	// claims are the instances that want the name, linked by next.
	claims *instance
	// group is the part that it is of, as far as that is known.
	part string
	// ours and good say how the store has it: that this source writes it, and that it may take traffic.
	ours, good bool
	// said is what the source said of it last: that it may take traffic.
	said bool
	// since is when it was seen first that it is gone, while it is.
	since time.Time
	// held says that it is kept though it is gone, believed that it is not any more.
	held, believed bool
	// better says that it is written to take traffic, which it did not.
	better bool
}

// RosterOptions say what a roster is for.
type RosterOptions struct {
	// Source is the name of the DiscoverySource.
	Source  string
	Spec    *weir.DiscoverySource
	Store   Servers
	Damping Damping
	// Record is what was kept by whoever did this before.
	Record Record
}

// NewRoster makes the roster of a source; ours are the names of the Servers that it has in the store.
func NewRoster(o RosterOptions, ours iter.Seq[string]) (*Roster, error) {
	mapping, err := NewMapping(&o.Spec.Server)
	if err != nil {
		return nil, err
	}
	r := &Roster{
		source: o.Source, role: o.Spec.Role, mapping: mapping, store: o.Store,
		floor:  Floor{Percent: *o.Spec.Floor.Percent, Count: *o.Spec.Floor.Count, Hold: o.Spec.Floor.Hold.D(), Window: o.Spec.Floor.Window.D()},
		damper: NewDamper(o.Damping, maps.Clone(o.Record.Penalties)),
		parts:  map[string][]*instance{}, read: map[string]bool{}, slots: map[string]*slot{},
		touched: map[string]struct{}{}, gone: map[string]*slot{}, each: map[string]*group{},
		left: map[*instance]string{}, refused: map[string]string{}, doubt: o.Record.Doubt, before: o.Record.Doubt.since(),
	}
	r.all.highs = slices.Clone(o.Record.Highs)
	for name := range ours {
		r.look(r.slot(name))
	}
	for _, s := range r.slots {
		s.said = s.good
	}
	return r, nil
}

// Complete says that all parts of the source were told, so that what is in none of them is gone.
func (r *Roster) Complete() bool { return r.complete }

// ManagedBy is what Servers of the source have as metadata.managedBy.
func (r *Roster) ManagedBy() string { return weir.ManagedByDiscovery + r.source }

// Part takes what a driver tells of a part.
func (r *Roster) Part(name string, found []Found) {
	r.read[name] = true
	before := r.parts[name]
	now := make([]*instance, 0, len(found))
	i := 0
	for _, f := range found {
		for i < len(before) && before[i].id < f.ID {
			r.drop(before[i])
			i++
		}
		var old *instance
		if i < len(before) && before[i].id == f.ID {
			old = before[i]
			i++
		}
		now = append(now, r.take(name, f, old))
	}
	for ; i < len(before); i++ {
		r.drop(before[i])
	}
	r.parts[name] = now
	r.known()
}

// take makes an instance of what was found, in the place of the one that it was.
func (r *Roster) take(part string, f Found, old *instance) *instance {
	wanted, err := r.mapping.Map(f)
	if old != nil {
		if err == nil && old.why == "" && old.wanted.Name == wanted.Name {
			if !old.wanted.same(&wanted) || old.state != f.State {
				wanted.Name = old.wanted.Name
				old.wanted, old.state = wanted, f.State
				r.Touch(wanted.Name)
			}
			return old
		}
		r.drop(old)
	}
	in := &instance{part: part, id: strings.Clone(f.ID), state: f.State, wanted: wanted}
	if err != nil {
		in.why = err.Error()
		r.left[in] = in.why
		return in
	}
	s := r.slot(wanted.Name)
	in.wanted.Name = s.name
	in.next, s.claims = s.claims, in
	r.Touch(s.name)
	return in
}

// drop forgets an instance.
func (r *Roster) drop(in *instance) {
	delete(r.left, in)
	if in.why != "" {
		return
	}
	s := r.slots[in.wanted.Name]
	for at := &s.claims; *at != nil; at = &(*at).next {
		if *at == in {
			*at = in.next
			break
		}
	}
	in.next = nil
	r.Touch(s.name)
}

// Whole takes which parts there are; the others are gone.
func (r *Roster) Whole(parts []string) {
	for _, name := range slices.Sorted(maps.Keys(r.parts)) {
		if !slices.Contains(parts, name) {
			for _, in := range r.parts[name] {
				r.drop(in)
			}
			delete(r.parts, name)
			delete(r.read, name)
		}
	}
	r.whole = true
	for _, name := range parts {
		if _, told := r.parts[name]; !told {
			r.parts[name] = nil
		}
	}
	r.known()
}

// known has the servers looked at that no part has, once all parts have been read: before that each of them may be of one
// that was not.
func (r *Roster) known() {
	if r.complete || !r.whole || len(r.read) < len(r.parts) {
		return
	}
	r.complete = true
	for name, s := range r.slots {
		if s.claims == nil {
			r.Touch(name)
		}
	}
}

// Touch has the server of a name looked at in the next step, since it may have changed in the store.
func (r *Roster) Touch(name string) { r.touched[name] = struct{}{} }

// TouchAll has all looked at, as when zones come or go.
func (r *Roster) TouchAll() {
	for name := range r.slots {
		r.touched[name] = struct{}{}
	}
}

// Refused notes that the store does not take a server, and why; it is not written again before it is touched anew.
func (r *Roster) Refused(name, why string) {
	r.refused[name] = why
	delete(r.touched, name)
}

// Retry has what the store refused looked at again.
func (r *Roster) Retry() {
	for name := range r.refused {
		r.touched[name] = struct{}{}
	}
}

func (r *Roster) slot(name string) *slot {
	s := r.slots[name]
	if s == nil {
		name = strings.Clone(name)
		s = &slot{name: name}
		r.slots[name] = s
	}
	return s
}

// look sees how the store has a server, and counts it.
func (r *Roster) look(s *slot) *weir.Object {
	o := r.store.Server(s.name)
	ours := r.wrote(o)
	good := false
	if ours {
		state := o.Spec.(*weir.Server).Registered()
		good = state == weir.RegistrationHealthy || state == ""
	}
	if good != s.good {
		by := 1
		if s.good {
			by = -1
		}
		r.all.good += by
		r.group(s.part).good += by
	}
	s.ours, s.good = ours, good
	return o
}

// wrote says that a Server is one of this source's. Anybody may name a source in metadata.managedBy of a Server of their own
// role, and must not weigh in another role's source by that; spec.registration nobody but the control plane writes.
func (r *Roster) wrote(o *weir.Object) bool {
	if o == nil || o.Metadata.ManagedBy != r.ManagedBy() {
		return false
	}
	is := o.Spec.(*weir.Server).Registration
	return o.Metadata.Role == r.role || is != nil && is.By == r.ManagedBy()
}

// move counts a server for the part that it is of.
func (r *Roster) move(s *slot, part string) {
	if s.part == part {
		return
	}
	if s.good {
		r.group(s.part).left()
		r.group(part).good++
	}
	s.part = part
}

func (r *Roster) group(part string) *group {
	g := r.each[part]
	if g == nil {
		g = &group{}
		r.each[part] = g
	}
	return g
}

// winner is the instance that has a name: the one that the store's server is at already, else the first by part and ID;
// so who has it keeps it. The others are left out.
func (r *Roster) winner(s *slot, o *weir.Object) *instance {
	var best *instance
	for in := s.claims; in != nil; in = in.next {
		if best == nil || r.rank(in, o) < r.rank(best, o) || r.rank(in, o) == r.rank(best, o) && (in.part < best.part || in.part == best.part && in.id < best.id) {
			best = in
		}
	}
	for in := s.claims; in != nil; in = in.next {
		if in == best {
			delete(r.left, in)
		} else {
			r.left[in] = fmt.Sprintf("Server/%s is %s of %s already; let the template of the name tell them apart", s.name, Clip(best.id), Clip(best.part))
		}
	}
	return best
}

func (r *Roster) rank(in *instance, o *weir.Object) int {
	if r.wrote(o) && o.Spec.(*weir.Server).Address == in.wanted.Address {
		return 0
	}
	return 1
}

// same says whether two wishes are alike.
func (w *Wanted) same(o *Wanted) bool {
	return w.Name == o.Name && w.Address == o.Address && w.Zone == o.Zone && w.Weight == o.Weight &&
		slices.Equal(w.Clusters, o.Clusters) && maps.Equal(w.Ports, o.Ports) && maps.Equal(w.Labels, o.Labels)
}
