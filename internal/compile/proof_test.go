package compile

import (
	"strings"
	"testing"

	"weir"
)

// TestNamesThatNobodyCanProve: http-01 takes a site that has the name, in a group that speaks http at port 80.
func TestNamesThatNobodyCanProve(t *testing.T) {
	t.Parallel()
	put := func(s *weir.Set, kind, name string, spec weir.Spec) {
		s.Put(&weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name}, Spec: spec})
	}
	s := weir.NewSet()
	for _, group := range []string{"edge", "mute"} {
		put(s, "IPAddress", group, &weir.IPAddress{Groups: []string{group}})
	}
	put(s, "Issuer", "http", &weir.Issuer{ACME: &weir.ACME{Challenge: weir.HTTP01}})
	put(s, "Issuer", "dns", &weir.Issuer{ACME: &weir.ACME{Challenge: weir.DNS01}})
	put(s, "Issuer", "own", &weir.Issuer{CA: &weir.PrivateCA{}})
	plain := []weir.Listener{{Port: 80}}
	only := []weir.Listener{{Port: 443, TLS: &weir.ListenerTLS{}}}
	put(s, "Site", "plain", &weir.Site{Mode: "http", Hostnames: []string{"plain.example"}, Addresses: []string{"edge"}, Listeners: plain})
	put(s, "Site", "beside", &weir.Site{Mode: "http", Hostnames: []string{"*.beside.example"}, Addresses: []string{"edge"}, Listeners: only})
	put(s, "Site", "mute", &weir.Site{Mode: "http", Hostnames: []string{"mute.example"}, Addresses: []string{"mute"}, Listeners: only})
	put(s, "Site", "tcp", &weir.Site{Mode: "tcp", Hostnames: []string{"tcp.example"}, Addresses: []string{"mute"}, Listeners: plain})
	p := NewProvers(s)
	for name, want := range map[string]string{
		"http plain.example": "", "http a.beside.example": "", "http mute.example": "speaks http at port 80", "http tcp.example": "speaks http at port 80",
		"http nobody.example": "no site has it", "dns nobody.example": "", "own nobody.example": "", "none nobody.example": "",
	} {
		issuer, host, _ := strings.Cut(name, " ")
		if got := p.Lacks(issuer, host); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
