package registrar

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/compile"
)

// keptEvery is how often servers are held against their pools that are long gone, and all of them needed: it is a look at
// all servers.
const keptEvery = time.Minute

// longGone says that a Server of registrations is withdrawn or stale for longer than its token lets it be kept. Whether it
// holds a lease, and whether it is needed, is not asked.
func longGone(view *weir.Set, o *weir.Object, now time.Time) bool {
	is := o.Spec.(*weir.Server).Registration
	forget := forgets(view, is)
	return o.Metadata.ManagedBy == weir.ManagedByRegistration && forget > 0 && is.Since.Before(now.Add(-forget))
}

// forgets is how long one of a registration is kept that is gone, 0 for ever.
func forgets(view *weir.Set, is *weir.Registration) time.Duration {
	name, _ := strings.CutPrefix(is.By, weir.ByRegistration)
	var terms *weir.RegistrationTerms
	if token := weir.Find[weir.Token](view, "Token", name); token != nil {
		terms = token.Registration
	}
	return terms.Forgets()
}

// remove deletes those of servers that are long gone that nobody needs, in few changes.
func (l *leader) remove(ctx context.Context, old []*weir.Object, now time.Time) bool {
	if len(old) == 0 || now.Sub(l.kept) < keptEvery {
		return true
	}
	view := l.opts.Store.View()
	spare := compile.Spare(view, old)
	if len(spare) == 0 {
		l.kept = now
		return true
	}
	writes := map[time.Duration][]weir.Write{}
	for _, o := range spare {
		if _, held := l.leases.Get(o.Metadata.Name); held {
			continue // it has come back while this was worked out
		}
		forget := forgets(view, o.Spec.(*weir.Server).Registration)
		writes[forget] = append(writes[forget], weir.Write{Delete: o.Ref(), IfMatch: o.Revision})
	}
	made := true
	for _, forget := range slices.Sorted(maps.Keys(writes)) {
		made = l.change(ctx, writes[forget], "gone for longer than the "+weir.Duration(forget).String()+" that servers of their token are kept") && made
	}
	return made
}
