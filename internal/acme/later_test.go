package acme

import (
	"crypto/x509"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"

	"weir/internal/weirtest"
)

// TestReplaces: the CA takes note of what is replaced, once; after that, or when it knows nothing of it, the order is
// taken all the same and says so.
func TestReplaces(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{ReuseAuthorizations: 100})
	key := newKey(t)
	c := newClient(t, p, key)
	r := Request{Names: []string{"a.example.com"}, Challenge: HTTP01}
	leaf, _ := obtain(t, p, c, r, newKey(t))
	var err error
	if r.Replaces, err = CertID(leaf); err != nil {
		t.Fatal(err)
	}
	_, o := obtain(t, p, c, r, newKey(t))
	if orders := p.Orders(o.Account); o.Replaces != r.Replaces || o.NotReplaced != "" || orders[1].Replaces != r.Replaces {
		t.Errorf("the order replaces %q, not for %q; the CA has %v", o.Replaces, o.NotReplaced, orders)
	}
	weirtest.Eventually(t, weirtest.Patience, func() error { // the CA notes it a moment later
		if _, o = obtain(t, p, c, r, newKey(t)); o.Replaces != "" || o.NotReplaced != "alreadyReplaced" {
			return fmt.Errorf("replaced again, the order replaces %q, not for %q", o.Replaces, o.NotReplaced)
		}
		return nil
	})
	r.Replaces = r.Replaces[:len(r.Replaces)-4] + "AAAA"
	if _, o = obtain(t, p, c, r, newKey(t)); o.Replaces != "" || o.NotReplaced == "" {
		t.Errorf("the order replaces what nobody knows: %q, not for %q", o.Replaces, o.NotReplaced)
	}
	r.Replaces, _ = CertID(leaf)
	if _, o = obtain(t, p, newClient(t, p, newKey(t)), r, newKey(t)); o.Replaces != "" || o.NotReplaced == "" {
		t.Errorf("the order replaces another account's: %q, not for %q", o.Replaces, o.NotReplaced)
	}
}

// TestRenewalInfo is asked of the CA; what is wrong with it is said.
func TestRenewalInfo(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap})
	c := newClient(t, p, newKey(t))
	leaf, _ := obtain(t, p, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01}, newKey(t))
	info, err := c.RenewalInfo(t.Context(), leaf)
	if err != nil || !info.Start.Before(info.End) || info.Start.Before(leaf.NotBefore) || info.End.After(leaf.NotAfter) {
		t.Errorf("the certificate of %s to %s is to be renewed %v: %v", leaf.NotBefore, leaf.NotAfter, info, err)
	}
	if wait := time.Until(info.AskAgain); wait < 5*time.Hour || wait > 7*time.Hour {
		t.Errorf("asked again in %s, and the CA wants six hours", wait)
	}
	p.SetRenewalInfo(leaf, `{"suggestedWindow": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}, "explanationURL": "https://ca.example/why"}`)
	if info, err = c.RenewalInfo(t.Context(), leaf); err != nil || info.Explanation != "https://ca.example/why" || !info.At("x").Before(time.Now()) {
		t.Errorf("got %v: %v", info, err)
	}
	for _, bad := range []string{
		``, `<html>`, `{}`, `{"suggestedWindow": {"start": "2030-01-02T00:00:00Z", "end": "2030-01-01T00:00:00Z"}}`,
		`{"suggestedWindow": {"start": "2030-01-02T00:00:00Z", "end": "2030-01-02T00:00:00Z"}}`,
		`{"suggestedWindow": {"start": "0002-01-01T00:00:00Z", "end": "2030-01-02T00:00:00Z"}}`,
	} {
		p.SetRenewalInfo(leaf, bad+" ")
		_, err = c.RenewalInfo(t.Context(), leaf)
		if e := wantError(t, err, StepRenewalInfo, TypeBadAnswer); !e.Retry {
			t.Errorf("%q: %v makes no sense to try again", bad, e)
		}
	}
	f.set(at("/draft-ietf-acme-ari-03/", answer(http.StatusNotFound, "text/plain", "")))
	_, err = c.RenewalInfo(t.Context(), leaf)
	wantError(t, err, StepRenewalInfo, TypeNotFound)
	without := newClient(t, p, newKey(t))
	f.set(at("/dir", answer(200, "application/json", `{"newNonce": "https://a.example/n", "newAccount": "https://a.example/a", "newOrder": "https://a.example/o"}`)))
	_, err = without.RenewalInfo(t.Context(), leaf)
	if e := wantError(t, err, StepRenewalInfo, TypeUnsupported); e.Retry {
		t.Errorf("%v makes sense to try again", e)
	}
}

// TestRenewalIsSpread evenly over the window, and is the same each time.
func TestRenewalIsSpread(t *testing.T) {
	t.Parallel()
	r := RenewalInfo{Start: time.Unix(1_800_000_000, 0), End: time.Unix(1_800_000_000+86_400, 0)}
	var hours [24]int
	const n = 24_000
	for i := range n {
		name := fmt.Sprintf("n%d.example.com", i)
		at := r.At(name)
		if at.Before(r.Start) || !at.Before(r.End) || !at.Equal(r.At(name)) {
			t.Fatalf("%s is renewed at %s", name, at)
		}
		hours[int(at.Sub(r.Start)/time.Hour)]++
	}
	for h, got := range hours {
		if math.Abs(float64(got-n/24)) > 6*math.Sqrt(n/24) {
			t.Errorf("%d of %d certificates in hour %d", got, n, h)
		}
	}
}

