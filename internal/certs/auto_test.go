package certs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// autoSite is a site whose one listener says certificates: auto and orders from issuer.
func autoSite(issuer string, hosts ...string) *weir.Site {
	return &weir.Site{Hostnames: hosts, Addresses: []string{"vip"}, Backends: map[string]weir.Backend{"default": {Pool: "web"}}, Listeners: []weir.Listener{
		{Port: 443, TLS: &weir.ListenerTLS{Certificates: weir.CertificateNames{"auto"}, Issuer: issuer, KeyTypes: []string{"ecdsa-256"}}},
	}}
}

// platform makes what a site needs besides.
func (w *world) platform() {
	w.t.Helper()
	w.put("LoadBalancerGroup", "edge", &weir.LoadBalancerGroup{Ranges: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}})
	w.put("IPAddress", "vip", &weir.IPAddress{Address: netip.MustParseAddr("192.0.2.1"), Groups: []string{"edge"}})
	w.put("Pool", "web", &weir.Pool{Members: []weir.Member{{Name: "a", Address: netip.MustParseAddr("192.0.2.9"), Port: 80}}})
}

// ordered names the Certificates that are ordered from the authority of the inside.
func (w *world) ordered() (names []string) {
	for o := range w.store.View().All("Certificate") {
		if o.Spec.(*weir.Certificate).Issuer == "inside" {
			names = append(names, o.Metadata.Name)
		}
	}
	return names
}

// TestTend goes through what can be to do about a certificate that sites want, or wanted.
func TestTend(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	order := func(host string) weir.Order {
		return weir.Order{Hostname: host, KeyType: "ecdsa-256", Issuer: "i"}
	}
	www := order("www.example.com")
	other := &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: "other"}, Spec: &weir.Certificate{Issuer: "i", Names: []string{"www.example.com"}, KeyType: "ecdsa-256"}}
	labelled := &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: "labelled", ManagedBy: "weir"}, Spec: &weir.Certificate{Chain: weir.NewChain("x")}}
	for name, c := range map[string]struct {
		sites []*weir.Site
		there []*weir.Object
		since time.Time
		want  string
	}{
		"nothing":                                {want: "make [] delete [] note [] forget [] next 0s"},
		"wanted":                                 {sites: []*weir.Site{autoSite("i", "www.example.com")}, want: "make [www.example.com of 1] delete [] note [] forget [] next 0s"},
		"wanted by two":                          {sites: []*weir.Site{autoSite("i", "www.example.com"), autoSite("i", "www.example.com")}, want: "make [www.example.com of 2] delete [] note [] forget [] next 0s"},
		"each name its own":                      {sites: []*weir.Site{autoSite("i", "a.example", "b.example")}, want: "make [a.example of 1 b.example of 1] delete [] note [] forget [] next 0s"},
		"there":                                  {sites: []*weir.Site{autoSite("i", "www.example.com")}, there: []*weir.Object{www.Certificate()}, want: "make [] delete [] note [] forget [] next 0s"},
		"wanted again":                           {sites: []*weir.Site{autoSite("i", "www.example.com")}, there: []*weir.Object{www.Certificate()}, since: now.Add(-time.Hour), want: "make [] delete [] note [] forget [www] next 0s"},
		"from another issuer by now":             {sites: []*weir.Site{autoSite("j", "www.example.com")}, there: []*weir.Object{www.Certificate()}, want: "make [www.example.com of 1] delete [] note [www] forget [] next 0s"},
		"unwanted":                               {there: []*weir.Object{www.Certificate()}, want: "make [] delete [] note [www] forget [] next 0s"},
		"unwanted for an hour":                   {there: []*weir.Object{www.Certificate()}, since: now.Add(-time.Hour), want: "make [] delete [] note [] forget [] next 23h0m0s"},
		"unwanted for a day":                     {there: []*weir.Object{www.Certificate()}, since: now.Add(-24 * time.Hour), want: "make [] delete [www] note [] forget [] next 0s"},
		"unwanted, but another is still to come": {sites: []*weir.Site{autoSite("j", "www.example.com")}, there: []*weir.Object{www.Certificate()}, since: now.Add(-24 * time.Hour), want: "make [www.example.com of 1] delete [] note [] forget [] next 0s"},
		"of people":                              {there: []*weir.Object{other, labelled}, since: now.Add(-99 * time.Hour), want: "make [] delete [] note [] forget [] next 0s"},
	} {
		set := weir.NewSet(c.there...)
		for i, s := range c.sites {
			set.Put(&weir.Object{Kind: "Site", Metadata: weir.Metadata{Name: fmt.Sprintf("s%d", i)}, Spec: s})
		}
		care := Tend(set, set.Orders(), func(string) time.Time { return c.since }, now)
		var make, gone []string
		for _, w := range care.Make {
			make = append(make, fmt.Sprintf("%s of %d", w.Hostname, len(w.Sites)))
		}
		for _, o := range care.Delete {
			gone = append(gone, o.Metadata.Name)
		}
		next := time.Duration(0)
		if !care.Next.IsZero() {
			next = care.Next.Sub(now)
		}
		got := strings.ReplaceAll(fmt.Sprintf("make %v delete %v note %v forget %v next %s", make, gone, care.Note, care.Forget, next), www.Name(), "www")
		if got != c.want {
			t.Errorf("%s: to do is %s, not %s", name, got, c.want)
		}
	}
}

