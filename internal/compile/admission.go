package compile

import (
	"net/netip"

	"weir"
	"weir/internal/ir"
)

// Admission tells what registrations make of the Servers that a pool selects.
type Admission struct {
	// Asks says whether the pool asks for registrations at all.
	Asks bool
	// Healthy and Stale are how many count for the floor: those that people have taken out by hand do not.
	Healthy, Stale int
	// In is how many Servers may take traffic as far as registrations go, held ones among them.
	In int
	// Others are the Servers that are not simply in, by name.
	Others []Standing
}

// Standing is a Server with what its registration makes of it.
type Standing struct {
	Server string
	weir.Standing
}

// selected is a Server on its way into a pool.
type selected struct {
	object *weir.Object
	*weir.Server
	at        netip.AddrPort
	overrides []ir.Override
}

// inHand says that people keep the server from traffic, so that it can't stand in for others. Whether an Override has
// expired is not known here: it counts as long as it is there.
func (s *selected) inHand() bool {
	w := weight(s.Weight)
	for _, o := range s.overrides {
		if o.State == weir.StateDrain || o.State == weir.StateMaintenance {
			return true
		}
		if o.Weight != nil {
			w = *o.Weight
		}
	}
	return w == 0
}

// admit works out what each server is in a pool. It gives nil for a pool of which there is nothing to tell.
func admit(spec *weir.Pool, list []selected) (*Admission, []weir.Standing) {
	a := &Admission{Asks: spec.AsksForRegistration()}
	for i := range list {
		state := list[i].Registered()
		if state != weir.RegistrationHealthy && state != weir.RegistrationStale || list[i].inHand() {
			continue
		}
		if state == weir.RegistrationHealthy {
			a.Healthy++
		} else {
			a.Stale++
		}
	}
	held := spec.Floor.Holds(a.Healthy, a.Stale)
	standings := make([]weir.Standing, len(list))
	for i := range list {
		st := spec.Standing(list[i].Server, held)
		standings[i] = st
		if st == weir.StandingIn || st == weir.StandingHeld {
			a.In++
		}
		if st != weir.StandingIn {
			a.Others = append(a.Others, Standing{list[i].object.Metadata.Name, st})
		}
	}
	if !a.Asks && len(a.Others) == 0 {
		return nil, standings
	}
	return a, standings
}

// placed is the server as load balancers are told of it; ok is false for one that they are not told of. An Override
// with the state ready lets one in that its registration keeps out, until it expires.
func (s *selected) placed(st weir.Standing) (server ir.Server, ok bool) {
	server = ir.Server{Name: s.object.Metadata.Name, Address: s.at, Weight: weight(s.Weight), Overrides: s.overrides}
	if st.Out() {
		server.Maintenance = true
		return server, s.ready()
	}
	if st == weir.StandingDraining {
		server.Overrides = drained(server.Weight, s.overrides)
		server.Weight = 0
	}
	return server, true
}

func (s *selected) ready() bool {
	for _, o := range s.overrides {
		if o.State == weir.StateReady {
			return true
		}
	}
	return false
}

// drained gives the Overrides of a server that drains by itself: none but one with the state ready gives it weight again.
func drained(own int, overrides []ir.Override) []ir.Override {
	var list []ir.Override
	for _, o := range overrides {
		switch {
		case o.State == weir.StateReady && o.Weight == nil:
			o.Weight = &own
		case o.State == "":
			continue
		case o.State != weir.StateReady:
			o.Weight = nil
		}
		list = append(list, o)
	}
	return list
}
