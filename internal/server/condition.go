package server

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
)

// Status gives an object's conditions. Objects that no load balancer is told of, as a Grant, have none.
func (f *fleet) Status(o *weir.Object) *weir.Status {
	kind, ok := weir.KindByName(o.Kind)
	if !ok || kind.ReadOnly || slices.Contains(personal, o.Kind) {
		return nil
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	v := view{fleet: f, object: o, ref: o.Ref()}
	v.look()
	conditions := []weir.Condition{v.accepted()}
	if o.Kind != "DiscoverySource" { // load balancers are told of its servers, never of itself
		conditions = append(conditions, v.programmed())
	}
	if issued, ok := v.issued(); ok {
		conditions = append(conditions, issued)
	}
	conditions = append(conditions, v.watched()...)
	conditions = append(conditions, v.fetchedList()...)
	if certified, ok := v.certified(); ok {
		conditions = append(conditions, certified)
	}
	if admitted, ok := v.admitted(); ok {
		conditions = append(conditions, admitted)
	}
	if serving, ok := v.serving(); ok {
		conditions = append(conditions, serving)
	}
	if len(v.held) > 0 {
		conditions = append(conditions, v.quarantined())
	}
	if drifted, ok := v.drifted(); ok {
		conditions = append(conditions, drifted)
	}
	return &weir.Status{Conditions: conditions, Certificate: v.certificate(), Issuer: v.issuer(), Source: v.source()}
}

// personal kinds are about people, not load balancers.
var personal = []string{"Role", "Grant", "Token", "Secret"}

// view is what is known of one object.
type view struct {
	*fleet
	object *weir.Object
	ref    weir.Ref

	ready, of int
	laggards  []string
	waits     string      // a group of which some of the laggards wait for a wave
	unshown   []string    // which of the laggards have it and show clients something else
	held      []objection // what load balancers have against it
	reason    string
	problems  []string
	hand      byHand // what other hands did to it
	parts     []weir.ServedGroup
}

// objection is what some load balancers have against an object, in the same words.
type objection struct {
	text, reason string
	by           []string
}

func (v *view) hold(loadBalancer string, d link.Deviation) {
	i := slices.IndexFunc(v.held, func(o objection) bool { return o.text == d.Message })
	if i < 0 {
		v.held = append(v.held, objection{text: d.Message, reason: d.Reason})
		i = len(v.held) - 1
	}
	v.held[i].by = append(v.held[i].by, loadBalancer)
}

func (v *view) quarantined() weir.Condition {
	var texts []string
	for _, o := range v.held {
		texts = append(texts, strings.Join(o.by, ", ")+": "+o.text)
	}
	return weir.Condition{Type: weir.Quarantined, Status: "True", Reason: v.reason, Message: strings.Join(texts, "; ")}
}

// look goes through the load balancers of the groups that the object is part of.
func (v *view) look() {
	ref := v.ref.String()
	about := func(p weir.Problem) bool { return p.Object == ref }
	concerned := v.concerned()
	var names []string // of the groups that say something about it: few of many, so that only they are put in order
	for name, g := range v.groups {
		if slices.Contains(concerned, name) || slices.ContainsFunc(g.problems, about) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		g := v.groups[name]
		for _, p := range g.problems {
			if about(p) {
				v.problems = append(v.problems, fmt.Sprintf("group %s: %s: %s", name, p.Path, p.Message))
			}
		}
		if !slices.Contains(concerned, name) {
			continue
		}
		before := *v
		for _, self := range g.selves {
			v.loadBalancer(g, self)
		}
		if v.ref.Kind == "Certificate" {
			v.parts = append(v.parts, v.part(name, before))
		}
	}
}

// concerned names the groups that have to do with the object.
func (v *view) concerned() []string {
	switch spec := v.object.Spec.(type) {
	case *weir.Override:
		return v.places.groups(spec.Server)
	case *weir.Server:
		return v.places.groups(v.ref.Name)
	case *weir.LoadBalancer:
		return []string{spec.Group}
	}
	own := v.becomes()
	var names []string
	for name, g := range v.groups {
		if v.ref.Kind == "Zone" && slices.Contains(g.node.Group.Zones, v.ref.Name) || v.holds(g, own) {
			names = append(names, name)
		}
	}
	return names
}

func (v *view) loadBalancer(g *groupState, self ir.Self) {
	if v.ref.Kind == "LoadBalancer" && self.Name != v.ref.Name {
		return
	}
	rep, heard := v.hub.Reports().Get(self.Name)
	wanted, _ := v.hub.Wanted(self.Name)
	v.drift(self.Name, rep.Drift)
	bad, unproven := "", link.Deviation{}
	for _, id := range sortedNames(rep.Resources.Deviations) {
		switch d := rep.Resources.Deviations[id]; {
		case !v.isOf(id):
		case d.State == link.Quarantined:
			bad, v.reason = d.Message, d.Reason
			v.hold(self.Name, d)
		case d.State == link.Pending:
			unproven = d
		}
	}
	if self.State != weir.Active {
		return
	}
	v.of++
	// The object is there when a state was read back that holds it: the newest, or any from its own revision on. A
	// load balancer and its group are what they are to have by now.
	whole := v.ref.Kind == "LoadBalancer" || v.ref.Kind == "LoadBalancerGroup"
	if g.holdsBack(v.object, self) {
		v.waits, v.laggards = g.node.Group.Name, append(v.laggards, self.Name)
		return
	}
	current := heard && (v.has(rep, wanted) || !whole && (!wanted.Viewed || v.hub.Carries(self.Name, rep.Hash)) && rep.State == link.Converged && ours(rep, wanted) && rep.Revision >= v.object.Revision && v.object.Revision > 0 && rep.Revision <= v.store.Revision())
	if current && bad == "" && unproven.State == "" {
		v.ready++
		return
	}
	v.laggards = append(v.laggards, self.Name)
	if current && unproven.Reason == link.NotServed {
		v.unshown = append(v.unshown, self.Name+": "+unproven.Message)
	}
}

// isOf says whether a resource of one of the object's groups comes from the object.
func (v *view) isOf(id string) bool {
	switch v.ref.Kind {
	case "Tuning":
		return id == "tuning"
	case "Server":
		return strings.HasPrefix(id, "server/") && strings.HasSuffix(id, "/"+v.ref.Name)
	}
	return ir.Owner(id) == v.becomes().String()
}

// becomes names the object as whose part load balancers know this one: a Route is one of its site's.
func (v *view) becomes() weir.Ref {
	if r, ok := v.object.Spec.(*weir.Route); ok {
		return weir.Ref{Kind: "Site", Name: r.Site}
	}
	return v.ref
}

func (v *view) accepted() weir.Condition {
	if len(v.problems) > 0 {
		return weir.Condition{Type: weir.Accepted, Status: "False", Reason: "LeftOut", Message: strings.Join(v.problems, "; ")}
	}
	return weir.Condition{Type: weir.Accepted, Status: "True", Reason: "Compiled", Message: "the wish obeys the rules"}
}

func (v *view) programmed() weir.Condition {
	c := weir.Condition{Type: weir.Programmed, Ready: v.ready, Of: v.of}
	switch {
	case v.of == 0 && v.ref.Kind == "Schedule":
		c.Status, c.Reason, c.Message = "Unknown", "NotInUse", "no active load balancer needs it for a site; a ZoneShift that goes by it tells who has that"
	case v.of == 0:
		c.Status, c.Reason, c.Message = "Unknown", "NotInUse", "no active load balancer needs it"
	case v.ready == v.of:
		c.Status, c.Reason, c.Message = "True", "ReadBack", "read back from "+allOf(v.of)
	default:
		c.Status, c.Reason = "False", "Pending"
		c.Message = fmt.Sprintf("read back from %d of %d; not from %s", v.ready, v.of, strings.Join(v.laggards, ", "))
		if len(v.unshown) > 0 {
			c.Reason, c.Message = link.NotServed, c.Message+"; "+strings.Join(v.unshown, "; ")
		}
		if v.waits != "" {
			c.Reason, c.Message = "InWaves", fmt.Sprintf("read back from %d of %d; %s", v.ready, v.of, v.whyWaits(v.waits, v.object.Revision))
		}
	}
	return c
}

// allOf names all load balancers that need something, which can be one.
func allOf(n int) string {
	if n == 1 {
		return "the one load balancer that needs it"
	}
	return fmt.Sprintf("all %d load balancers", n)
}

// absent says that what load balancers have against the object leaves nothing of it.
func (v *view) absent() bool {
	return len(v.held) > 0 && !slices.ContainsFunc(v.held, func(o objection) bool { return o.reason != link.RefusedAtFirst })
}

// serving says whether something answers: of a pool its servers, of a site the pools of its backends.
func (v *view) serving() (weir.Condition, bool) {
	var pools []string
	switch spec := v.object.Spec.(type) {
	case *weir.Pool:
		pools = []string{v.ref.Name}
	case *weir.Site:
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
	known, up, of, out := false, 0, 0, 0
	for _, pool := range pools {
		health := v.serverHealth(pool)
		alive := 0
		for _, s := range health {
			known = true
			of++
			switch {
			case s.Up > 0:
				alive++
			case slices.ContainsFunc(s.Views, takenOut):
				out++
			}
		}
		up += alive
		if alive == 0 {
			dead = append(dead, pool)
		}
	}
	c := weir.Condition{Type: weir.Serving, Ready: up, Of: of}
	switch {
	case v.of > 0 && v.ready == 0 && v.absent():
		c.Ready, c.Of = 0, 0 // servers that are up serve nothing here
		c.Status, c.Reason, c.Message = "False", "Quarantined", "no load balancer has it: all refuse it, and it has no earlier form"
	case !known:
		c.Status, c.Reason, c.Message = "Unknown", "NotSeen", "no load balancer has told of its servers yet"
	case up == 0:
		c.Status, c.Reason, c.Message = "False", "Down", "no server is up"+outText(": ", out)
	case len(dead) > 0:
		c.Status, c.Reason = "True", "Degraded"
		c.Message = fmt.Sprintf("%d of %d servers are up%s; none of pool %s", up, of, outText(", ", out), strings.Join(dead, ", "))
	default:
		c.Status, c.Reason, c.Message = "True", "Up", fmt.Sprintf("%d of %d servers are up%s", up, of, outText(", ", out))
	}
	return c, true
}

// takenOut says that a server gets no new traffic because somebody wishes it so.
func takenOut(v api.ServerView) bool {
	return v.State == string(link.Drain) || v.State == string(link.Maint)
}

// outText counts the servers that were taken out; empty for none.
func outText(before string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d drained or in maintenance", before, n)
}
