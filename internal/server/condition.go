package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
	"weir/internal/link"
)

// Status gives an object's conditions. Objects that no load balancer is told of, as a Grant, have none.
func (f *fleet) Status(o *weir.Object) *weir.Status { return f.moment().status(o) }

func (m *moment) status(o *weir.Object) *weir.Status {
	kind, ok := weir.KindByName(o.Kind)
	if !ok || kind.ReadOnly || slices.Contains(personal, o.Kind) {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	v := view{moment: m, object: o, ref: o.Ref()}
	v.look()
	conditions := append(make([]weir.Condition, 0, 4), v.accepted()) // most have no more
	if o.Kind != "DiscoverySource" {                                 // load balancers are told of its servers, never of itself
		conditions = append(conditions, v.programmed())
	}
	if issued, ok := v.issued(); ok {
		conditions = append(conditions, issued)
	}
	conditions = append(conditions, v.watched()...)
	conditions = append(conditions, v.fetchedList()...)
	conditions = append(conditions, v.named()...)
	if certified, ok := v.certified(); ok {
		conditions = append(conditions, certified)
	}
	if admitted, ok := v.admitted(); ok {
		conditions = append(conditions, admitted)
	}
	if serving, ok := v.serving(); ok {
		conditions = append(conditions, serving)
	}
	if divided, ok := v.divided(); ok {
		conditions = append(conditions, divided)
	}
	if answering, ok := v.answering(); ok {
		conditions = append(conditions, answering)
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
	*moment
	object *weir.Object
	ref    weir.Ref

	ready, of int
	needed    bool     // by load balancers of a group, whether active or not
	in        []string // the groups of those that of counts
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
		v.needed = true
		before := *v
		v.group(g)
		if v.of > before.of {
			v.in = append(v.in, name)
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

// group looks at the load balancers of a group; of a LoadBalancer only at itself.
func (v *view) group(g *groupState) {
	if v.ref.Kind == "LoadBalancer" {
		if i := slices.IndexFunc(g.selves, func(s ir.Self) bool { return s.Name == v.ref.Name }); i >= 0 {
			v.loadBalancer(g, g.selves[i])
		}
		return
	}
	crew := v.crew(g)
	v.ready, v.of = v.ready+crew.plain, v.of+crew.plain
	for _, self := range crew.odd {
		v.loadBalancer(g, self)
	}
}

func (v *view) loadBalancer(g *groupState, self ir.Self) {
	rep := v.moment.of(self.Name)
	v.drift(self.Name, rep.Drift)
	bad, unproven := "", link.Deviation{}
	var told []link.Deviation
	if len(rep.deviations) > 0 {
		told = rep.deviations[v.resource()]
	}
	for _, d := range told {
		switch d.State {
		case link.Quarantined:
			bad, v.reason = d.Message, d.Reason
			v.hold(self.Name, d)
		case link.Pending:
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
	current := rep.heard && (rep.has || !whole && v.shows(self, rep, v.object))
	if current && bad == "" && unproven.State == "" {
		v.ready++
		return
	}
	v.laggards = append(v.laggards, self.Name)
	if current && unproven.Reason == link.NotServed {
		v.unshown = append(v.unshown, self.Name+": "+unproven.Message)
	}
}

// resource names the object as deviations are put to it; a group has one Tuning.
func (v *view) resource() string {
	if v.ref.Kind == "Tuning" {
		return v.ref.Kind
	}
	return v.becomes().String()
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
	return weir.Condition{Type: weir.Accepted, Status: "True", Reason: "Compiled", Message: "it obeys the rules"}
}

func (v *view) programmed() weir.Condition {
	c := weir.Condition{Type: weir.Programmed, Ready: v.ready, Of: v.of, Groups: v.in}
	switch {
	case v.of == 0 && len(v.shiftsBy()) > 0:
		c.Status, c.Reason, c.Message = "Unknown", "ByShift", "who has it is told by what goes by it: "+strings.Join(v.shiftsBy(), ", ")
	case v.of == 0 && !v.needed:
		c.Status, c.Reason, c.Message = "Unknown", "NotInUse", v.unneeded()
	case v.of == 0:
		c.Status, c.Reason, c.Message = "Unknown", "NoneActive", "no load balancer that needs it is active"
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

// unneeded says why no load balancer needs the object.
func (v *view) unneeded() string {
	why := ""
	if v.ref.Kind == "EgressClient" {
		why = weir.NoWayOut(v.store.View(), v.object.Spec.(*weir.EgressClient).Environment)
	}
	return cmp.Or(why, "no load balancer needs it: nothing that they serve uses it")
}

// shiftsBy names the ZoneShifts that go by a Schedule: load balancers are told their moments, and of no Schedule.
func (v *view) shiftsBy() (list []string) {
	if v.ref.Kind != "Schedule" {
		return nil
	}
	for r := range v.store.View().ReferrersOf("ZoneShift", v.ref) {
		list = append(list, r.String())
	}
	return list
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
