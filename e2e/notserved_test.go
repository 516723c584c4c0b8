package e2e

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestCertificateThatIsSentAndNotServed: a certificate was sent to two load balancers and read back, and one of them shows
// another one, which somebody has put in its place by hand. Its object says so: how many serve it, which does not, and what
// a client is shown there; and when it is served, by the renewed one, the object says that.
func TestCertificateThatIsSentAndNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.look = time.Hour // else it is drift, and undone before anybody has asked
	w.origin(200, "web1")
	ca := newAuthority(t, "ca")
	const host = "shop.example.com"
	wanted, other, renewed := ca.issue(host), ca.issue(host), ca.issue(host)
	site := func(settings string) string {
		return strings.Replace(secureSite("shop", host, "[shop]"), "tls: {", "tls: {"+settings, 1)
	}
	w.apply(w.oneZone() + wanted.manifest("shop") + site(""))
	all := weirtest.HAProxies(t)
	_, atA := w.joinShifted("lb-a", all[0], 16)
	b, atB := w.joinShifted("lb-b", all[len(all)-1], 32)
	w.says("certificates/shop", "Programmed", "True", "all 2")
	reloads := w.reloads()

	hand := w.socket(b)
	have, err := hand.Certs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := have.Names[slices.IndexFunc(have.Names, func(name string) bool { return strings.Contains(name, "shop") })]
	if err := hand.SetCert(t.Context(), file, other.key+other.chain); err != nil {
		t.Fatal(err)
	}
	// It is shown in another way from now on, so agents look whether it is.
	w.apply(site("profile: modern, "))
	w.says("certificates/shop", "Programmed", "False", "read back from 1 of 2; not from lb-b; lb-b: HAProxy has it, but a client that asks "+atB+" for "+host,
		"is shown the certificate with serial "+serialOf(t, other), "in place of serial "+serialOf(t, wanted))
	if c := w.conditions("certificates/shop")["Programmed"]; c.Reason != "NotServed" || c.Ready != 1 || c.Of != 2 {
		t.Errorf("%+v", c)
	}

	w.apply(renewed.manifest("shop"))
	w.says("certificates/shop", "Programmed", "True", "all 2")
	client := tlsClient{w: w, roots: ca.pool(), sni: host}
	for _, at := range []string{atA, atB} {
		shown, err := client.shake(at)
		if err != nil {
			t.Fatal(err)
		}
		if got := serialText(shown); got != serialOf(t, renewed) {
			t.Errorf("%s shows serial %s, not %s, and Programmed is true", at, got, serialOf(t, renewed))
		}
	}
	if n := w.reloads(); n != reloads {
		t.Errorf("%d reloads", n-reloads)
	}
}

func serialText(s tls.ConnectionState) string {
	return fmt.Sprintf("%X", s.PeerCertificates[0].SerialNumber)
}

// serialOf is the serial of a certificate as people read it.
func serialOf(t *testing.T, k keyPair) string {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(k.chain), []byte(k.key))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%X", pair.Leaf.SerialNumber)
}
