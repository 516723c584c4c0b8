package server

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/ir"
)

// admitted says what registrations make of a Server in its pools, or of a Pool's Servers; ok is false for what
// registrations have nothing to do with.
func (v *view) admitted() (c weir.Condition, ok bool) {
	switch spec := v.object.Spec.(type) {
	case *weir.Pool:
		return v.poolAdmission(spec)
	case *weir.Server:
		return v.serverAdmission(spec), true
	}
	return c, false
}

func (v *view) poolAdmission(spec *weir.Pool) (weir.Condition, bool) {
	c := weir.Condition{Type: weir.Admitted, Status: "True", Reason: "Registered"}
	a, found := v.admission(v.ref.Name)
	switch {
	case !found && spec.AsksForRegistration():
		c.Status, c.Reason, c.Message = "Unknown", "NotInUse", "no Site uses the pool yet"
		return c, true
	case a == nil:
		return c, false
	}
	c.Ready, c.Of = a.In, sizeOf(a)
	if c.Of == 0 {
		c.Status, c.Reason, c.Message = "False", "Empty", "no Server matches the selector"
		return c, true
	}
	c.Message = fmt.Sprintf("%d of %s may take traffic", c.Ready, servers(c.Of))
	if others := othersInWords(a, spec.Floor); others != "" {
		c.Message += ": " + others
	}
	for _, said := range []struct {
		standing weir.Standing
		reason   string
		bad      bool
	}{
		{weir.StandingDraining, "Draining", false},
		{weir.StandingWithdrawn, "Withdrawn", false},
		{weir.StandingWaiting, "Waiting", true},
		{weir.StandingStale, "Stale", true},
		{weir.StandingHeld, "Held", true},
	} {
		if len(named(a, said.standing)) > 0 {
			c.Reason = said.reason
			if said.bad {
				c.Status = "False"
			}
		}
	}
	if c.Ready == 0 {
		c.Status = "False"
	}
	return c, true
}

// admission finds that of a pool in the groups that have it; found is false when none does.
func (f *fleet) admission(pool string) (a *compile.Admission, found bool) {
	for _, g := range f.groups {
		if a, found = g.admission(pool); found {
			return a, true
		}
	}
	return nil, false
}

// keeps says whether the floor of a pool keeps a server in that fell silent.
func (f *fleet) keeps(pool, server string) bool {
	a, _ := f.admission(pool)
	return a != nil && slices.Contains(named(a, weir.StandingHeld), server)
}

func (g *groupState) admission(pool string) (*compile.Admission, bool) {
	i := poolAt(&g.node, pool)
	if i < 0 || i >= len(g.admissions) {
		return nil, false
	}
	return g.admissions[i], true
}

