package server

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/certs"
	"weir/internal/ir"
)

// certificatePlan works out what a change does to certificates: which come to be shown and for how long they are good,
// which are shown nowhere any more, which are ordered, and which host names would have none.
type certificatePlan struct {
	*fleet
	before, after *weir.Set
	now           time.Time
	was, is       map[string][]string // where a certificate is shown, before the change and after it
	affected      []string
	notes         []api.PlanNote
}

func (f *fleet) newCertificatePlan(before, after *weir.Set) *certificatePlan {
	return &certificatePlan{fleet: f, before: before, after: after, now: f.clock(), was: map[string][]string{}, is: map[string][]string{}}
}

// group takes a group that the change is about, as it is and as it would be.
func (p *certificatePlan) group(name string, old, next *ir.Node) {
	p.affected = append(p.affected, name)
	showings(old, p.was)
	showings(next, p.is)
}

// showings adds where each certificate of a node is shown.
func showings(n *ir.Node, to map[string][]string) {
	for i := range n.Sites {
		s := &n.Sites[i]
		for _, l := range s.Listeners {
			if l.TLS == nil {
				continue
			}
			for _, name := range l.TLS.Certificates {
				if place := fmt.Sprintf("Site/%s, port %d", s.Name, l.Port); !slices.Contains(to[name], place) {
					to[name] = append(to[name], place)
				}
			}
		}
	}
}

func (p *certificatePlan) note(certificate, format string, args ...any) {
	p.notes = append(p.notes, api.PlanNote{Object: "Certificate/" + certificate, Text: fmt.Sprintf(format, args...)})
}

// tell gives what there is to say, once all groups were taken.
func (p *certificatePlan) tell(written []weir.Ref) []api.PlanNote {
	for _, name := range sortedNames(p.is) {
		p.shown(name)
	}
	for _, name := range sortedNames(p.was) {
		if len(p.is[name]) == 0 && !p.elsewhere(name) {
			p.note(name, "is not shown anywhere any more")
		}
	}
	for _, ref := range written {
		if ref.Kind == "Certificate" {
			p.ordered(ref.Name)
		}
	}
	if p.before.Stamp("Site") != p.after.Stamp("Site") {
		p.byThemselves()
	}
	return p.notes
}

// shown tells of a certificate that comes to be shown somewhere, or becomes another one where it is.
func (p *certificatePlan) shown(name string) {
	spec := weir.Find[weir.Certificate](p.after, "Certificate", name)
	if spec == nil || spec.Info == nil {
		return
	}
	var fresh []string
	for _, place := range p.is[name] {
		if !slices.Contains(p.was[name], place) {
			fresh = append(fresh, place)
		}
	}
	if len(fresh) > 0 {
		p.note(name, "comes to be shown by %s; %s", inPlaces(fresh), p.lasts(spec.Info))
		return
	}
	if old := weir.Find[weir.Certificate](p.before, "Certificate", name); old != nil && old.Info != nil && old.Info.SHA256 != spec.Info.SHA256 {
		p.note(name, "becomes another one where it is shown, by %s; %s, and the present one %s", inPlaces(p.is[name]), p.lasts(spec.Info), strings.TrimPrefix(p.lasts(old.Info), "it "))
	}
}

// lasts says how long a certificate is good.
func (p *certificatePlan) lasts(info *weir.CertificateInfo) string {
	left := info.NotAfter.Sub(p.now)
	days := int(math.Floor(left.Hours() / 24))
	until := " (" + info.NotAfter.UTC().Format("2006-01-02") + ")"
	switch {
	case left <= 0:
		return "it has EXPIRED" + until
	case p.now.Before(info.NotBefore):
		return "it is good from " + info.NotBefore.UTC().Format("2006-01-02 15:04 UTC") + " on only"
	case days == 0:
		return "it expires within a day" + until
	case days == 1:
		return "it expires in 1 day" + until
	}
	return fmt.Sprintf("it expires in %d days%s", days, until)
}

// elsewhere says whether a certificate is shown in groups that the change is not about.
func (p *certificatePlan) elsewhere(name string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for group, g := range p.groups {
		if slices.Contains(p.affected, group) {
			continue
		}
		for i := range g.node.Certificates {
			if g.node.Certificates[i].Name == name {
				return true
			}
		}
	}
	return false
}

// ordered tells of a certificate that the change has ordered, or ordered anew.
func (p *certificatePlan) ordered(name string) {
	spec := weir.Find[weir.Certificate](p.after, "Certificate", name)
	if spec == nil || spec.Issuer == "" {
		return
	}
	issuer := weir.Find[weir.Issuer](p.after, "Issuer", spec.Issuer)
	if issuer == nil {
		return
	}
	with := *issuer
	if with.KeyRef == nil {
		with.KeyRef = &weir.SealedRef{} // it is made with the change
	}
	r := certs.Outlook(name, spec, &with, p.orders.of(name), p.now)
	if r.State != weir.RenewalDue && r.State != weir.RenewalFailing {
		return
	}
	text := fmt.Sprintf("is ordered from Issuer/%s (%s) for %s, because %s", spec.Issuer, typeOf(issuer), fewNames(spec.Names), r.Why)
	if spec.Info != nil && spec.Revoked == nil {
		text += "; until another has come the present one stays, and " + p.lasts(spec.Info)
	}
	p.note(name, "%s", text)
}

func typeOf(issuer *weir.Issuer) string {
	if issuer.ACME == nil {
		return "an authority of Weir's own"
	}
	return "acme, " + issuer.ACME.Challenge
}

// mostOrders is how many certificates that are ordered by themselves a plan names.
const mostOrders = 10

// byThemselves tells of the certificates that listeners with certificates: auto begin to want, and want no more.
func (p *certificatePlan) byThemselves() {
	old, next := p.before.Orders(), p.after.Orders()
	n := 0
	for _, name := range sortedNames(next) {
		if _, had := old[name]; had || p.after.Get(weir.Ref{Kind: "Certificate", Name: name}) != nil {
			continue
		}
		if n++; n <= mostOrders {
			w := next[name]
			p.note(name, "is ordered by itself: %s, for %s", w.Order, w.Sites[0])
		}
	}
	if n > mostOrders {
		p.notes = append(p.notes, api.PlanNote{Text: fmt.Sprintf("%d more certificates are ordered by themselves", n-mostOrders)})
	}
	n = 0
	for _, name := range sortedNames(old) {
		if _, stays := next[name]; stays || p.after.Get(weir.Ref{Kind: "Certificate", Name: name}) == nil {
			continue
		}
		if n++; n <= mostOrders {
			p.note(name, "is deleted after %s, since no site wants it any more", weir.Duration(certs.UnwantedFor))
		}
	}
	if n > mostOrders {
		p.notes = append(p.notes, api.PlanNote{Text: fmt.Sprintf("%d more that no site wants any more are deleted", n-mostOrders)})
	}
}

// inPlaces names the first of the places where a certificate is shown.
func inPlaces(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return fmt.Sprintf("%s, and %d more", list[0], len(list)-1)
}

func fewNames(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more names", strings.Join(names[:2], ", "), len(names)-2)
	}
	return strings.Join(names, ", ")
}
