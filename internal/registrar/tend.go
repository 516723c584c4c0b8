package registrar

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/store"
)

// leader is the work of marking those that fall silent, which one server of the store does.
type leader struct {
	*Registrar
	// since is when this began, or went on after it was deaf: nobody is silent before a lease has passed.
	since time.Time
	last  time.Time // when it heard last
	// heard is when each was heard last, as far as that is within a lease, and next from where to hear on.
	heard map[string]time.Time
	next  int64
	// scanned is when all Servers were looked at, silent how many were silent a moment ago, gathering since when they have
	// been becoming more.
	scanned   time.Time
	silent    int
	gathering time.Time
	// kept is when servers were looked at last that are long gone, and pools need all of them.
	kept time.Time
}

// The paces of looking for the silent.
const (
	tendEvery = time.Second // or a tenth of the lease, if that is less
	// gatherMost is how long more silent ones are waited for, so that many make few changes.
	gatherMost = 5 * time.Second
	// writeAtOnce is how many Servers one change marks.
	writeAtOnce = 5000
)

// deafFrom is from when a pause was the control plane's own, or etcd's: nobody was heard then, so nobody was silent.
func (r *Registrar) deafFrom() time.Duration { return max(time.Second, r.leases.Lease()/6) }

// Tend marks servers stale that have fallen silent, and deletes those that are gone for as long as their tokens say. It is
// for one server of the store at a time, and ends with ctx.
func (r *Registrar) Tend(ctx context.Context) error {
	select {
	case <-r.leases.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	l := r.leader(time.Now())
	tick := time.NewTicker(min(tendEvery, r.leases.Lease()/10))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			l.tend(ctx, time.Now())
		}
	}
}

func (r *Registrar) leader(now time.Time) *leader {
	return &leader{Registrar: r, since: now, last: now, heard: map[string]time.Time{}}
}

func (l *leader) tend(ctx context.Context, now time.Time) {
	if !l.hear(ctx, now) || now.Sub(l.since) < l.patience() {
		return
	}
	if !l.anySilent(now) && l.silent == 0 && now.Sub(l.scanned) < l.leases.Lease() {
		return
	}
	l.scanned = now
	silent, old, over := l.scan(now)
	if n := len(silent); n != l.silent {
		if l.silent == 0 {
			l.gathering = now
		}
		l.silent = n
		if now.Sub(l.gathering) < gatherMost {
			return // there may be more in a moment
		}
	}
	l.silent = 0
	if silent, ok := l.end(ctx, silent, over, now); !ok || !l.mark(ctx, silent) || !l.remove(ctx, old, now) {
		l.scanned = time.Time{} // again with the next tick
	}
}

// hear takes in who was heard by all control planes since the last time, and says whether it could.
func (l *leader) hear(ctx context.Context, now time.Time) bool {
	names, next, err := l.leases.Heard(ctx, l.next)
	if err != nil {
		if ctx.Err() == nil {
			l.opts.Log.Warn("can't see which servers that register themselves were heard; nobody is taken for silent", "error", err)
		}
		return false
	}
	if now.Sub(l.last) > l.deafFrom() {
		l.since, l.scanned = now, time.Time{}
	}
	l.last, l.next = now, next
	for _, name := range names {
		l.heard[name] = now
	}
	return true
}

// patience is a lease, and as long as it takes at most until it is written down who was heard.
func (r *Registrar) patience() time.Duration { return r.leases.Lease() + r.leases.Lease()/10 }

// isSilent says that nothing was heard of a server for a lease.
func (l *leader) isSilent(name string, now time.Time) bool {
	last := l.since
	if at := l.heard[name]; at.After(last) {
		last = at
	}
	if one, ok := l.leases.Get(name); ok && one.Seen.After(last) {
		last = one.Seen
	}
	return now.Sub(last) >= l.patience()
}

// anySilent forgets when those were heard that are silent now, and says whether there are any.
func (l *leader) anySilent(now time.Time) bool {
	before := len(l.heard)
	maps.DeleteFunc(l.heard, func(name string, _ time.Time) bool { return l.isSilent(name, now) })
	return len(l.heard) < before
}

