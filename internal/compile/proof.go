package compile

import (
	"fmt"
	"strings"

	"weir"
	"weir/internal/ir"
)

// Provers tells which names the load balancers of a set can prove to an authority that asks over http (http-01), of the
// wishes as they stand: they need not be compiled.
type Provers struct {
	set    *weir.Set
	claims []func(name string) bool // of each group
	asked  []bool                   // whether something of the group speaks http at port 80
}

// NewProvers looks through the sites of a set.
func NewProvers(set *weir.Set) *Provers {
	p := &Provers{set: set}
	nodes, at := []*ir.Node{}, map[string]int{}
	for o := range set.All("Site") {
		site := o.Spec.(*weir.Site)
		for group := range groupsOf(set, site.Addresses) {
			i, known := at[group]
			if !known {
				i, at[group] = len(nodes), len(nodes)
				nodes, p.asked = append(nodes, &ir.Node{}), append(p.asked, false)
			}
			nodes[i].Sites = append(nodes[i].Sites, ir.Site{Hostnames: site.Hostnames})
			for _, l := range site.Listeners {
				p.asked[i] = p.asked[i] || l.Port == 80 && l.TLS == nil && site.Mode == "http"
			}
		}
	}
	for _, n := range nodes {
		p.claims = append(p.claims, n.Claims())
	}
	return p
}

// groupsOf gives the groups that have one of the addresses.
func groupsOf(set *weir.Set, addresses []string) map[string]bool {
	groups := map[string]bool{}
	for _, a := range addresses {
		if ip := weir.Find[weir.IPAddress](set, "IPAddress", a); ip != nil {
			for _, g := range ip.Groups {
				groups[g] = true
			}
		}
	}
	return groups
}

// Lacks says why a name can't be proven to an issuer, and what to do; empty when it can, and for issuers that do not ask
// load balancers.
func (p *Provers) Lacks(issuer, name string) string {
	i := weir.Find[weir.Issuer](p.set, "Issuer", issuer)
	if i == nil || i.ACME == nil || i.ACME.Challenge != weir.HTTP01 || strings.HasPrefix(name, "*.") {
		return ""
	}
	served := false
	for group, claims := range p.claims {
		if claims(name) {
			if p.asked[group] {
				return ""
			}
			served = true
		}
	}
	why := "no site has it; list it in the hostnames of one"
	if served {
		why = "no group that serves it speaks http at port 80; give its site a listener at port 80"
	}
	return fmt.Sprintf("%s can't be proven to Issuer/%s by http-01, and the order will fail: %s, or take an issuer of challenge dns-01", name, issuer, why)
}
