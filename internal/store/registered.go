package store

import "weir"

// keepRegistration gives a Server that people or machines wish for the registration that it has: what an older export says
// of it, or an undo, is not so any more.
func (d *draft) keepRegistration() {
	after, ok := d.after.Spec.(*weir.Server)
	if !ok {
		return
	}
	after.Registration = nil
	if d.before != nil {
		after.Registration = d.before.Spec.(*weir.Server).Registration
	}
}

// wishes gives what an object is now, and was before and after a change, as they are held against each other to see what
// an undo would take back: without the registration, which no undo does.
func (e *entry) wishes(present *weir.Object) (now, before, after []byte, err error) {
	if e.ref.Kind != "Server" {
		now, err = canonical(present)
		return now, e.beforeJSON, e.afterJSON, err
	}
	if now, err = unregistered(present); err == nil {
		before, err = unregistered(e.before)
	}
	if err == nil {
		after, err = unregistered(e.after)
	}
	return now, before, after, err
}

func unregistered(o *weir.Object) ([]byte, error) {
	if o != nil {
		spec, bare := *o.Spec.(*weir.Server), *o
		spec.Registration = nil
		bare.Spec = &spec
		o = &bare
	}
	return canonical(o)
}
