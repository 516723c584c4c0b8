package certs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/store"
)

// UnwantedFor is how long a certificate that certificates: auto had ordered stays when no site wants it any more, so that
// a site which is taken out and put back orders nothing. It is not renewed meanwhile.
const UnwantedFor = 24 * time.Hour

// Care is what is to be done so that the Certificates of certificates: auto are those that sites want.
type Care struct {
	// Make are wanted and not there, by name.
	Make []weir.Wanted
	// Delete have been unwanted for long enough.
	Delete []*weir.Object
	// Note and Forget are those of which it is new that nobody wants them, and that somebody does again.
	Note, Forget []string
	// Next is when the next is to be deleted, zero when none is.
	Next time.Time
}

// Tend compares what sites want ordered (weir.Set.Orders) with what there is. unwanted says since when nobody has wanted
// a certificate, as far as that was noted.
func Tend(set *weir.Set, orders map[string]weir.Wanted, unwanted func(name string) time.Time, now time.Time) (c Care) {
	awaited := map[[2]string]bool{} // host names of roles; load balancers go on with what they had for these before
	for _, name := range slices.Sorted(maps.Keys(orders)) {
		spec, order := weir.Find[weir.Certificate](set, "Certificate", name), orders[name]
		if spec == nil {
			c.Make = append(c.Make, order)
		}
		if spec == nil || spec.Pending() {
			awaited[[2]string{order.Role, order.Hostname}] = true
		}
	}
	for o := range set.All("Certificate") {
		if o.Metadata.ManagedBy != weir.ManagedByWeir {
			continue
		}
		order, ordered := weir.OrderOf(o)
		if !ordered {
			continue
		}
		name := o.Metadata.Name
		_, wanted := orders[name]
		since := unwanted(name)
		switch end := since.Add(UnwantedFor); {
		case wanted && !since.IsZero():
			c.Forget = append(c.Forget, name)
		case wanted:
		case since.IsZero():
			c.Note = append(c.Note, name)
		case awaited[[2]string{order.Role, order.Hostname}]:
		case !end.After(now):
			c.Delete = append(c.Delete, o)
		case c.Next.IsZero() || end.Before(c.Next):
			c.Next = end
		}
	}
	return c
}

// requests are the changes that make it so: one for what comes and one for what goes.
func (c *Care) requests() (list []store.Request) {
	var come, gone store.Request
	for _, w := range c.Make {
		come.Writes = append(come.Writes, weir.Write{Put: w.Certificate(), IfMatch: weir.MustNotExist})
	}
	for _, o := range c.Delete {
		gone.Writes = append(gone.Writes, weir.Write{Delete: o.Ref(), IfMatch: o.Revision})
	}
	var sites, orders []string
	known := map[weir.Ref]bool{}
	for _, w := range c.Make {
		orders = append(orders, w.Order.String())
		for _, s := range w.Sites {
			if !known[s] {
				known[s], sites = true, append(sites, s.String())
			}
		}
	}
	come.Reason = fmt.Sprintf("certificates: auto of %s: %s", some(sites), some(orders))
	gone.Reason = fmt.Sprintf("no site has wanted this by certificates: auto for %s", weir.Duration(UnwantedFor))
	for _, r := range []store.Request{come, gone} {
		if len(r.Writes) > 0 {
			list = append(list, r)
		}
	}
	return list
}

// some names the first three.
func some(list []string) string {
	if len(list) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
	}
	return strings.Join(list, ", ")
}

// ordersOf is what sites want, worked out anew when one of them has changed.
func (k *Keeper) ordersOf(set *weir.Set) map[string]weir.Wanted {
	if stamp := set.Stamp("Site"); k.orders == nil || k.ordersAt != stamp {
		k.orders, k.ordersAt = set.Orders(), stamp
	}
	return k.orders
}

// tending is the name under which Certificates are made and deleted; none is called so.
const tending = ""

// refusedFor is how long what was refused is left alone.
const refusedFor = time.Minute

// tend begins what is to be done about the Certificates of certificates: auto; false when as many are at work as may be.
func (k *Keeper) tend(ctx context.Context, c *Care, now time.Time) bool {
	k.putOff(c, now)
	for _, r := range c.requests() {
		if !k.begin(ctx, nobody, tending, func(ctx context.Context, _ string) error { return k.apply(ctx, r) }) {
			return false
		}
	}
	return k.note(ctx, c.Note, now) && k.note(ctx, c.Forget, time.Time{})
}

// putOff leaves out what was refused a moment ago.
func (k *Keeper) putOff(c *Care, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	early := func(name string) bool {
		until, refused := k.refused[name]
		if refused && !until.After(now) {
			delete(k.refused, name)
		}
		if !until.After(now) {
			return false
		}
		if c.Next.IsZero() || until.Before(c.Next) {
			c.Next = until
		}
		return true
	}
	c.Make = slices.DeleteFunc(c.Make, func(w weir.Wanted) bool { return early(w.Name()) })
	c.Delete = slices.DeleteFunc(c.Delete, func(o *weir.Object) bool { return early(o.Metadata.Name) })
}

// note writes down since when nobody has wanted certificates.
func (k *Keeper) note(ctx context.Context, names []string, since time.Time) bool {
	for _, name := range names {
		begun := k.begin(ctx, nobody, name, func(ctx context.Context, name string) error {
			r := k.record(name)
			r.Unwanted = since
			return k.save(ctx, name, r)
		})
		if !begun {
			return false
		}
	}
	return true
}

// apply makes a change whole or, when that is refused, as much of it as is not.
func (k *Keeper) apply(ctx context.Context, r store.Request) error {
	r.Author = author
	_, err := k.opts.Store.Apply(ctx, r)
	if kind := weir.KindOf(err); kind != weir.Invalid && kind != weir.Stale {
		return err
	}
	for _, w := range r.Writes {
		one := r
		one.Writes = []weir.Write{w}
		_, err := k.opts.Store.Apply(ctx, one)
		switch name := w.Ref().Name; weir.KindOf(err) {
		case "":
			if err != nil {
				return err
			}
		case weir.Invalid:
			k.opts.Log.Warn("what certificates: auto asks for is refused", "certificate", name, "error", err)
			k.mu.Lock()
			k.refused[name] = k.opts.Clock().Add(refusedFor)
			k.mu.Unlock()
		case weir.Stale: // somebody has changed it meanwhile; looked at again
		default:
			return err
		}
	}
	return nil
}
