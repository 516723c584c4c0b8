package certs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
)

// TestTheLongestNamesFit: whatever a Certificate may be ordered for is taken when it comes, with each type of key, from
// an authority with RSA keys that another one has signed.
func TestTheLongestNamesFit(t *testing.T) {
	t.Parallel()
	now := time.Now()
	authority := func(name string, above *Authority) *Authority {
		t.Helper()
		a, err := NewAuthority(weir.PrivateCA{CommonName: name, KeyType: "rsa-2048", Duration: days(100)}, above, now)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	below := authority("Below", authority("Inside", nil))
	for _, keyType := range weir.KeyTypes {
		t.Run(keyType, func(t *testing.T) {
			t.Parallel()
			spec := weir.Certificate{Issuer: "inside", KeyType: keyType, Names: longestNames(keyType)}
			key, err := NewKey(keyType)
			if err != nil {
				t.Fatal(err)
			}
			chain, err := below.Issue(spec.Names, key.Public(), 24*time.Hour, now)
			if err != nil {
				t.Fatal(err)
			}
			spec.Chain = weir.NewChain(chain)
			if spec.Key, err = EncodeKey(key); err != nil {
				t.Fatal(err)
			}
			if text := refusedNames(&spec); text != "" {
				t.Errorf("%d names, chain and key of %d bytes: %s", len(spec.Names), len(chain)+len(spec.Key), text)
			}
		})
	}
}

// longestNames gives as many names as there may be, as long as they may be together.
func longestNames(keyType string) (names []string) {
	for length := 1; ; length++ {
		var longer []string
		for i := range weir.MaxCertificateNames {
			longer = append(longer, fmt.Sprintf("n%02d%s.example", i, strings.Repeat("a", length)))
		}
		if refusedNames(&weir.Certificate{Issuer: "inside", KeyType: keyType, Names: longer}) != "" {
			return names
		}
		names = longer
	}
}

// refusedNames says what is wrong with a Certificate by itself.
func refusedNames(spec *weir.Certificate) string {
	var text []string
	for _, p := range weir.Validate(&weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: "www"}, Spec: spec}) {
		text = append(text, p.Message)
	}
	return strings.Join(text, "; ")
}
