package store

import (
	"crypto/elliptic"
	"testing"

	"weir"
)

// TestSignersAreCheckedOnce: of chains whose upper part is known only the leaf is looked at, and it is refused for the same
// reasons as before.
func TestSignersAreCheckedOnce(t *testing.T) {
	root := issue(t, nil, ecKey(t, elliptic.P256()), authority("root"))
	middle := issue(t, root, ecKey(t, elliptic.P256()), authority("middle"))
	var s signers
	take := func(chain string) (ordered bool, err error) {
		t.Helper()
		parsed, normal, ordered, err := s.parse(weir.NewChain(chain))
		if err != nil {
			return ordered, err
		}
		want, text, err := parseChain(chain)
		if err != nil || normal != text || len(parsed) != len(want) {
			t.Fatalf("%d certificates, want %d; %v", len(parsed), len(want), err)
		}
		for i := range want {
			if !parsed[i].Equal(want[i]) {
				t.Errorf("certificate %d is another", i+1)
			}
		}
		return ordered, s.check(parsed, weir.NewChain(normal).Rest(), ordered)
	}
	leaf := func(by *issued) string {
		return issue(t, by, ecKey(t, elliptic.P256()), named("www.example.com")).chain
	}
	above := middle.chain + root.chain
	if ordered, err := take(leaf(middle) + above); ordered || err != nil {
		t.Error(ordered, err)
	}
	if ordered, err := take(leaf(middle) + above); !ordered || err != nil {
		t.Error(ordered, err)
	}
	if ordered, err := take(leaf(root) + above); !ordered || err == nil {
		t.Error("a leaf that another has signed is taken", ordered, err)
	}
	if _, err := take("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + above); err == nil {
		t.Error("what is no certificate is taken")
	}
	if ordered, err := take(leaf(middle) + root.chain + middle.chain); ordered || err == nil {
		t.Error("what is out of order is taken", ordered, err)
	}
	if len(s.known) != 1 {
		t.Errorf("%d are remembered", len(s.known))
	}
	for n := range 2 * mostSigners {
		other := issue(t, nil, ecKey(t, elliptic.P256()), authority("other"))
		if _, err := take(leaf(other) + other.chain); err != nil {
			t.Fatal(n, err)
		}
	}
	if len(s.known) > mostSigners {
		t.Errorf("%d are remembered", len(s.known))
	}
}