// poolAt gives the place of a pool in a node, -1 when the node does not have it.
func poolAt(node *ir.Node, name string) int {
	at, ok := slices.BinarySearchFunc(node.Pools, name, func(p ir.Pool, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return -1
	}
	return at
}

// sizeOf counts the Servers that a pool selects.
func sizeOf(a *compile.Admission) int {
	n := a.In
	for _, o := range a.Others {
		if o.Standing != weir.StandingHeld {
			n++
		}
	}
	return n
}

// named gives the servers of a standing, by name.
func named(a *compile.Admission, standing weir.Standing) (list []string) {
	for _, o := range a.Others {
		if o.Standing == standing {
			list = append(list, o.Server)
		}
	}
	return list
}

// othersInWords says who of a pool's servers is not simply in, and why.
func othersInWords(a *compile.Admission, floor *weir.Floor) string {
	var parts []string
	for _, said := range []struct {
		standing  weir.Standing
		one, many string
	}{
		{weir.StandingHeld, "1 fell silent and stays in", "%d fell silent and stay in"},
		{weir.StandingStale, "1 fell silent and is out", "%d fell silent and are out"},
		{weir.StandingWaiting, "1 waits for its registration", "%d wait for their registration"},
		{weir.StandingDraining, "1 drains", "%d drain"},
		{weir.StandingWithdrawn, "1 is withdrawn", "%d are withdrawn"},
	} {
		names := named(a, said.standing)
		text := said.one
		if len(names) > 1 {
			text = fmt.Sprintf(said.many, len(names))
		}
		if said.standing == weir.StandingHeld {
			text += floorText(floor)
		}
		if len(names) > 0 {
			parts = append(parts, text+" ("+some(names)+")")
		}
	}
	return strings.Join(parts, ", ")
}

func floorText(f *weir.Floor) string {
	if f == nil || f.Percent == nil {
		return ""
	}
	return fmt.Sprintf(" by the floor of %d%% and %d healthy", *f.Percent, f.Count)
}

// some names the first few of a list.
func some(names []string) string {
	const most = 5
	if more := len(names) - most; more > 1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// serverAdmission says in which pools a Server is, and why not in others.
func (v *view) serverAdmission(spec *weir.Server) weir.Condition {
	c := weir.Condition{Type: weir.Admitted, Status: "True", Reason: "In"}
	if spec.Registration != nil {
		c.Since = spec.Registration.Since
	}
	by := map[weir.Standing][]string{}
	var pools []string
	stale := spec.Registered() == weir.RegistrationStale // only then floors have a say
	if v.chooser != nil {
		v.chooser.Selects(v.object, func(o *weir.Object) {
			name := o.Metadata.Name
			if slices.Contains(pools, name) {
				return
			}
			pools = append(pools, name)
			st := o.Spec.(*weir.Pool).Standing(spec, stale && v.keeps(name, v.ref.Name))
			by[st] = append(by[st], name)
		})
	}
	if len(pools) == 0 {
		c.Status, c.Reason, c.Message = "Unknown", "NotSelected", "no pool selects it"
		return c
	}
	c.Of, c.Ready = len(pools), len(by[weir.StandingIn])+len(by[weir.StandingHeld])
	var parts []string
	for _, said := range []struct {
		standing     weir.Standing
		reason, text string
	}{
		{weir.StandingIn, "In", "in %s"},
		{weir.StandingHeld, "Held", "it fell silent, and the floor keeps it in %s"},
		{weir.StandingWaiting, "Waiting", "left out of %s for want of a registration"},
		{weir.StandingStale, "Stale", "left out of %s: it fell silent"},
		{weir.StandingDraining, "Draining", "drains in %s"},
		{weir.StandingWithdrawn, "Withdrawn", "left out of %s: it is withdrawn"},
	} {
		if list := by[said.standing]; len(list) > 0 {
			slices.Sort(list)
			parts, c.Reason = append(parts, fmt.Sprintf(said.text, poolsText(list))), said.reason
		}
	}
	if c.Reason != "In" {
		c.Status = "False"
	}
	c.Message = strings.Join(parts, "; ") + saidBy(spec.Registration)
	return c
}

func poolsText(names []string) string {
	if len(names) == 1 {
		return "pool " + names[0]
	}
	return "pools " + some(names)
}

// saidBy says whose word that is, and why; of a healthy one there is nothing to explain.
func saidBy(r *weir.Registration) string {
	if r == nil || r.State == weir.RegistrationHealthy || r.By == "" && r.Reason == "" {
		return ""
	}
	text := " (" + r.By
	if r.By != "" && r.Reason != "" {
		text += ": "
	}
	return text + r.Reason + ")"
}

// silence tells of a pool whose floor keeps silent servers in: whether those serve nobody knows but the checks.
func silence(p *ir.Pool, a *compile.Admission) (api.Outage, bool) {
	if a == nil {
		return api.Outage{}, false
	}
	held := compile.Admission{Others: slices.DeleteFunc(slices.Clone(a.Others), func(o compile.Standing) bool { return o.Standing != weir.StandingHeld })}
	text := othersInWords(&held, nil)
	return api.Outage{Object: "Pool/" + p.Name, Reason: api.NotServingSilent, Message: text}, text != ""
}
