package server

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/api"
	"weir/internal/ir"
)

// mostUnspoken is how many services of partners an outage names.
const mostUnspoken = 8

// unspoken tells of a group's ways out by which services of partners can't be called, since a certificate or an authority
// that they are spoken to with is not there. Names that have no address yet are told of at the Partner alone: nothing of
// those has ever served.
func (g *groupState) unspoken(loadBalancers []string) (all []api.Outage) {
	var texts []string
	services := 0
	for i := range g.node.Pools {
		p := &g.node.Pools[i]
		if p.Endpoint == nil {
			continue
		}
		services++
		if len(p.Servers) > 0 || p.Endpoint.Name != "" {
			continue
		}
		texts = append(texts, ir.CalledAs(p.Name)+g.whyUnspoken(p.Endpoint))
	}
	if len(texts) == 0 {
		return nil
	}
	down := len(texts) == services
	if more := len(texts) - mostUnspoken; more > 0 {
		texts = append(slices.Clone(texts[:mostUnspoken]), fmt.Sprintf("and %d more", more))
	}
	for i := range g.node.Sites {
		if s := &g.node.Sites[i]; s.Egress != nil {
			all = append(all, api.Outage{
				Object: "Site/" + s.Name, Down: down, Reason: api.NotServingUnspoken, LoadBalancers: loadBalancers,
				Message: "partners can't be spoken to, and calls are answered 503: " + strings.Join(texts, "; "),
			})
		}
	}
	return all
}

// whyUnspoken gives what compiling said of a service, after a colon.
func (g *groupState) whyUnspoken(e *ir.Endpoint) string {
	object, service := "Partner/"+e.Partner, e.Environment+"/"+e.Service+": "
	for _, p := range g.problems {
		if why, ok := strings.CutPrefix(p.Message, service); ok && p.Object == object && p.Path == "spec.endpoints" {
			why, _, _ = strings.Cut(why, "; ")
			return ": " + why
		}
	}
	return ""
}
