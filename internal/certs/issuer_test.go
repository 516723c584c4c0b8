package certs

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestWildcardsByDNS: names are proven by records that a name server takes, a wildcard and its base name together, and
// nothing is left there.
func TestWildcardsByDNS(t *testing.T) {
	t.Parallel()
	knot := weirtest.StartKnot(t, weirtest.KnotZone{Name: "example.test."}, weirtest.KnotZone{Name: "closed.test.", Closed: true})
	w := newWorld(t, weirtest.PebbleOptions{Resolver: knot.Addr, RejectNonces: 50})
	w.put("Secret", "tsig", &weir.Secret{Data: knot.Secret + "\n"})
	w.put("Issuer", "dns", &weir.Issuer{Type: "acme", Key: newKeyText(t), ACME: &weir.ACME{
		Directory: w.pebble.Directory, Authority: "pebble", Challenge: "dns-01",
		DNS: &weir.DNSChallenge{RFC2136: &weir.RFC2136{Server: knot.Addr, Key: knot.KeyName, Secret: "tsig"}, Servers: []string{knot.Addr}},
	}})
	w.put("Certificate", "wild", &weir.Certificate{Issuer: "dns", Names: []string{"*.example.test", "example.test"}})
	w.put("Certificate", "closed", &weir.Certificate{Issuer: "dns", Names: []string{"*.closed.test"}})
	w.run()
	if got := w.issued("wild"); len(got.Info.Names) != 2 {
		t.Errorf("it is for %v", got.Info.Names)
	}
	w.leads("wild", w.pebble.Roots())
	w.await("the records are gone", func() error {
		if left := knot.TXT(knot.Addr, "_acme-challenge.example.test."); len(left) > 0 {
			return fmt.Errorf("left are %q", left)
		}
		return nil
	})
	w.await("what the name server refuses is told", func() error {
		if r := w.record("closed"); r.Retries.Failures == 0 || !strings.Contains(r.Failure, "NOTAUTH") || r.Order != nil {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if c := w.condition("closed"); !strings.Contains(c.Message, "NOTAUTH") || !strings.Contains(c.Message, "next try") || strings.Contains(c.Message, knot.Secret) {
		t.Errorf("%+v", c)
	}
}

// TestExternalAccounts: an authority that registers nobody whom it does not know gets what it was promised by; a wrong key
// is told, and a right one helps at once.
func TestExternalAccounts(t *testing.T) {
	t.Parallel()
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	w := newWorld(t, weirtest.PebbleOptions{External: map[string]string{"kid-1": key}})
	issuer := func(external *weir.ExternalAccount) {
		w.put("Issuer", "public", &weir.Issuer{Type: "acme", ACME: &weir.ACME{Directory: w.pebble.Directory, Authority: "pebble", Challenge: "http-01", ExternalAccount: external}})
	}
	w.put("Secret", "eab", &weir.Secret{Data: "d3Jvbmcta2V5LXRoYXQtaXMtbG9uZy1lbm91Z2gtdG8tc2lnbi13aXRo"})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}})
	w.run()
	fails := func(words string) {
		t.Helper()
		w.await("it is told: "+words, func() error {
			if c := w.condition("www"); !strings.Contains(c.Message, words) {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
	}
	fails("externalAccountRequired")
	issuer(&weir.ExternalAccount{KeyID: "kid-1", Secret: "eab"})
	fails("unauthorized")
	w.put("Secret", "eab", &weir.Secret{Data: key})
	w.issued("www")
}

// TestTheAuthoritySaysWhen: one that wants a certificate renewed has it renewed before its time, once, and is not asked
// again before it said.
func TestTheAuthoritySaysWhen(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := 0
	w := newWorld(t, weirtest.PebbleOptions{Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "renewalInfo") {
				mu.Lock()
				asked++
				mu.Unlock()
			}
			h.ServeHTTP(rw, r)
		})
	}})
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}})
	w.run()
	first := w.issued("www")
	answered := func(times int) {
		t.Helper()
		w.await("the authority is asked", func() error {
			if r := w.record("www"); r.Renewal == nil || count() < times {
				return fmt.Errorf("asked %d times, %+v", count(), r)
			}
			return nil
		})
	}
	answered(1)
	chain, err := ParseChain(first.Chain.String())
	if err != nil {
		t.Fatal(err)
	}
	from := w.now().Add(24 * time.Hour).UTC()
	w.pebble.SetRenewalInfo(chain[0], fmt.Sprintf(`{"suggestedWindow": {"start": %q, "end": %q}, "explanationURL": "https://ca.example/why"}`,
		from.Format(time.RFC3339), from.Add(time.Hour).Format(time.RFC3339)))
	w.ahead(5 * time.Hour) // Pebble says Retry-After: six hours
	w.put("Certificate", "other", &weir.Certificate{Issuer: "inside", Names: []string{"www.inside.example"}})
	w.issued("other")
	if n := count(); n != 1 {
		t.Errorf("asked %d times within what it wanted to be left alone", n)
	}
	w.ahead(2 * time.Hour)
	answered(2)
	if c := w.condition("www"); !strings.Contains(c.Message, "because the authority wants it renewed") {
		t.Errorf("%+v", c)
	}
	w.ahead(20 * time.Hour)
	w.await("it is renewed", func() error {
		if c := w.cert("www"); c.Info.Serial == first.Info.Serial {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	answered(3)
	if n := w.pebble.Done(weirtest.PebbleNewOrder); n != 2 {
		t.Errorf("%d orders were made", n)
	}
	known, _, err := w.keeper.open(t.Context(), "public")
	if err != nil {
		t.Fatal(err)
	}
	if orders := w.pebble.Orders(known.account.Known.URL); len(orders) != 2 || orders[1].Replaces == "" {
		t.Errorf("orders are %+v", orders)
	}
}
