package certs

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestCertificatesAreOrdered: what asks for a certificate gets one, from an authority that speaks ACME and loses half of
// all nonces, and from one of Weir's own.
func TestCertificatesAreOrdered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{RejectNonces: 50})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com", "api.example.com"}})
	w.put("Certificate", "old", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}, KeyType: "rsa-2048"})
	w.put("Certificate", "inside", &weir.Certificate{Issuer: "inside", Names: []string{"*.inside.example"}, Duration: weir.Duration(10 * time.Hour)})
	w.run()
	www, old, inside := w.issued("www"), w.issued("old"), w.issued("inside")
	if www.Info.KeyType != "ECDSA 256" || old.Info.KeyType != "RSA 2048" || time.Until(inside.Info.NotAfter).Round(time.Hour) != 10*time.Hour {
		t.Errorf("%+v\n%+v\n%+v", www.Info, old.Info, inside.Info)
	}
	w.leads("www", w.pebble.Roots())
	w.leads("old", w.pebble.Roots())
	w.await("nobody answers challenges any more, and nothing is under way", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.answers) > 0 {
			return fmt.Errorf("answered are %+v", w.answers)
		}
		return nil
	})
	if r := w.record("www"); r.Order != nil || r.Key != "" || r.Serial != www.Info.Serial {
		t.Errorf("kept is %+v", r)
	}
	if n := w.pebble.Done(weirtest.PebbleNewOrder); n != 2 {
		t.Errorf("%d orders were made", n)
	}
}

