package server

import (
	"slices"
	"testing"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
)

// TestRestoredCertificates: what load balancers have another of, or none, may have been revoked after the backup and is
// named; what all of them show is not, nor is an authority that they only believe.
func TestRestoredCertificates(t *testing.T) {
	t.Parallel()
	set := weir.NewSet()
	key := &weir.SealedRef{Generation: 1}
	of := func(name, chain string) ir.Certificate {
		return ir.Certificate{Name: name, Chain: weir.NewChain(chain), Key: key}
	}
	var next []ir.Certificate
	for _, name := range []string{"gone", "mixed", "renewed", "same"} {
		next = append(next, of(name, "old "+name))
		set.Put(&weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: name}, Spec: &weir.Certificate{
			Issuer: "le", Chain: weir.NewChain("old " + name), KeyRef: key, Info: &weir.CertificateInfo{Serial: "1" + name},
		}})
	}
	next = append(next, ir.Certificate{Name: "authority", Chain: weir.NewChain("authority")})
	back := restoredCertificates{}
	back.compare([]ir.Certificate{of("mixed", "new"), of("renewed", "new"), of("same", "old same")}, next)
	back.compare([]ir.Certificate{of("renewed", "old renewed"), of("same", "old same")}, next)
	want := []api.RestoreCertificate{
		{Name: "gone", Issuer: "le", Serial: "1gone", Now: api.CertificateNone},
		{Name: "mixed", Issuer: "le", Serial: "1mixed", Now: api.CertificateOther},
		{Name: "renewed", Issuer: "le", Serial: "1renewed", Now: api.CertificateOther},
	}
	if got := back.list(set); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
