package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
)

// moment is what the load balancers have told, worked through once for all objects that are asked about. It is for one
// goroutine at a time, and grows old.
type moment struct {
	*fleet
	revision int64 // the store's
	now      time.Time
	tellers  map[string]*teller
	crews    map[*groupState]*crew
	pools    map[string]*poolTally
}

// teller is a load balancer as it was heard of.
type teller struct {
	link.Reported
	heard  bool
	wanted link.Wanted
	// has says that it has all that is wanted; sound that what it has is of this history, and was read back.
	has, sound bool
	// deviations are by the object, as view.becomes names it, in the order of the resources.
	deviations map[string][]link.Deviation
}

// serverTally counts the load balancers by what they see of a server.
type serverTally struct {
	name                  string
	up, of, out, starting int
	// bad is the first view of it that is not up, by the names of the load balancers.
	bad link.ServerHealth
	by  string
}

// Moment gives the states of many objects for the price of reading the reports once.
func (f *fleet) Moment() api.Moment { return f.moment() }

func (f *fleet) moment() *moment {
	return &moment{fleet: f, revision: f.store.Revision(), now: f.clock(), tellers: map[string]*teller{}, crews: map[*groupState]*crew{}, pools: map[string]*poolTally{}}
}

// Status implements api.Moment.
func (m *moment) Status(o *weir.Object) *weir.Status { return m.status(o) }

// Seen gives what the checks see of a pool's servers, by server name; nil when no load balancer has the pool.
func (m *moment) Seen(pool string) []api.SeenServer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	t := m.pool(pool)
	if len(t.servers) == 0 {
		return nil
	}
	list := make([]api.SeenServer, len(t.servers))
	for i := range t.servers {
		s := &t.servers[i]
		list[i] = api.SeenServer{
			Server: s.name, Up: s.up, Of: s.of, Out: s.out, Starting: s.starting,
			State: string(s.bad.State), Since: s.bad.Since, Check: s.bad.Check, LoadBalancer: s.by,
		}
	}
	return list
}

// of gives a load balancer as it was heard of.
func (m *moment) of(name string) *teller {
	if t := m.tellers[name]; t != nil {
		return t
	}
	t := new(teller)
	t.Reported, t.heard = m.hub.Reports().Get(name)
	t.wanted, _ = m.hub.Wanted(name)
	t.has = m.has(t.Reported, t.wanted)
	t.sound = t.State == link.Converged && ours(t.Reported, t.wanted) && t.Revision <= m.revision
	t.deviations = deviationsOf(t.Resources.Deviations)
	m.tellers[name] = t
	return t
}

// lately says that a load balancer was heard within the time in which it must tell something.
func (m *moment) lately(t *teller) bool { return m.now.Sub(t.At) < heardWithin }

// deviationsOf puts deviations to the objects that resources come from; one of a pool's member is the Server's, too.
func deviationsOf(all map[string]link.Deviation) map[string][]link.Deviation {
	if len(all) == 0 {
		return nil
	}
	by := make(map[string][]link.Deviation, len(all))
	for _, id := range sortedNames(all) {
		owner := ir.Owner(id)
		if id == "tuning" {
			owner = "Tuning"
		}
		by[owner] = append(by[owner], all[id])
		if name, ok := memberOf(id); ok {
			by["Server/"+name] = append(by["Server/"+name], all[id])
		}
	}
	return by
}

// shows says whether a load balancer that is not told to have all has a state that holds an object: any from its own
// revision on.
func (m *moment) shows(self ir.Self, t *teller, o *weir.Object) bool {
	return t.sound && (!t.wanted.Viewed || m.hub.Carries(self.Name, t.Hash)) && o.Revision > 0 && t.Revision >= o.Revision
}

func (s *serverTally) add(lb string, h *link.ServerHealth) {
	s.of++
	switch h.State {
	case link.Up, link.NoCheck:
		s.up++
		return
	case link.Drain, link.Maint:
		s.out++
	case link.StartingUp:
		s.starting++
	}
	if s.by == "" {
		s.bad, s.by = *h, lb
	}
}

// serving says whether something answers: of a pool its servers, of a site the pools of its backends. A way out has none:
// whether partners answer is told of those.
func (v *view) serving() (weir.Condition, bool) {
	var pools []string
	switch spec := v.object.Spec.(type) {
	case *weir.Pool:
		pools = []string{v.ref.Name}
	case *weir.Site:
		if spec.Egress != nil && !v.refusedByAll() {
			return weir.Condition{}, false
		}
		for _, b := range spec.Backends {
			for _, pool := range b.Pools() {
				if !slices.Contains(pools, pool) {
					pools = append(pools, pool)
				}
			}
		}
	default:
		return weir.Condition{}, false
	}
	slices.Sort(pools)
	var dead []string
	up, of, out := 0, 0, 0
	for _, pool := range pools {
		t := v.pool(pool)
		up, of, out = up+t.alive, of+len(t.servers), out+t.out
		if t.alive == 0 {
			dead = append(dead, pool)
		}
	}
	return v.servingOf(up, of, out, dead), true
}

// servingOf puts into words how many servers are up, how many were taken out, and which pools have none.
func (v *view) servingOf(up, of, out int, dead []string) weir.Condition {
	c := weir.Condition{Type: weir.Serving, Ready: up, Of: of}
	switch {
	case v.refusedByAll():
		c.Ready, c.Of = 0, 0 // servers that are up serve nothing here
		c.Status, c.Reason, c.Message = "False", "Quarantined", "no load balancer has it: all refuse it, and it has no earlier form"
	case of == 0:
		c.Status, c.Reason, c.Message = "Unknown", "NotSeen", "no load balancer has told of its servers yet"
	case up == 0:
		c.Status, c.Reason, c.Message = "False", "Down", "no server is up"+outText(": ", out)
	case len(dead) > 0:
		c.Status, c.Reason = "True", "Degraded"
		c.Message = fmt.Sprintf("%d of %d servers are up%s; none of pool %s", up, of, outText(", ", out), strings.Join(dead, ", "))
	default:
		c.Status, c.Reason, c.Message = "True", "Up", fmt.Sprintf("%d of %d servers are up%s", up, of, outText(", ", out))
	}
	return c
}

// refusedByAll says that no load balancer has the object in any form.
func (v *view) refusedByAll() bool { return v.of > 0 && v.ready == 0 && v.absent() }

// outText counts the servers that were taken out; empty for none.
func outText(before string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d drained or in maintenance", before, n)
}
