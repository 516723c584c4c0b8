package certs

import (
	"fmt"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestRevokedTheMomentAnotherComes: a revocation between the last look at a certificate and the write of its successor is
// told to the authority all the same, and one that wants no successor has none.
func TestRevokedTheMomentAnotherComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, weirtest.PebbleOptions{})
	names := []string{"kept", "ended"}
	for _, name := range names {
		w.put("Certificate", name, &weir.Certificate{Issuer: "public", Names: []string{name + ".example.com"}})
	}
	w.run()
	former := map[string]*weir.Certificate{}
	for _, name := range names {
		former[name] = w.issued(name)
		w.await("all is at rest", func() error {
			if r := w.record(name); r.Renewal == nil {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
	}
	w.stop()
	inside, _, err := w.keeper.open(t.Context(), "inside")
	if err != nil {
		t.Fatal(err)
	}
	about := weir.Find[weir.Issuer](w.store.View(), "Issuer", "public")
	for name, reason := range map[string]string{names[0]: "keyCompromise", names[1]: "cessationOfOperation"} {
		w.put("Certificate", name, &weir.Certificate{Issuer: "public", Names: []string{name + ".example.com"}, Revoked: &weir.Revocation{At: w.now(), Reason: reason}})
		key, err := NewKey("ecdsa-256")
		if err != nil {
			t.Fatal(err)
		}
		text, err := EncodeKey(key)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := inside.authority.Issue([]string{name + ".example.com"}, key.Public(), 2400*time.Hour, w.now())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.keeper.issued(t.Context(), name, former[name], about, w.keeper.record(name), chain, text, "it was due"); err != nil {
			t.Fatal(err)
		}
	}
	if c := w.cert(names[0]); c.Revoked != nil || c.Info.Serial == former[names[0]].Info.Serial {
		t.Errorf("no other one came: %+v", c)
	}
	if c := w.cert(names[1]); c.Revoked == nil || c.Info.Serial != former[names[1]].Info.Serial {
		t.Errorf("another one came in the place of one that was given up: %+v", c)
	}
	w.run()
	for _, name := range names {
		chain, err := ParseChain(former[name].Chain.String())
		if err != nil {
			t.Fatal(err)
		}
		w.await("the authority knows of "+name, func() error {
			if !w.pebble.Revoked(chain[0]) {
				return fmt.Errorf("it does not")
			}
			return nil
		})
	}
}
