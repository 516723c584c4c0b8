package weirtest_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestRandomObjectsAreOfAllKinds walks a while and asks that everything was seen: every traffic kind put and
// deleted, every mode of a site, every kind of route, and no change that the rules refuse.
func TestRandomObjectsAreOfAllKinds(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	const changes = 5 * 400
	for seed := range uint64(5) {
		o := weirtest.Options{Sealed: true, Faults: seed%2 == 0, Zoned: seed > 2}
		set := weirtest.RandomObjects(seed, o)
		rng := rand.New(rand.NewPCG(seed, 2))
		for range changes / 5 {
			change := weirtest.RandomWrite(rng, set, o)
			after := weirtest.Apply(set, change)
			var written []weir.Ref
			for _, w := range change {
				written = append(written, w.Ref())
				if w.Put == nil {
					seen["delete "+w.Delete.Kind]++
					continue
				}
				seen["put "+w.Put.Kind]++
				for _, p := range weir.Validate(w.Put) {
					t.Errorf("put %s: %s", w.Put.Ref(), p)
				}
			}
			for _, p := range weir.Check(set, after, written) {
				t.Errorf("seed %d: %s", seed, p)
			}
			set = after
			for s := range set.All("Site") {
				note(seen, s.Spec.(*weir.Site))
			}
		}
	}
	for _, want := range []string{
		"put Server", "put Pool", "put Site", "put IPAddress", "put Override", "put Map", "put AccessList", "put RateLimit", "put Route", "put ErrorPage", "put Certificate", "put Tuning", "put LoadBalancer",
		"delete Server", "delete Pool", "delete Site", "delete IPAddress", "delete Override", "delete Map", "delete AccessList", "delete RateLimit", "delete Route", "delete ErrorPage", "delete Certificate",
		"put ZoneShift", "delete ZoneShift", "weights", "fallback", "cookie of a zone",
		"http site", "tcp site", "tls-passthrough site", "tls", "redirect", "by path", "by list", "by map", "two addresses", "limited",
	} {
		if seen[want] == 0 {
			t.Errorf("no %s; seen %v", want, seen)
		}
	}
	if sites := seen["http site"] + seen["tcp site"] + seen["tls-passthrough site"]; sites < 3*changes {
		t.Errorf("%d sites over %d changes; want at least three at a time", sites, changes)
	}
}

func note(seen map[string]int, s *weir.Site) {
	if r := s.Routing; r != nil {
		for what, is := range map[string]bool{"weights": r.Weights != nil, "fallback": r.Fallback != "", "cookie of a zone": r.KeepZone > 0} {
			if is {
				seen[what]++
			}
		}
	}
	seen[s.Mode+" site"]++
	if len(s.RateLimits) > 0 {
		seen["limited"]++
	}
	if len(s.Addresses) > 1 {
		seen["two addresses"]++
	}
	for _, l := range s.Listeners {
		if l.TLS != nil {
			seen["tls"]++
		}
		if l.Redirect != "" {
			seen["redirect"]++
		}
	}
	for _, r := range s.Routes {
		switch {
		case r.Match.Path != nil:
			seen["by path"]++
		case r.Match.AccessList != "":
			seen["by list"]++
		default:
			seen["by map"]++
		}
	}
}

func TestEqualSeedsGiveEqualObjects(t *testing.T) {
	t.Parallel()
	o := weirtest.Options{Sealed: true, Faults: true}
	a, b := weirtest.RandomObjects(7, o), weirtest.RandomObjects(7, o)
	if text(t, a) != text(t, b) {
		t.Error("the objects of one seed differ")
	}
	if text(t, a) == text(t, weirtest.RandomObjects(8, o)) {
		t.Error("the objects of two seeds are equal")
	}
	for c := range a.All("Certificate") {
		if chain := c.Spec.(*weir.Certificate).Chain.String(); weirtest.CertificateKey(chain) == "" {
			t.Errorf("%s has no key", c.Ref())
		}
	}
}

func text(t *testing.T, set *weir.Set) string {
	t.Helper()
	var list []*weir.Object
	for o := range set.Every() {
		list = append(list, o)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
