package certs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/acme"
)

// TestDue goes through what can be due, and when.
func TestDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	public := &weir.Issuer{Type: "acme", KeyRef: &weir.SealedRef{}, ACME: &weir.ACME{Challenge: "http-01"}}
	inside := &weir.Issuer{Type: "ca", KeyRef: &weir.SealedRef{}, CA: &weir.PrivateCA{}}
	good := func(change ...func(*weir.Certificate)) *weir.Certificate {
		c := &weir.Certificate{Issuer: "i", Names: []string{"a.example"}, KeyType: "ecdsa-256", KeyRef: &weir.SealedRef{}, Info: &weir.CertificateInfo{
			Names: []string{"a.example"}, KeyType: "ECDSA 256", Serial: "1", NotBefore: now.Add(-10 * day), NotAfter: now.Add(80 * day),
		}}
		for _, f := range change {
			f(c)
		}
		return c
	}
	asked := Record{Renewal: &acme.RenewalInfo{AskAgain: now.Add(6 * time.Hour)}, RenewalOf: "1", Serial: "1", Issuer: "i"}
	with := func(change func(*Record)) Record {
		r := asked
		change(&r)
		return r
	}
	revoked := func(reason string) func(*weir.Certificate) {
		return func(c *weir.Certificate) { c.Revoked = &weir.Revocation{At: now.Add(-time.Hour), Reason: reason} }
	}
	for name, c := range map[string]struct {
		spec   *weir.Certificate
		issuer *weir.Issuer
		r      Record
		task   Task
		in     time.Duration // from now, with an hour's grace; negative for at once
		why    string
	}{
		"no issuer":                  {spec: good(), task: Nothing},
		"the first":                  {spec: &weir.Certificate{Issuer: "i", Names: []string{"a.example"}}, issuer: public, task: Order, in: -1, why: "first"},
		"nothing to do but to ask":   {spec: good(), issuer: public, r: asked, task: AskAbout, in: 6 * time.Hour},
		"nobody has asked":           {spec: good(), issuer: public, task: AskAbout, in: -1},
		"two thirds":                 {spec: good(), issuer: inside, r: Record{}, task: Order, in: 50 * day, why: "two thirds"},
		"the same names in capitals": {spec: good(func(c *weir.Certificate) { c.Info.Names = []string{"A.example", "a.EXAMPLE"} }), issuer: public, r: asked, task: AskAbout, in: 6 * time.Hour},
		"other names":                {spec: good(func(c *weir.Certificate) { c.Names = []string{"a.example", "b.example"} }), issuer: public, r: asked, task: Order, in: -1, why: "other names"},
		"another type of key":        {spec: good(func(c *weir.Certificate) { c.KeyType = "rsa-2048" }), issuer: inside, task: Order, in: -1, why: "another type"},
		"another issuer":             {spec: good(func(c *weir.Certificate) { c.Issuer = "j" }), issuer: public, r: asked, task: Order, in: -1, why: "another issuer"},
		"the authority wants it": {spec: good(), issuer: public, r: with(func(r *Record) {
			r.Renewal = &acme.RenewalInfo{Start: now.Add(-2 * day), End: now.Add(-day), AskAgain: now.Add(day)}
		}), task: Order, in: -1, why: "authority wants"},
		"it has just come": {spec: good(), issuer: public, r: with(func(r *Record) {
			r.At = now
			r.Renewal = &acme.RenewalInfo{Start: now.Add(-2 * day), End: now.Add(-day), AskAgain: now.Add(day)}
		}), task: Order, in: soonest, why: "authority wants"},
		"somebody asked":             {spec: good(func(c *weir.Certificate) { at := now.Add(-time.Minute); c.RenewAt = &at }), issuer: public, r: asked, task: Order, in: -1, why: "somebody asked"},
		"somebody asked, and got it": {spec: good(func(c *weir.Certificate) { at := now.Add(-time.Minute); c.RenewAt = &at }), issuer: public, r: with(func(r *Record) { at := now.Add(-time.Minute); r.Asked = &at }), task: AskAbout, in: 6 * time.Hour},
		"revoked, nobody was told":   {spec: good(revoked("keyCompromise")), issuer: public, r: asked, task: Tell, in: -1},
		"revoked, and another one":   {spec: good(revoked("keyCompromise")), issuer: public, r: with(func(r *Record) { r.Told = []string{"1"} }), task: Order, in: -1, why: "revoked"},
		"revoked for good":           {spec: good(revoked("cessationOfOperation")), issuer: public, r: with(func(r *Record) { r.Told = []string{"1"} }), task: Nothing},
		"revoked for good while another is ordered": {spec: good(revoked("cessationOfOperation")), issuer: public, r: with(func(r *Record) {
			r.Of, r.Order = Digest(good(), public), &acme.Order{}
		}), task: Abandon, in: -1},
		"revoked while another is ordered": {spec: good(revoked("keyCompromise")), issuer: public, r: with(func(r *Record) {
			r.Of, r.Order = Digest(good(), public), &acme.Order{}
		}), task: GoOn, in: -1},
		"an order for something else": {spec: good(), issuer: public, r: with(func(r *Record) { r.Of, r.Order = "x", &acme.Order{} }), task: Abandon, in: -1},
		"it failed, and is tried later": {spec: &weir.Certificate{Issuer: "i", Names: []string{"a.example"}}, issuer: inside, r: func() Record {
			r := Record{}
			r.Of = Digest(&weir.Certificate{Issuer: "i", Names: []string{"a.example"}}, inside)
			r.Retries = r.Retries.Failed(now, r.Of, nil)
			return r
		}(), task: Order, in: time.Minute, why: "first"},
	} {
		task, at, why := Due("www", c.spec, c.issuer, &c.r, now)
		soon := !at.After(now)
		grace := max(time.Hour, c.in/10)
		if task != c.task || !strings.Contains(why, c.why) || c.in < 0 && !soon || c.in > 0 && (soon || (at.Sub(now)-c.in).Abs() > grace) {
			t.Errorf("%s: task %d at %s (%q)", name, task, at.Sub(now), why)
		}
		if c.issuer != nil {
			if p := Progress("www", c.spec, c.issuer, &c.r, now); p.Message == "" || p.Type != weir.Issued {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

// TestTimesOfAClockThatWasAhead: what was noted by a clock that was a year ahead holds nothing up once it is right again.
func TestTimesOfAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	ahead := now.Add(365 * day)
	public := &weir.Issuer{Type: "acme", KeyRef: &weir.SealedRef{}, ACME: &weir.ACME{Challenge: "http-01"}}
	spec := &weir.Certificate{Issuer: "i", Names: []string{"a.example"}, KeyType: "ecdsa-256", KeyRef: &weir.SealedRef{}, Info: &weir.CertificateInfo{
		Names: []string{"a.example"}, KeyType: "ECDSA 256", Serial: "1", NotBefore: now.Add(-80 * day), NotAfter: now.Add(10 * day),
	}}
	of := Digest(spec, public)
	known := Record{Of: of, Serial: "1", Issuer: "i", Renewal: &acme.RenewalInfo{AskAgain: ahead}, RenewalOf: "1"}
	with := func(change func(*Record)) Record {
		r := known
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		r    Record
		task Task
	}{
		"it waits for the limits": {with(func(r *Record) { r.wait(ahead.Add(-time.Hour), "3 orders in 1h", ahead) }), Order},
		"it has come":             {with(func(r *Record) { r.At = ahead }), Order},
		"it failed":               {with(func(r *Record) { r.Retries = r.Retries.Failed(ahead, of, nil) }), Order},
		"an order is under way":   {with(func(r *Record) { r.Order = &acme.Order{Next: ahead} }), GoOn},
		"the authority is asked":  {with(func(r *Record) { r.At = now.Add(-day); r.Asking = r.Asking.Failed(ahead, askOf(spec), nil) }), Order},
		"a revocation was told of": {with(func(r *Record) {
			r.Untold, r.Asking = []Untold{{Serial: "0"}}, r.Asking.Failed(ahead, tellOf("0"), nil)
		}), Tell},
	} {
		if task, at, why := Due("www", spec, public, &c.r, now); task != c.task || at.Sub(now) > 13*time.Hour {
			t.Errorf("%s: task %d in %s (%q)", name, task, at.Sub(now), why)
		}
	}
	young := *spec
	young.Info = &weir.CertificateInfo{Names: spec.Names, KeyType: "ECDSA 256", Serial: "1", NotBefore: now.Add(-day), NotAfter: now.Add(89 * day)}
	r := known
	if task, at, _ := Due("www", &young, public, &r, now); task != AskAbout || at.Sub(now) > day {
		t.Errorf("when it is to be renewed is asked in %s (task %d)", at.Sub(now), task)
	}
}

// TestRenewalsAreSpread: what was ordered together is not renewed together, and nothing too late.
func TestRenewalsAreSpread(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, life := range []time.Duration{6 * 24 * time.Hour, 47 * 24 * time.Hour, 90 * 24 * time.Hour} {
		info := &weir.CertificateInfo{NotBefore: begin, NotAfter: begin.Add(life)}
		perHour := map[time.Time]int{}
		for n := range 5000 {
			at, _ := RenewalTime(fmt.Sprintf("c%04d", n), info, &Record{})
			if part := float64(at.Sub(begin)) / float64(life); part < 0.63 || part > 0.71 {
				t.Fatalf("%s: renewed after %.2f of its life", life, part)
			}
			perHour[at.Truncate(life/1000)]++
		}
		for at, n := range perHour {
			if n > 160 { // of 75 on average
				t.Errorf("%s: %d of 5000 at %s", life, n, at)
			}
		}
	}
}
