package acme

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestCertificatesOfOtherNames: what a CA gives is for the names that were ordered, all of them and no others, however
// they are written.
func TestCertificatesOfOtherNames(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	ordered := []string{"a.example.com", "b.example.com"}
	for name, c := range map[string]struct {
		leaf x509.Certificate
		want string
	}{
		"as ordered":             {x509.Certificate{DNSNames: []string{"b.example.com", "a.example.com"}}, ""},
		"in capitals and twice":  {x509.Certificate{DNSNames: []string{"A.example.com", "a.example.com", "b.EXAMPLE.com"}}, ""},
		"too few":                {x509.Certificate{DNSNames: []string{"a.example.com"}}, "lacks the name b.example.com"},
		"one more":               {x509.Certificate{DNSNames: []string{"a.example.com", "b.example.com", "www.a.example.com"}}, "www.a.example.com"},
		"one that is none":       {x509.Certificate{DNSNames: []string{"a.example.com", "b.example.com", "a\x1b[31m.example"}}, "was not ordered"},
		"for an address":         {x509.Certificate{DNSNames: ordered, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, "192.0.2.1"},
		"for a mailbox":          {x509.Certificate{DNSNames: ordered, EmailAddresses: []string{"a@example.com"}}, "was not ordered"},
		"for a service by a URI": {x509.Certificate{DNSNames: ordered, URIs: []*url.URL{{Scheme: "spiffe", Host: "example.com"}}}, "was not ordered"},
	} {
		c.leaf.SerialNumber, c.leaf.NotBefore, c.leaf.NotAfter = big.NewInt(1), time.Now(), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, &c.leaf, &c.leaf, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		got := checkChain([]*x509.Certificate{leaf}, ordered, key.Public())
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) || strings.Contains(got, "\x1b") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
