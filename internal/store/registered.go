package store

import (
	"slices"

	"weir"
)

// keepObserved gives what people or machines wish for what was observed of it last: of a Server its registration, of a
// Partner the addresses of its names, of an AccessList or a Map what was fetched. What an older export says of that, or an undo, is not so any more.
func (d *draft) keepObserved() {
	switch after := d.after.Spec.(type) {
	case *weir.Server:
		after.Registration = nil
		if d.before != nil {
			after.Registration = d.before.Spec.(*weir.Server).Registration
		}
	case *weir.Partner:
		if d.before != nil {
			after.Keep(d.before.Spec.(*weir.Partner))
		}
	case weir.Sourced:
		if d.before != nil {
			if kept, ok := after.Fetched(d.before.Spec); ok {
				d.after.Spec = kept
			}
		}
	}
}

// observed are the kinds of which something is observed.
var observed = []string{"Server", "Partner", "AccessList", "Map"}

// wishes gives what an object is now, and was before and after a change, as they are held against each other to see what
// an undo would take back: without what is observed, which no undo does.
func (e *entry) wishes(present *weir.Object) (now, before, after []byte, err error) {
	if !slices.Contains(observed, e.ref.Kind) {
		now, err = canonical(present)
		return now, e.beforeJSON, e.afterJSON, err
	}
	if now, err = unobserved(present); err == nil {
		before, err = unobserved(e.before)
	}
	if err == nil {
		after, err = unobserved(e.after)
	}
	return now, before, after, err
}

func unobserved(o *weir.Object) ([]byte, error) {
	if o == nil {
		return canonical(o)
	}
	bare := *o
	switch spec := o.Spec.(type) {
	case *weir.Server:
		without := *spec
		without.Registration = nil
		bare.Spec = &without
	case *weir.Partner:
		bare.Spec = spec.Unresolved()
	case weir.Sourced:
		bare.Spec = spec.Unfetched()
	}
	return canonical(&bare)
}