// TestUnwantedIsNotOrdered, whatever else would be due, but an order under way is ended, and a revocation told.
func TestUnwantedIsNotOrdered(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	issuer := &weir.Issuer{Type: "acme", KeyRef: &weir.SealedRef{}, ACME: &weir.ACME{Challenge: "http-01"}}
	spec := &weir.Certificate{Issuer: "i", Names: []string{"a.example"}, KeyType: "ecdsa-256"}
	r := &Record{Unwanted: now.Add(-time.Hour)}
	if task, _, why := Due("a", spec, issuer, r, now); task != Nothing || why != "" {
		t.Errorf("due is %v, because %s", task, why)
	}
	if c := Progress("a", spec, issuer, r, now); !strings.Contains(c.Message, "no site wants it since 2026-06-01 11:00 UTC; it is deleted at 2026-06-02 11:00 UTC") || strings.Contains(c.Message, "ordered") {
		t.Errorf("said is %q", c.Message)
	}
}

// TestCertificatesAuto: what sites want is made and issued, what one no longer wants stays for a day, whoever keeps it,
// and is ordered by nobody meanwhile; a site that comes back in time finds what it had.
func TestCertificatesAuto(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.platform()
	name := func(host string) string {
		return weir.Order{Hostname: host, KeyType: "ecdsa-256", Issuer: "inside"}.Name()
	}
	a, b := name("a.inside.example"), name("*.b.inside.example")
	w.put("Site", "www", autoSite("inside", "a.inside.example", "*.b.inside.example"))
	w.put("LoadBalancerGroup", "lab", &weir.LoadBalancerGroup{Ranges: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}})
	w.put("IPAddress", "lab", &weir.IPAddress{Address: netip.MustParseAddr("198.51.100.1"), Groups: []string{"lab"}})
	two := autoSite("inside", "a.inside.example")
	two.Addresses = []string{"lab"}
	w.put("Site", "two", two)
	w.run()
	first := w.issued(a)
	w.issued(b)
	if names := w.ordered(); !slices.Equal(names, slices.Sorted(slices.Values([]string{a, b}))) {
		t.Errorf("made are %v", names)
	}
	if o := w.store.View().Get(weir.Ref{Kind: "Certificate", Name: b}); o.Metadata.ManagedBy != "weir" {
		t.Errorf("it is %+v", o.Metadata)
	}
	unwanted := func(name string, want bool) {
		t.Helper()
		w.await(name+" is noted", func() error {
			if r := w.record(name); r.Unwanted.IsZero() == want {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
	}
	w.put("Site", "www", autoSite("inside", "a.inside.example"))
	unwanted(b, true)
	w.stop()
	w.ahead(20 * time.Hour)
	w.run()
	w.put("Site", "www", autoSite("inside", "a.inside.example", "*.b.inside.example"))
	unwanted(b, false)
	before := w.cert(b).Info.Serial
	w.put("Site", "www", autoSite("inside", "c.inside.example"))
	unwanted(b, true)
	w.issued(name("c.inside.example"))
	if c := w.cert(b); c == nil || c.Info.Serial != before {
		t.Errorf("it is %+v", c)
	}
	w.stop()
	w.ahead(25 * time.Hour)
	w.run()
	w.await("what nobody wants is gone", func() error {
		if w.cert(b) != nil {
			return fmt.Errorf("%s is there", b)
		}
		return nil
	})
	if c := w.cert(a); c == nil || c.Info.Serial != first.Info.Serial {
		t.Errorf("what Site/two wants is %+v", c)
	}
}