// scan gives the servers that took traffic, or finish it, and are silent, those that are gone for so long that they can be
// deleted, and the registrations whose holders are silent.
func (l *leader) scan(now time.Time) (silent, old []*weir.Object, over []store.Registration) {
	view, today := l.opts.Store.View(), l.opts.Clock()
	for o := range view.All("Server") {
		is := o.Spec.(*weir.Server).Registration
		if is == nil || !spokenByAgent(is) || !l.isSilent(o.Metadata.Name, now) {
			continue
		}
		switch is.State {
		case weir.RegistrationHealthy, weir.RegistrationDraining:
			silent = append(silent, o)
		case weir.RegistrationWithdrawn, weir.RegistrationStale:
			if longGone(view, o, today) {
				old = append(old, o)
			}
		}
	}
	for _, one := range l.leases.All() {
		if l.isSilent(one.Name, now) {
			over = append(over, one)
		}
	}
	return silent, old, over
}

// end drops the registrations of those that are silent, so that other machines may have their names, and gives the silent
// ones that have not registered again meanwhile.
func (l *leader) end(ctx context.Context, silent []*weir.Object, over []store.Registration, now time.Time) ([]*weir.Object, bool) {
	held := map[string]bool{}
	for _, one := range over {
		held[one.Name] = true
	}
	for _, o := range silent {
		if name := o.Metadata.Name; !held[name] {
			over = append(over, store.Registration{Name: name})
		}
	}
	names, err := l.leases.Drop(ctx, over...)
	if err != nil {
		l.opts.Log.Warn("can't end the registrations of silent servers; trying again", "error", err)
		return nil, false
	}
	gone := map[string]bool{}
	for _, name := range names {
		gone[name] = true
	}
	return slices.DeleteFunc(silent, func(o *weir.Object) bool {
		back := !gone[o.Metadata.Name]
		if back {
			l.heard[o.Metadata.Name] = now
		}
		return back
	}), true
}

func spokenByAgent(is *weir.Registration) bool {
	return strings.HasPrefix(is.By, weir.ByRegistration)
}

// mark writes that servers are silent: stale what was healthy, withdrawn what was on its way out.
func (l *leader) mark(ctx context.Context, silent []*weir.Object) bool {
	now := l.opts.Clock().UTC().Truncate(time.Millisecond)
	var writes []weir.Write
	for _, o := range silent {
		marked := o.Clone()
		spec := marked.Spec.(*weir.Server)
		is := *spec.Registration
		is.Since = now
		if is.State == weir.RegistrationDraining {
			is.State, is.Reason = weir.RegistrationWithdrawn, "it was draining, and fell silent"
		} else {
			is.State, is.Reason = weir.RegistrationStale, "nothing was heard of it for "+weir.Duration(l.leases.Lease()).String()
		}
		spec.Registration = &is
		writes = append(writes, weir.Write{Put: marked, IfMatch: o.Revision})
	}
	return l.change(ctx, writes, "silent for longer than the lease")
}

// author of what the leader writes.
const leaderAuthor = "weir"

// change makes few changes of writes, and says whether all that can be made were.
func (l *leader) change(ctx context.Context, writes []weir.Write, reason string) bool {
	made := true
	for some := range slices.Chunk(writes, writeAtOnce) {
		made = made && l.halves(ctx, some, reason)
	}
	return made
}

// halves makes writes one change, or if that can't be, two: one that was changed meanwhile, or that something refers to,
// holds up no other. It says whether the store took, or refused for good, all of them.
func (l *leader) halves(ctx context.Context, writes []weir.Write, reason string) bool {
	_, err := l.opts.Store.Apply(ctx, store.Request{Author: leaderAuthor, Reason: reason, Writes: writes, Registers: true})
	log := l.opts.Log.With("servers", len(writes), "first", writes[0].Ref().Name, "reason", reason)
	switch kind := weir.KindOf(err); {
	case err == nil:
		log.Info("servers that register themselves are silent")
	case kind == weir.Stale && len(writes) == 1: // it was heard meanwhile
	case kind == weir.Unavailable || kind == "":
		log.Warn("can't write that servers are silent; trying again", "error", err)
		return false
	case len(writes) == 1:
		log.Warn("can't write that a server is silent", "error", err)
	default:
		half := len(writes) / 2
		first := l.halves(ctx, writes[:half], reason)
		return l.halves(ctx, writes[half:], reason) && first
	}
	return true
}
