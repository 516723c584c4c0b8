package weir

import (
	"iter"
	"slices"
	"strings"

	"github.com/tidwall/btree"
)

// Set is a collection of objects at one moment, ordered by name within each kind. Copies share what is equal,
// so that a copy costs next to nothing and a set that is only read can be read by many at once. Objects in a set
// are never changed; Put replaces them.
type Set struct {
	// Revision is that of the last change in the set.
	Revision int64
	objects  []*btree.Map[string, *Object] // by kindAt
	stamps   []*Stamp
	// back holds "target\x00referrer" for every reference, but those to what crowds refer to.
	back *btree.Map[string, struct{}]
	// owned counts the objects of "role\x00kind".
	owned *btree.Map[string, int]
	// mine has a bit for each map above that no other set has, by kindAt, bitBack and bitOwned, and bitLists for the
	// two lists.
	mine uint64
}

const (
	bitLists = 61
	bitBack  = 62
	bitOwned = 63
)

// kindAt is the place of each kind in kinds.
var kindAt = func() map[string]int {
	at := make(map[string]int, len(kinds))
	for i, k := range kinds {
		at[k.Name] = i
	}
	return at
}()

// Stamp stands for the objects of one kind at one moment: as long as two sets show the same one, they hold the
// same objects of that kind.
type Stamp struct{ _ byte }

// NewSet makes a set of the objects given.
func NewSet(list ...*Object) *Set {
	s := &Set{
		objects: make([]*btree.Map[string, *Object], len(kinds)), stamps: make([]*Stamp, len(kinds)),
		back: new(btree.Map[string, struct{}]), owned: new(btree.Map[string, int]),
	}
	for i := range kinds {
		s.objects[i] = new(btree.Map[string, *Object])
		s.stamps[i] = new(Stamp)
	}
	for _, o := range list {
		s.Put(o)
	}
	return s
}

// Copy gives a set that can be changed without changing s. Copies of one set must not be made at the same time.
func (s *Set) Copy() *Set {
	s.mine = 0
	c := *s
	return &c
}

// lists makes the lists of maps and stamps the set's own, so that they can be changed.
func (s *Set) lists() {
	if s.mine&(1<<bitLists) == 0 {
		s.objects, s.stamps = slices.Clone(s.objects), slices.Clone(s.stamps)
		s.mine |= 1 << bitLists
	}
}

// own gives a map of the set to be changed, a copy if other sets may have it too.
func own[V any](s *Set, bit int, m **btree.Map[string, V]) *btree.Map[string, V] {
	if s.mine&(1<<bit) == 0 {
		shared := **m // making a copy writes to what is copied, which others may be reading
		*m = shared.Copy()
		s.mine |= 1 << bit
	}
	return *m
}

// of gives the objects of a kind, nil when there is no such kind.
func (s *Set) of(kind string) *btree.Map[string, *Object] {
	if i, ok := kindAt[kind]; ok {
		return s.objects[i]
	}
	return nil
}

// Get finds one object, nil when there is none.
func (s *Set) Get(r Ref) *Object {
	m := s.of(r.Kind)
	if m == nil {
		return nil
	}
	o, _ := m.Get(r.Name)
	return o
}

// Put adds an object, or replaces the one of its kind and name.
func (s *Set) Put(o *Object) {
	i := kindAt[o.Kind]
	s.lists()
	old, _ := own(s, i, &s.objects[i]).Set(o.Metadata.Name, o)
	s.stamps[i] = new(Stamp)
	refs := o.References()
	if old != nil && old.Metadata.Role == o.Metadata.Role && slices.Equal(old.References(), refs) {
		return
	}
	s.unlink(old)
	back := own(s, bitBack, &s.back)
	for _, r := range refs {
		if !crowded(r.Ref) {
			back.Set(r.String()+"\x00"+o.Ref().String(), struct{}{})
		}
	}
	s.count(o, 1)
}

// Delete takes an object out; what is not there is no error.
func (s *Set) Delete(r Ref) {
	i, ok := kindAt[r.Kind]
	if !ok || s.Get(r) == nil {
		return
	}
	s.lists()
	old, _ := own(s, i, &s.objects[i]).Delete(r.Name)
	s.unlink(old)
	s.stamps[i] = new(Stamp)
}

