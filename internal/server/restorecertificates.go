package server

import (
	"maps"
	"slices"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
)

// restoredCertificates says of certificates with a key that would be shown again what load balancers have now, by name.
// The backup knows nothing of revocations after it, but load balancers took the certificate out then.
type restoredCertificates map[string]string

// compare notes what a load balancer would get that it does not have.
func (c restoredCertificates) compare(had, next []ir.Certificate) {
	now := make(map[string]weir.Chain, len(had))
	for i := range had {
		now[had[i].Name] = had[i].Chain
	}
	for i := range next {
		name := next[i].Name
		chain, shown := now[name]
		switch {
		case next[i].Key == nil || shown && chain == next[i].Chain:
		case shown:
			c[name] = api.CertificateOther
		case c[name] == "":
			c[name] = api.CertificateNone
		}
	}
}

func (c restoredCertificates) list(view *weir.Set) []api.RestoreCertificate {
	list := make([]api.RestoreCertificate, 0, len(c))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		spec := weir.Find[weir.Certificate](view, "Certificate", name)
		if spec == nil || spec.Info == nil {
			continue
		}
		list = append(list, api.RestoreCertificate{Name: name, Issuer: spec.Issuer, Serial: spec.Info.Serial, Now: c[name]})
	}
	return list
}
