package compile

import (
	"slices"

	"weir"
	"weir/internal/ir"
)

// Try gives a pool, which need not be in the set, with some of its candidates as servers, and the certificates that it
// names: all that is needed to check them as a load balancer that has the pool would.
func Try(set *weir.Set, o *weir.Object, servers []Candidate) (ir.Pool, []ir.Certificate) {
	pool := head(o)
	spec := o.Spec.(*weir.Pool)
	for i := range servers {
		s := ir.Server{Name: servers[i].Name, Address: servers[i].At, Weight: 100, Owner: o.Ref().String()}
		if at := slices.IndexFunc(spec.Members, func(m weir.Member) bool { return m.Name == s.Name }); at >= 0 && servers[i].Object == nil {
			s.Socket = spec.Members[at].Socket
		}
		pool.Servers = append(pool.Servers, s)
	}
	var certificates []ir.Certificate
	if pool.TLS != nil {
		for _, name := range []string{pool.TLS.CA, pool.TLS.ClientCertificate} {
			if found := weir.Find[weir.Certificate](set, "Certificate", name); found != nil {
				certificates = append(certificates, certificate(name, found))
			}
		}
	}
	return pool, certificates
}