// TestCertificatesAreRenewed: after two thirds of its life, when somebody asks, when names change, and after it was
// revoked, with a new key each time.
func TestCertificatesAreRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	spec := func() *weir.Certificate {
		return &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}}
	}
	w.put("Certificate", "www", spec())
	w.put("Certificate", "inside", &weir.Certificate{Issuer: "inside", Names: []string{"www.inside.example"}})
	w.run()
	first, inside := w.issued("www"), w.issued("inside")
	another := func(name, what string, before *weir.Certificate) *weir.Certificate {
		t.Helper()
		w.await(what, func() error {
			c := w.cert(name)
			if c.Info.Serial == before.Info.Serial || c.Revoked != nil {
				return fmt.Errorf("it is still %s, revoked %v", c.Info.Serial, c.Revoked)
			}
			if c.KeyRef.Fingerprint == before.KeyRef.Fingerprint {
				return fmt.Errorf("the key is the same")
			}
			return nil
		})
		return w.cert(name)
	}
	again, asked := spec(), time.Now()
	again.RenewAt = &asked
	w.put("Certificate", "www", again)
	second := another("www", "another comes because somebody asked", first)
	more := spec()
	more.Names = []string{"www.example.com", "api.example.com"}
	more.RenewAt = again.RenewAt
	w.put("Certificate", "www", more)
	third := another("www", "another comes because of the names", second)
	if len(third.Info.Names) != 2 {
		t.Errorf("names are %v", third.Info.Names)
	}
	gone := *more
	gone.Revoked = &weir.Revocation{At: w.now(), Reason: "keyCompromise"}
	w.put("Certificate", "www", &gone)
	another("www", "another comes in the place of the one that was revoked", third)
	chain, err := ParseChain(third.Chain.String())
	if err != nil {
		t.Fatal(err)
	}
	w.await("the authority knows", func() error {
		if !w.pebble.Revoked(chain[0]) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	w.ahead(time.Until(inside.Info.NotAfter) / 5 * 4)
	another("inside", "one whose life is over is renewed", inside)
}

// TestOneBadNameHarmsNoOther, and what can't be proven is told with the name, and tried again later.
func TestOneBadNameHarmsNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{Blocked: []string{"blocked.example"}})
	w.put("Certificate", "bad", &weir.Certificate{Issuer: "public", Names: []string{"good.example.com", "www.blocked.example"}})
	for i := range 10 {
		w.put("Certificate", fmt.Sprintf("c%d", i), &weir.Certificate{Issuer: "public", Names: []string{fmt.Sprintf("c%d.example.com", i)}})
	}
	w.run()
	for i := range 10 {
		w.issued(fmt.Sprintf("c%d", i))
	}
	w.await("it is told which name", func() error {
		if r := w.record("bad"); !strings.Contains(r.Failure, "www.blocked.example") || r.Retries.Failures == 0 || r.Order != nil {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	w.put("Certificate", "bad", &weir.Certificate{Issuer: "public", Names: []string{"good.example.com"}})
	w.issued("bad") // at once
}

// TestTheAuthorityIsToldToLookWhenAnswersAreThere, and not before.
func TestTheAuthorityIsToldToLookWhenAnswersAreThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.missing = []string{"lb1 does not answer"}
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}})
	w.run()
	w.await("the order is given up", func() error {
		if r := w.record("www"); !strings.Contains(r.Failure, "lb1 does not answer") {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	if n := w.pebble.Done(weirtest.PebbleAnswer); n != 0 {
		t.Errorf("the authority was told %d times to look", n)
	}
}

// TestABudgetHolds: no more is ordered than may be, whoever begins anew.
func TestABudgetHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.put("Issuer", "public", &weir.Issuer{Type: "acme", ACME: &weir.ACME{Directory: w.pebble.Directory, Authority: "pebble", Challenge: "http-01", Budget: &weir.Budget{Certificates: 3, Per: weir.Duration(time.Hour)}}})
	for i := range 8 {
		w.put("Certificate", fmt.Sprintf("c%d", i), &weir.Certificate{Issuer: "public", Names: []string{fmt.Sprintf("c%d.example.com", i)}})
	}
	count := func() (n int) {
		for i := range 8 {
			if w.cert(fmt.Sprintf("c%d", i)).KeyRef != nil {
				n++
			}
		}
		return n
	}
	waiting := func() error {
		waits := 0
		for i := range 8 {
			if w.record(fmt.Sprintf("c%d", i)).Waits != "" {
				waits++
			}
		}
		if n := count(); n != 3 || waits != 5 {
			return fmt.Errorf("%d are issued, %d wait", n, waits)
		}
		return nil
	}
	w.run()
	w.await("three are issued and five wait", waiting)
	w.stop()
	w.run()
	if err := waiting(); err != nil {
		t.Error(err)
	}
	if n := w.pebble.Done(weirtest.PebbleNewOrder); n != 3 {
		t.Errorf("%d orders were made", n)
	}
}

// TestWhatIsKeptIsSealedAnew: a change of the sealing key gives what is kept another generation, which stops nobody.
func TestWhatIsKeptIsSealedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}})
	w.run()
	w.issued("www")
	w.await("what was kept is at rest", func() error {
		if r := w.record("www"); r.Renewal == nil {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	for _, name := range []string{RecordPrefix + "www", accountPrefix + "public"} {
		v, generation, err := w.store.Platform(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.store.SetPlatform(t.Context(), name, v.Bytes(), generation); err != nil {
			t.Fatal(err)
		}
	}
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com", "api.example.com"}})
	w.await("it has both names", func() error {
		if c := w.cert("www"); len(c.Info.Names) != 2 {
			return fmt.Errorf("%v", c.Info.Names)
		}
		return nil
	})
}

// TestAnotherGoesOn: whoever takes over goes on with an order where it was left, at any moment, and orders nothing twice.
func TestAnotherGoesOn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	requests, cut := 0, 0
	reached := make(chan struct{}, 1)
	w := newWorld(t, weirtest.PebbleOptions{Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(rw, r)
			mu.Lock()
			defer mu.Unlock()
			if requests++; cut > 0 && requests == cut {
				select {
				case reached <- struct{}{}:
				default:
				}
			}
		})
	}})
	orders := 0
	for n := 1; n < 14; n += 2 {
		name := fmt.Sprintf("c%d", n)
		mu.Lock()
		requests, cut = 0, n
		mu.Unlock()
		w.put("Certificate", name, &weir.Certificate{Issuer: "public", Names: []string{name + ".example.com"}})
		w.run()
		select {
		case <-reached:
		case <-time.After(weirtest.Patience):
		}
		w.stop()
		w.run()
		w.issued(name)
		w.stop()
		orders++
	}
	// The answer to the order itself is what alone can be lost.
	if n := w.pebble.Done(weirtest.PebbleNewOrder); n > orders+2 {
		t.Errorf("%d orders were made for %d certificates", n, orders)
	}
}

// What changes between the first look and the moment at which the keeper begins to follow is looked at.
func TestNoChangeIsMissedAtTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	k, since := New(Options{Store: w.store}), w.store.Revision()
	w.platform()
	w.put("Site", "www", autoSite("inside", "a.inside.example"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.follow(ctx, since) }()
	select {
	case <-k.wake:
	case <-time.After(weirtest.Patience):
		t.Error("a change after the first look wakes nobody")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
