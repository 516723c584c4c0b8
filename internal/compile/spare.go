package compile

import "weir"

// standIns counts the Servers of a pool that can stand in for each other: those that are healthy or stale by their
// registrations, and not kept from traffic by hand.
type standIns struct {
	healthy, stale int
	last           *weir.Object // counted last: a pool is met once for each cluster that it names
}

// Spare gives those of a set's Servers, each withdrawn or stale by its registration, that can be deleted without taking
// traffic from anybody: no Override names them, and no pool that selects a stale one has it by its floor. A pool that asks
// for no registration, and so has no floor, is taken to have the usual one.
func Spare(set *weir.Set, servers []*weir.Object) (spare []*weir.Object) {
	c, chooser := New(), newChooser(set)
	c.syncOverrides(set)
	pools := map[*weir.Object]*standIns{}
	for _, o := range servers {
		chooser.Selects(o, func(pool *weir.Object) { pools[pool] = &standIns{} })
	}
	c.countStandIns(set, chooser, pools)
	for _, o := range servers {
		needed := len(c.overrides[o.Metadata.Name]) > 0
		if !needed && o.Spec.(*weir.Server).Registered() != weir.RegistrationWithdrawn {
			chooser.Selects(o, func(pool *weir.Object) {
				n, spec := pools[pool], pool.Spec.(*weir.Pool)
				_, misfit := seat(spec, o)
				needed = needed || misfit == "" && spec.Floor.Holds(n.healthy, n.stale)
			})
		}
		if !needed {
			spare = append(spare, o)
		}
	}
	return spare
}

func (c *Compiler) countStandIns(set *weir.Set, chooser *Chooser, pools map[*weir.Object]*standIns) {
	if len(pools) == 0 {
		return
	}
	for o := range set.All("Server") {
		state := o.Spec.(*weir.Server).Registered()
		if state != weir.RegistrationHealthy && state != weir.RegistrationStale {
			continue
		}
		chooser.Selects(o, func(object *weir.Object) {
			n := pools[object]
			if n == nil || n.last == o || c.standsAside(object, o) {
				return
			}
			n.last = o
			if state == weir.RegistrationHealthy {
				n.healthy++
			} else {
				n.stale++
			}
		})
	}
}

// standsAside says that a Server which a pool selects takes no part in it, or is kept from traffic there by hand.
func (c *Compiler) standsAside(object, o *weir.Object) bool {
	p := &pool{object: object, spec: object.Spec.(*weir.Pool)}
	at, misfit := seat(p.spec, o)
	one := selected{o, o.Spec.(*weir.Server), at, c.overridesOf(p, o.Metadata.Name, o)}
	return misfit != "" || one.inHand()
}
