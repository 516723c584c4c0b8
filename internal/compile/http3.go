package compile

import (
	"fmt"

	"weir"
)

// withoutHTTP3 tells of sites that ask for HTTP/3 at load balancers that listen in a network namespace: HAProxy answers no
// handshake there (3.4.7 and 3.2.26), so that none is offered.
func (b *builder) withoutHTTP3() {
	var inside []balancer
	for _, lb := range b.balancers {
		if lb.namespace != "" {
			inside = append(inside, lb)
		}
	}
	if len(inside) == 0 {
		return
	}
	who := "LoadBalancer/" + inside[0].name + " listens"
	if n := len(inside) - 1; n > 0 {
		who = fmt.Sprintf("LoadBalancer/%s and %d more listen", inside[0].name, n)
	}
	for i := range b.node.Sites {
		for _, l := range b.node.Sites[i].Listeners {
			if l.TLS != nil && l.TLS.HTTP3 {
				b.problems.add(weir.Ref{Kind: "Site", Name: b.node.Sites[i].Name}, "spec.listeners", "HTTP/3 is left out at port %d where %s in a network namespace: HAProxy answers no handshake there, and clients stay with HTTP/2", l.Port, who)
			}
		}
	}
}
