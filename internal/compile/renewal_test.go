package compile_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/weirtest"
)

// TestRenewalsAreCompiledAlone holds a Compiler against a fresh one while certificates change in every way, most of them
// by a renewal, and the nodes against each other.
func TestRenewalsAreCompiledAlone(t *testing.T) {
	t.Parallel()
	list, err := weir.Decode("platform", []byte(`
kind: Zone
metadata: {name: az1}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [203.0.113.0/28]}
---
kind: IPAddress
metadata: {name: vip}
spec: {address: 203.0.113.1, homeZone: az1, groups: [edge]}
---
kind: Pool
metadata: {name: web}
spec: {members: [{name: a, address: 10.0.0.1, port: 80}], tls: {verify: ca, sni: a.example.com, ca: c5, clientCertificate: c6}}
---
kind: Site
metadata: {name: listed}
spec: {hostnames: [a.example.com], addresses: [vip], backends: {default: web}, listeners: [{port: 443, tls: {certificates: [c0, c1, c2]}}]}
---
kind: Site
metadata: {name: ordered}
spec: {hostnames: [b.example.com, c.example.com], addresses: [vip], backends: {default: web}, listeners: [{port: 443, tls: {certificates: auto, issuer: i}}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	set := weir.NewSet(list...)
	for seed := range uint64(4) {
		compiler, random, set := compile.New(), rand.New(rand.NewPCG(seed, 0)), set
		before, _ := compiler.Group(set, "edge")
		for step := range 300 {
			change := []weir.Write{randomCertificate(random, set, step)}
			for random.IntN(3) == 0 {
				change = append(change, randomCertificate(random, set, step))
			}
			set = weirtest.Apply(set, change)
			got, gotProblems := compiler.Group(set, "edge")
			want, wantProblems := compile.Group(set, "edge")
			if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotProblems, wantProblems) {
				t.Fatalf("seed %d, step %d, %v\ngot  %s %v\nwant %s %v", seed, step, change, text(t, got), gotProblems, text(t, want), wantProblems)
			}
			put, gone := compile.Delta(before, got)
			for _, r := range put {
				if r.Certificate == nil && len(r.Body) == 0 {
					t.Fatalf("%s has no body", r.ID)
				}
			}
			if len(put)+len(gone) == 0 != (text(t, before) == text(t, got)) {
				t.Fatalf("seed %d, step %d: %d and %d differ\nwas %s\nis  %s", seed, step, len(put), len(gone), text(t, before), text(t, got))
			}
			before = got
		}
	}
}

// randomCertificate changes one of a few certificates: mostly chain and key alone.
func randomCertificate(random *rand.Rand, set *weir.Set, step int) weir.Write {
	ref := weir.Ref{Kind: "Certificate", Name: fmt.Sprintf("c%d", random.IntN(8))}
	order := weir.Order{Hostname: []string{"b.example.com", "c.example.com"}[random.IntN(2)], KeyType: "ecdsa-256", Issuer: "i"}
	ordered := random.IntN(3) == 0
	if ordered {
		ref.Name = order.Name()
	}
	old := set.Get(ref)
	if old != nil && random.IntN(12) == 0 {
		return weir.Write{Delete: ref}
	}
	o := &weir.Object{Kind: ref.Kind, Metadata: weir.Metadata{Name: ref.Name}}
	c := &weir.Certificate{}
	if ordered {
		o.Metadata.ManagedBy, c.Issuer, c.Names, c.KeyType = weir.ManagedByWeir, order.Issuer, []string{order.Hostname}, order.KeyType
	}
	if old != nil {
		o.Metadata, *c = old.Metadata, *old.Spec.(*weir.Certificate)
	}
	c.Chain = weir.NewChain(fmt.Sprintf("-----BEGIN CERTIFICATE-----\n%d\n-----END CERTIFICATE-----\nsigner\n", random.IntN(step+2)))
	c.Info = &weir.CertificateInfo{Names: []string{fmt.Sprintf("%d.example.com", random.IntN(3)), "10.0.0.1"}, NotAfter: time.Unix(int64(step), 0)}
	if c.KeyRef = (&weir.SealedRef{Generation: int64(step), Fingerprint: "f"}); random.IntN(12) == 0 {
		c.KeyRef = nil
	}
	switch random.IntN(24) {
	case 0:
		c.Revoked = &weir.Revocation{At: time.Unix(int64(step), 0), Reason: "unspecified"}
	case 1:
		c.Revoked = nil
	case 2:
		c.Issuer = []string{"", "i"}[random.IntN(2)]
	case 3:
		o.Metadata.ManagedBy = []string{"", weir.ManagedByWeir}[random.IntN(2)]
	case 4:
		o.Metadata.Labels = map[string]string{"a": fmt.Sprint(step)}
	}
	o.Spec = c
	return weir.Write{Put: o}
}
