package api

import (
	"slices"
	"time"

	"weir"
)

// Overview is what somebody wants to know first: how everything is that they may see, what somebody should look at, and
// what is on its way.
type Overview struct {
	Revision int64     `json:"revision"`
	Time     time.Time `json:"time"`
	// Sites, Pools and LoadBalancers are counted by their states.
	Sites         map[State]int     `json:"sites"`
	Pools         map[State]int     `json:"pools"`
	LoadBalancers map[State]int     `json:"loadBalancers"`
	Certificates  CertificateCounts `json:"certificates"`
	Groups        []GroupOverview   `json:"groups"`
	// Attention is what is down or degraded, the worst first; AttentionLeftOut counts what there is no room for.
	Attention        []Attention `json:"attention"`
	AttentionLeftOut int         `json:"attentionLeftOut,omitempty"`
	// Changing are the changes that not all load balancers have yet which run and are heard, the newest first.
	Changing []Changing `json:"changing"`
	// Shifts are the ZoneShifts in force, by name.
	Shifts []string `json:"shifts,omitempty"`
}

// CertificateCounts counts certificates by what is left of them. Soon is when somebody should look: less than a third of
// their time, or thirty days, and a week at least; a quarter for those that are renewed.
type CertificateCounts struct {
	All     int `json:"all"`
	Soon    int `json:"soon"`
	Expired int `json:"expired"`
	Missing int `json:"missing"` // ordered, and not there yet
	// First is the one that ends or ended first of those that are soon or expired.
	First *CertificateEnd `json:"first,omitempty"`
}

// CertificateEnd is when a certificate ends.
type CertificateEnd struct {
	Name     string    `json:"name"`
	NotAfter time.Time `json:"notAfter"`
}

// GroupOverview is how far a group's load balancers are: Ready of Of active ones have all that is wanted.
type GroupOverview struct {
	Name   string `json:"name"`
	Ready  int    `json:"ready"`
	Of     int    `json:"of"`
	Wanted int64  `json:"wanted"`
	// Waves is the state of its waves, absent when it wants none or nothing is on its way.
	Waves string `json:"waves,omitempty"`
}

// Attention is something that somebody should look at.
type Attention struct {
	Object string    `json:"object"`
	Role   string    `json:"role,omitempty"`
	State  State     `json:"state"`
	Why    string    `json:"why"`
	Since  time.Time `json:"since,omitzero"`
	// LoadBalancers are those on which it is so, where that hangs on the load balancer.
	LoadBalancers []string `json:"loadBalancers,omitempty"`
}

// Changing is a change that is on its way.
type Changing struct {
	Revision int64     `json:"revision"`
	Author   string    `json:"author"`
	Reason   string    `json:"reason,omitempty"`
	Time     time.Time `json:"time"`
	// Ready of Of load balancers have it, of the groups that it concerns.
	Ready int `json:"ready"`
	Of    int `json:"of"`
	// Waves are the groups through which it goes in waves.
	Waves []string `json:"waves,omitempty"`
}

// mostAttention bounds what is listed.
const mostAttention = 100

// watched are the kinds that are looked through for what needs attention, what clients feel first.
var watched = []string{"Site", "LoadBalancer", "Certificate", "Pool", "Issuer", "DiscoverySource", "IPAddress", "Partner", "EgressRule", "Route", "Split", "RateLimit", "AccessList", "Map", "Logic", "ErrorPage"}

