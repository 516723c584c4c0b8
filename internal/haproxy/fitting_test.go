package haproxy_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// TestCertificatesAreShownForTheirOwnNames: of several certificates of a listener each is shown for the names that it is
// good for, twins together, and for those that none is good for.
func TestCertificatesAreShownForTheirOwnNames(t *testing.T) {
	t.Parallel()
	n := testNode(netip.MustParsePrefix("127.9.9.0/24"))
	cert := func(name string, names ...string) ir.Certificate {
		return ir.Certificate{Name: name, Chain: weir.NewChain(strings.ToUpper(name)), Key: &weir.SealedRef{Generation: 1}, Names: names}
	}
	n.Certificates = []ir.Certificate{
		cert("a", "a.example"), cert("a-rsa", "a.example"), cert("b", "B.example", "other.example"), cert("none", "far.example"), cert("wild", "*.w.example"),
	}
	n.Sites[3].Hostnames = []string{"*.w.example", "a.example", "b.example", "c.example", "deep.d.w.example", "x.w.example"}
	n.Sites[3].Listeners = []ir.Listener{{Port: 8443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: []string{"a", "a-rsa", "b", "none", "wild"}}}}
	c := haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	var got []string
	for _, e := range c.CrtLists[0].Entries[1:] {
		got = append(got, e.File+" "+strings.Join(e.SNI, " "))
	}
	const nobodys = " c.example deep.d.w.example"
	want := []string{
		"certs/a-rsa.pem a.example" + nobodys,
		"certs/a.pem a.example" + nobodys,
		"certs/b.pem b.example" + nobodys,
		"certs/none.pem" + nobodys,
		"certs/wild.pem *.w.example" + nobodys + " x.w.example",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	// One that is not shown at all is not in memory either.
	n.Sites[3].Hostnames = []string{"a.example"}
	c = haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	if len(c.Certs) != 2 || len(c.CrtLists[0].Entries) != 3 {
		t.Errorf("certificates %v, list %v", c.Certs, c.CrtLists[0].Entries)
	}
	n.Sites[3].Listeners[0].TLS.Certificates = []string{"none"}
	c = haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}})
	if len(c.Certs) != 1 {
		t.Errorf("the only one of a listener is not shown: %v", c.CrtLists[0].Entries)
	}
}