func (s *Set) unlink(old *Object) {
	if old == nil {
		return
	}
	back := own(s, bitBack, &s.back)
	for _, r := range old.References() {
		if !crowded(r.Ref) {
			back.Delete(r.String() + "\x00" + old.Ref().String())
		}
	}
	s.count(old, -1)
}

func (s *Set) count(o *Object, by int) {
	if o.Metadata.Role == "" {
		return
	}
	owned, key := own(s, bitOwned, &s.owned), o.Metadata.Role+"\x00"+o.Kind
	n, _ := owned.Get(key)
	owned.Set(key, n+by)
}

// Owned counts the objects of a kind that belong to a role.
func (s *Set) Owned(role, kind string) int {
	n, _ := s.owned.Get(role + "\x00" + kind)
	return n
}

// Stamp gives what changes whenever an object of the kind is put or deleted; copies of a set show the stamps of
// the original until they are changed themselves.
func (s *Set) Stamp(kind string) *Stamp {
	if i, ok := kindAt[kind]; ok {
		return s.stamps[i]
	}
	return nil
}

// Len counts the objects of a kind.
func (s *Set) Len(kind string) int {
	if m := s.of(kind); m != nil {
		return m.Len()
	}
	return 0
}

// All gives the objects of a kind in the order of their names.
func (s *Set) All(kind string) iter.Seq[*Object] {
	return func(yield func(*Object) bool) {
		if m := s.of(kind); m != nil {
			m.Scan(func(_ string, o *Object) bool { return yield(o) })
		}
	}
}

// Every gives all objects, in the order of Kinds, then by name.
func (s *Set) Every() iter.Seq[*Object] {
	return func(yield func(*Object) bool) {
		for _, k := range kinds {
			for o := range s.All(k.Name) {
				if !yield(o) {
					return
				}
			}
		}
	}
}

// crowded says whether so many objects refer to r that they are rather looked for than written down: every server
// has a role and a zone, and hardly anybody asks who refers to those.
func crowded(r Ref) bool { return r.Kind == "Role" || r.Kind == "Zone" }

// Referrers gives the objects that refer to r, by kind and name as text. For a Role or Zone it looks through all
// objects.
func (s *Set) Referrers(r Ref) iter.Seq[Ref] {
	if !crowded(r) {
		return s.referrers(r.String()+"\x00", "")
	}
	return func(yield func(Ref) bool) {
		for _, kind := range sortedKeys(kindAt) {
			for from := range s.ReferrersOf(kind, r) {
				if !yield(from) {
					return
				}
			}
		}
	}
}

// ReferrersOf gives the objects of one kind that refer to r, by name; others cost nothing, however many. For a Role
// or Zone it looks through all objects of the kind.
func (s *Set) ReferrersOf(kind string, r Ref) iter.Seq[Ref] {
	if !crowded(r) {
		return s.referrers(r.String()+"\x00", kind+"/")
	}
	return func(yield func(Ref) bool) {
		for o := range s.All(kind) {
			if slices.ContainsFunc(o.References(), func(to Reference) bool { return to.Ref == r }) && !yield(o.Ref()) {
				return
			}
		}
	}
}

func (s *Set) referrers(target, kind string) iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		s.back.Ascend(target+kind, func(key string, _ struct{}) bool {
			rest, ok := strings.CutPrefix(key, target)
			if !ok || !strings.HasPrefix(rest, kind) {
				return false
			}
			kind, name, _ := strings.Cut(rest, "/")
			return yield(Ref{kind, name})
		})
	}
}

// Find gives the spec of an object of type T, nil when there is no object r or r's kind is another.
func Find[T any](s *Set, kind, name string) *T {
	o := s.Get(Ref{kind, name})
	if o == nil {
		return nil
	}
	spec, _ := any(o.Spec).(*T)
	return spec
}

// Write is one wish to change a set: an object to put, or one to delete.
type Write struct {
	Put    *Object
	Delete Ref
	// IfMatch, when set, is the revision that the object must have; MustNotExist asks that it be new.
	IfMatch int64
}

// MustNotExist as IfMatch refuses to replace an object.
const MustNotExist int64 = -1

// Ref names the object that the write is about.
func (w Write) Ref() Ref {
	if w.Put != nil {
		return w.Put.Ref()
	}
	return w.Delete
}