// overview answers how everything is.
func (c *call) overview() error {
	if err := c.granted(weir.Viewer); err != nil {
		return err
	}
	role := c.text("role")
	p := c.h.picture(c.who.Subject)
	c.revision = p.view.Revision
	o := Overview{
		Revision: p.view.Revision, Sites: c.tally(p, "Site", role), Pools: c.tally(p, "Pool", role), LoadBalancers: c.tally(p, "LoadBalancer", ""),
		Certificates: c.certificateCounts(p, role), Groups: groupOverviews(p.standing()), Attention: []Attention{}, Changing: c.changing(p),
	}
	for _, kind := range watched {
		for _, l := range p.of(kind).lines {
			if (l.state == StateDown || l.state == StateDegraded) && c.concerns(l, role) {
				o.Attention = append(o.Attention, attentionTo(p, l))
			}
		}
	}
	slices.SortStableFunc(o.Attention, func(a, b Attention) int { return a.State.worse(b.State) })
	if n := len(o.Attention) - mostAttention; n > 0 {
		o.Attention, o.AttentionLeftOut = o.Attention[:mostAttention], n
	}
	for s := range p.view.All("ZoneShift") {
		if spec := s.Spec.(*weir.ZoneShift); p.holds(spec) && (role == "" || s.Metadata.Role == role) && c.may(s) == nil {
			o.Shifts = append(o.Shifts, s.Metadata.Name)
		}
	}
	same, err := jsonOf(o)
	if err != nil {
		return err
	}
	o.Time = p.at
	raw, err := jsonOf(o)
	if err != nil {
		return err
	}
	return c.sendTagged(raw, same)
}

// concerns says whether the caller may see a line that is of a role; what has no role is everybody's concern.
func (c *call) concerns(l *line, role string) bool {
	own := l.object.Metadata.Role
	return (role == "" || own == role || own == "") && c.may(l.object) == nil
}

func (c *call) tally(p *picture, kind, role string) map[State]int {
	n := map[State]int{StateServing: 0, StateDegraded: 0, StateDown: 0, StateUnknown: 0, StateUnused: 0}
	for _, l := range p.of(kind).lines {
		if l.state != "" && (role == "" || l.object.Metadata.Role == role) && c.may(l.object) == nil {
			n[l.state]++
		}
	}
	return n
}

func (c *call) certificateCounts(p *picture, role string) (n CertificateCounts) {
	for _, l := range p.of("Certificate").lines {
		spec := l.object.Spec.(*weir.Certificate)
		if role != "" && l.object.Metadata.Role != role || spec.Revoked != nil || c.may(l.object) != nil {
			continue
		}
		n.All++
		switch {
		case spec.Info == nil:
			n.Missing++
			continue
		case !p.at.Before(spec.Info.NotAfter):
			n.Expired++
		case soon(spec, p.at):
			n.Soon++
		default:
			continue
		}
		if n.First == nil || spec.Info.NotAfter.Before(n.First.NotAfter) {
			n.First = &CertificateEnd{l.object.Metadata.Name, spec.Info.NotAfter}
		}
	}
	return n
}

func groupOverviews(f *fleetView) []GroupOverview {
	list := []GroupOverview{}
	for i := range f.status.Groups {
		g := &f.status.Groups[i]
		one := GroupOverview{Name: g.Name, Ready: g.Ready, Of: g.Of, Wanted: g.Wanted}
		if g.Waves != nil && g.Waves.State != WavesIdle {
			one.Waves = g.Waves.State
		}
		list = append(list, one)
	}
	return list
}

func attentionTo(p *picture, l *line) Attention {
	a := Attention{Object: l.object.Ref().String(), Role: l.object.Metadata.Role, State: l.state, Why: l.why}
	for _, o := range p.standing().outages[a.Object] {
		a.LoadBalancers = appendNew(a.LoadBalancers, o.LoadBalancers...)
	}
	slices.Sort(a.LoadBalancers)
	switch {
	case l.lb != nil && !l.lb.Reachable:
		a.Since = l.lb.LastSeen
	case l.lb != nil:
		for _, w := range l.lb.Warnings {
			a.Since = earliest(a.Since, w.Since)
		}
	case l.state == StateDown:
		a.Since = sinceOf(l) // since the last of its servers went
	}
	if l.status != nil {
		for _, c := range l.status.Conditions {
			if c.Status == "False" || c.Type == weir.Drifted || c.Type == weir.Quarantined {
				a.Since = earliest(a.Since, c.Since)
			}
		}
	}
	return a
}

// earliest gives the earlier of two moments, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// holds says whether a ZoneShift is in force.
func (p *picture) holds(spec *weir.ZoneShift) bool {
	from, until := spec.Window(p.view)
	return !p.at.Before(from) && p.at.Before(until)
}