// TestAskAgainIsBounded whatever a CA says.
func TestAskAgainIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var got acmez.RenewalInfo
	got.SuggestedWindow.Start, got.SuggestedWindow.End = now, now.Add(time.Hour)
	for wait, want := range map[time.Duration]time.Duration{-time.Hour: askSoonest, time.Second: askSoonest, time.Hour: time.Hour, 1000 * time.Hour: askLatest} {
		if r, detail := renewalInfo(got, now.Add(wait), now); detail != "" || !r.AskAgain.Equal(now.Add(want)) {
			t.Errorf("a CA that wants %s is asked in %s: %s", wait, r.AskAgain.Sub(now), detail)
		}
	}
	got.ExplanationURL = "javascript:alert(1)"
	if r, _ := renewalInfo(got, time.Time{}, now); r.Explanation != "" || !r.AskAgain.Equal(now.Add(askUsually)) {
		t.Errorf("got %v", r)
	}
}

// TestRevoke takes back what this account has, once and again.
func TestRevoke(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{RejectNonces: 30})
	c := newClient(t, p, newKey(t))
	leaf, _ := obtain(t, p, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01}, newKey(t))
	wantError(t, c.Revoke(t.Context(), leaf, 9), StepRevoke, TypeBadInput)
	err := newClient(t, p, newKey(t)).Revoke(t.Context(), leaf, Reasons["superseded"])
	if e := wantError(t, err, StepRevoke, "unauthorized"); p.Revoked(leaf) {
		t.Errorf("another account has revoked it: %v", e)
	}
	for range 2 {
		if err := c.Revoke(t.Context(), leaf, Reasons["keyCompromise"]); err != nil || !p.Revoked(leaf) {
			t.Errorf("revoked %v: %v", p.Revoked(leaf), err)
		}
	}
	wantError(t, c.Revoke(t.Context(), &x509.Certificate{Raw: leaf.Raw[1:]}, 0), StepRevoke, "malformed")
}

// TestBlockedName is refused with the name and is not worth trying again.
func TestBlockedName(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Blocked: []string{"blocked.example"}})
	_, err := newClient(t, p, newKey(t)).Begin(t.Context(), Request{Names: []string{"a.example.com", "www.blocked.example"}, Challenge: HTTP01})
	if e := wantError(t, err, StepOrder, "rejectedIdentifier"); e.Retry || !strings.Contains(e.Error(), "www.blocked.example") {
		t.Errorf("%v does not name it, or makes sense to try again", e)
	}
}

// TestNamesOfAProblem: of several names, those that the CA speaks of are named, and its words are made harmless.
func TestNamesOfAProblem(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap})
	c := newClient(t, p, newKey(t))
	if _, err := c.Account(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.set(at("/order-plz", answer(400, "application/problem+json", `{"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "policy",
		"subproblems": [
			{"type": "urn:ietf:params:acme:error:caa", "detail": "not\u0007 by us", "identifier": {"type": "dns", "value": "c.example.com"}},
			{"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "`+strings.Repeat("long ", 1000)+`", "identifier": {"type": "dns", "value": "b.example.com"}}]}`)))
	_, err := c.Begin(t.Context(), Request{Names: []string{"a.example.com", "b.example.com", "c.example.com"}, Challenge: HTTP01})
	e := wantError(t, err, StepOrder, "rejectedIdentifier")
	if len(e.Names) != 2 || e.Names[0].Name != "b.example.com" || e.Names[1] != (NameError{"c.example.com", "caa", "not by us"}) {
		t.Errorf("the names are %q", e.Names)
	}
	if want := "order b.example.com, c.example.com: rejectedIdentifier: policy"; e.Error() != want {
		t.Errorf("it reads %q, want %q", e, want)
	}
	if len(e.Names[0].Detail) > maxText+10 {
		t.Errorf("the detail has %d bytes", len(e.Names[0].Detail))
	}
}

// TestUnoffered: a challenge that the CA does not offer for a name ends the order with the name and what it offers.
func TestUnoffered(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap})
	c := newClient(t, p, newKey(t))
	o := begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	f.set(at("/authZ/", answer(200, "application/json", `{"status": "pending", "identifier": {"type": "dns", "value": "a.example.com"}, "challenges": [
		{"type": "dns-01", "status": "pending", "token": "x", "url": "https://a.example/x"}, {"type": "\u001b[31m", "status": "pending"}]}`, "Replay-Nonce", "bm9uY2U")))
	o, err := c.Advance(t.Context(), o, nil)
	e := wantError(t, err, StepAuthorization, TypeUnsupported)
	if o.State != Failed || e.Retry || len(e.Names) != 1 || !strings.Contains(e.Error(), "does not offer http-01, but [31m, dns-01") {
		t.Errorf("the order is %s: %v", o.State, e)
	}
	// A token could become part of a path and of a map's line.
	f.set(nil)
	o = begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	f.set(at("/authZ/", answer(200, "application/json", `{"status": "pending", "identifier": {"type": "dns", "value": "a.example.com"}, "challenges": [
		{"type": "http-01", "status": "pending", "token": "../x y", "url": "https://a.example/x"}]}`, "Replay-Nonce", "bm9uY2U")))
	o, err = c.Advance(t.Context(), o, nil)
	if e := wantError(t, err, StepAuthorization, TypeBadAnswer); o.State != Failed {
		t.Errorf("the order is %s: %v", o.State, e)
	}
}
