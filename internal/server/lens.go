package server

import (
	"slices"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/store"
)

// pastChange is what a change did to objects that wait for waves.
type pastChange struct {
	revision, undoes int64
	objects          []weir.ObjectChange // without After, which the next change or the newest set has
	// groups are those that it concerns; nil when nobody has worked that out.
	groups map[string]bool
}

func (c *pastChange) concerns(group string) bool { return c.groups == nil || c.groups[group] }

// past holds changes by revision, from the oldest that some group does not have everywhere.
type past []pastChange

// waits says that an object can be another one for those whom no wave has reached. A Zone or Schedule that was deleted is
// still there for them, because what they have may name it; one that is there is the same for all.
func waits(kind string) bool { return lingers(kind) || weir.WaitForWaves(kind) }

func lingers(kind string) bool { return kind == "Zone" || kind == "Schedule" }

// urgent says that an object is for all as it is now, though its kind waits: one of those that linger, while it is there,
// and a certificate that was revoked, which nobody may show any longer.
func urgent(o *weir.Object) bool {
	if o == nil {
		return false
	}
	c, ok := o.Spec.(*weir.Certificate)
	return lingers(o.Kind) || ok && c.Revoked != nil
}

// note adds a change; those that hold nothing that waits are left out.
func (p *past) note(ev store.Event) {
	c := pastChange{revision: ev.Revision, undoes: ev.Change.Undoes}
	for _, o := range ev.Change.Objects {
		if waits(o.Kind) {
			c.objects = append(c.objects, weir.ObjectChange{Ref: o.Ref, Before: o.Before})
		}
	}
	if len(c.objects) > 0 && (len(*p) == 0 || (*p)[len(*p)-1].revision < ev.Revision) {
		*p = append(*p, c)
	}
}

// after gives the changes that are newer than a revision.
func (p past) after(revision int64) past {
	i, _ := slices.BinarySearchFunc(p, revision+1, func(c pastChange, r int64) int { return int(c.revision - r) })
	return p[i:]
}

// concerning gives the revisions of those changes that concern a group.
func (p past) concerning(group string) []int64 {
	var list []int64
	for i := range p {
		if p[i].concerns(group) {
			list = append(list, p[i].revision)
		}
	}
	return list
}

// undoes gives the newest change that takes back one of those after base and up to target; 0 for none.
func (p past) undoes(base, target int64) int64 {
	for _, c := range slices.Backward(p.after(target)) {
		if c.undoes > base && c.undoes <= target {
			return c.revision
		}
	}
	return 0
}

// refs are the objects that the changes wrote.
func (p past) refs() []weir.Ref {
	var list []weir.Ref
	seen := map[weir.Ref]bool{}
	for i := range p {
		for _, o := range p[i].objects {
			if !seen[o.Ref] {
				seen[o.Ref] = true
				list = append(list, o.Ref)
			}
		}
	}
	return list
}

// form gives an object as it is where the waves have come to a revision, nil when it is not there: what waits is as
// it was then, all else as it is now.
func (p past) form(r weir.Ref, revision int64, now *weir.Set) *weir.Object {
	o := now.Get(r)
	if !waits(r.Kind) || urgent(o) {
		return o
	}
	for _, c := range p.after(revision) {
		for i := range c.objects {
			if c.objects[i].Ref == r {
				return c.objects[i].Before
			}
		}
	}
	return o
}

// lens shows a group as it is where the waves have come to a revision. One goroutine uses it; what it gives is
// replaced, never changed.
type lens struct {
	group    string
	revision int64
	set      *weir.Set
	compiler *compile.Compiler
	state    *groupState
	// same says that it shows what the newest state does, as far as was looked at last.
	same bool
}

// forms gives for all objects that were changed after a revision what form gives for one.
func (p past) forms(revision int64, now *weir.Set) map[weir.Ref]*weir.Object {
	forms := map[weir.Ref]*weir.Object{}
	for _, c := range p.after(revision) {
		for _, o := range c.objects {
			if _, known := forms[o.Ref]; known {
				continue
			}
			forms[o.Ref] = o.Before
			if one := now.Get(o.Ref); urgent(one) {
				forms[o.Ref] = one
			}
		}
	}
	return forms
}

// newLens works a view out anew. What it has in common with the newest state is shared in memory.
func newLens(group string, revision int64, now *weir.Set, p past, newest *groupState) *lens {
	l := &lens{group: group, revision: revision, set: now.Copy(), compiler: compile.New()}
	for r, o := range p.forms(revision, now) {
		putForm(l.set, r, o)
	}
	node, problems := l.compiler.Group(l.set, group)
	node.Challenges = newest.node.Challenges // which wait for no wave
	put, gone := difference(newest.node, node)
	l.state = &groupState{node: node, problems: problems, admissions: l.compiler.Admissions(&node), resources: newest.resources}
	if len(put)+len(gone) > 0 {
		l.state.resources = patch(newest.resources, put, gone)
	}
	l.same = len(put)+len(gone) == 0
	return l
}

// follow takes over what has changed since, of the objects named.
func (l *lens) follow(now *weir.Set, refs []weir.Ref, p past) {
	var changed []weir.Ref
	set := l.set.Copy()
	set.Revision = now.Revision
	for _, r := range refs {
		if o := p.form(r, l.revision, now); o != set.Get(r) {
			putForm(set, r, o)
			changed = append(changed, r)
		}
	}
	if len(changed) == 0 {
		return
	}
	concerned := slices.Contains(l.compiler.Groups(l.set, set, changed), l.group)
	l.compiler.Follow(set, changed)
	l.set = set
	if !concerned {
		return
	}
	node, problems := l.compiler.Group(set, l.group)
	node.Challenges = l.state.node.Challenges
	put, gone := difference(l.state.node, node)
	l.state = &groupState{node: node, problems: problems, admissions: l.compiler.Admissions(&node), resources: patch(l.state.resources, put, gone)}
}

// challenge takes over the challenges of the newest state.
func (l *lens) challenge(list []ir.Challenge) { l.state, _ = l.state.withChallenges(list) }

// compare looks whether it shows what the newest state does. What never waits changes both alike, and is no reason to
// look at every server of the group.
func (l *lens) compare(newest *groupState, refs []weir.Ref) {
	if refs == nil || slices.ContainsFunc(refs, func(r weir.Ref) bool { return waits(r.Kind) }) {
		put, gone := compile.Delta(newest.node, l.state.node)
		l.same = len(put)+len(gone) == 0
	}
}

func putForm(set *weir.Set, r weir.Ref, o *weir.Object) {
	if o == nil {
		set.Delete(r)
	} else {
		set.Put(o)
	}
}

// split gives the load balancers that a view is for, and the others.
func split(selves []ir.Self, in func(ir.Self) bool) (those, others []ir.Self) {
	for _, s := range selves {
		if in(s) {
			those = append(those, s)
		} else {
			others = append(others, s)
		}
	}
	return those, others
}
