package dns01

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// long bounds what must happen, for a broken product.
func long(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func startKnot(t *testing.T) *weirtest.Knot {
	t.Helper()
	return weirtest.StartKnot(
		t,
		weirtest.KnotZone{Name: "example.test.", Records: []string{
			"_acme-challenge.alias CNAME alias.acme.test.",
			"_acme-challenge.inner CNAME step",
			"step CNAME inner.acme",
			"_acme-challenge.loop CNAME loop",
			"loop CNAME _acme-challenge.loop",
		}},
		weirtest.KnotZone{Name: "acme.test."},
		weirtest.KnotZone{Name: "closed.test.", Closed: true},
	)
}

// newUpdater makes one that updates Knot, which is its resolver too; edit may change the options.
func newUpdater(t *testing.T, k *weirtest.Knot, edit func(*UpdateOptions)) *Updater {
	t.Helper()
	o := UpdateOptions{Server: k.Addr, Key: testKey(t, k.KeyName, k.Algorithm, k.Secret), Proof: Proof{Resolvers: []string{k.Addr}}}
	if edit != nil {
		edit(&o)
	}
	u, err := NewUpdater(o)
	if err != nil {
		t.Fatal(err)
	}
	u.view.port, u.prover.view.port = weirtest.KnotPort, weirtest.KnotPort
	return u
}

func testKey(t *testing.T, name, algorithm, secret string) Key {
	t.Helper()
	key, err := NewKey(name, algorithm, secret)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	cases := []struct {
		name, host, at string
		edit           func(*UpdateOptions)
	}{
		{name: "zone found", host: "www.example.test", at: "_acme-challenge.www.example.test."},
		{name: "zone given", host: "given.example.test", at: "_acme-challenge.given.example.test.", edit: func(o *UpdateOptions) { o.Zone = "Example.Test" }},
		{name: "apex", host: "example.test", at: "_acme-challenge.example.test."},
		{name: "deep", host: "a.b.c.example.test", at: "_acme-challenge.a.b.c.example.test."},
		{name: "alias into another zone", host: "alias.example.test", at: "alias.acme.test."},
		{name: "aliases one after another", host: "inner.example.test", at: "inner.acme.example.test."},
		{name: "alias into the zone given", host: "Alias.Example.test", at: "alias.acme.test.", edit: func(o *UpdateOptions) { o.Zone = "acme.test." }},
		{name: "IPv6", host: "six.example.test", at: "_acme-challenge.six.example.test.", edit: func(o *UpdateOptions) { o.Server = relay(t, "[::1]:0", k.Addr) }},
		{name: "server's name", host: "named.example.test", at: "_acme-challenge.named.example.test.", edit: func(o *UpdateOptions) {
			_, port, _ := net.SplitHostPort(relay(t, "127.0.0.1:0", k.Addr))
			o.Server = "localhost:" + port
		}},
	}
	for _, c := range cases {
		u := newUpdater(t, k, c.edit)
		bare, wild := Record{Name: c.host, Value: "one"}, Record{Name: "*." + c.host, Value: "two"}
		for _, r := range []Record{bare, wild, bare} {
			if err := u.Present(long(t), r); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		wantTXT(t, k, c.name, c.at, "one", "two")
		for _, r := range []Record{bare, bare} {
			if err := u.Clean(long(t), r); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		wantTXT(t, k, c.name, c.at, "two")
		if err := u.Clean(long(t), wild); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		wantTXT(t, k, c.name, c.at)
	}
}

// The server that takes updates has the challenges' zone alone; that the name leads there is known to the world.
func TestChallengeZoneOfItsOwn(t *testing.T) {
	t.Parallel()
	world := startKnot(t)
	k := weirtest.StartKnot(t, weirtest.KnotZone{Name: "acme.test."})
	for _, zone := range []string{"", "acme.test"} {
		u := newUpdater(t, k, func(o *UpdateOptions) { o.Zone, o.Resolvers = zone, []string{world.Addr} })
		r := Record{"alias.example.test", "v"}
		if err := u.Present(long(t), r); err != nil {
			t.Fatal(err)
		}
		wantTXT(t, k, "put", "alias.acme.test.", "v")
		k.Notify("acme.test.")
		if err := u.Wait(long(t), r); err != nil {
			t.Error(err)
		}
		if err := u.Clean(long(t), r); err != nil {
			t.Fatal(err)
		}
		wantTXT(t, k, "taken away", "alias.acme.test.")
	}
}

// A server with a view of its own of the name's zone is not asked for the alias when the zone to change is another one.
func TestServerWithAnInnerView(t *testing.T) {
	t.Parallel()
	world := startKnot(t)
	k := weirtest.StartKnot(t, weirtest.KnotZone{Name: "acme.test."}, weirtest.KnotZone{Name: "example.test."})
	u := newUpdater(t, k, func(o *UpdateOptions) { o.Zone, o.Resolvers = "acme.test", []string{world.Addr} })
	if err := u.Present(long(t), Record{"alias.example.test", "v"}); err != nil {
		t.Fatal(err)
	}
	wantTXT(t, k, "put", "alias.acme.test.", "v")
}

func wantTXT(t *testing.T, k *weirtest.Knot, what, name string, want ...string) {
	t.Helper()
	got := k.TXT(k.Addr, name)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %s has %q, want %q", what, name, got, want)
	}
}

// relay carries TCP connections from an address of the test's own to a server, and returns that address.
func relay(t *testing.T, listen, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = in.Close() }()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer func() { _ = out.Close() }()
				go func() { _, _ = io.Copy(out, in); _ = out.(*net.TCPConn).CloseWrite() }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return l.Addr().String()
}

func TestUpdatesWithEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range Algorithms {
		k := weirtest.StartKnotWith(t, algorithm, weirtest.KnotZone{Name: "example.test."})
		u := newUpdater(t, k, nil)
		if err := u.Present(long(t), Record{"www.example.test", "v"}); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		wantTXT(t, k, algorithm, "_acme-challenge.www.example.test.", "v")
	}
}

// Values that come and go at one name at once don't harm each other, nor one that stays.
func TestOneNameManyHands(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	u := newUpdater(t, k, nil)
	ctx := long(t)
	if err := u.Present(ctx, Record{"www.example.test", "stays"}); err != nil {
		t.Fatal(err)
	}
	errs := each(30, func(i int) error {
		r := Record{"www.example.test", fmt.Sprintf("value-%d", i)}
		for range 3 {
			if err := u.Present(ctx, r); err != nil {
				return err
			}
			values := k.TXT(k.Addr, r.Owner())
			if !slices.Contains(values, r.Value) || !slices.Contains(values, "stays") {
				return fmt.Errorf("after %s was put there were %q", r.Value, values)
			}
			if err := u.Clean(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if errs != nil {
		t.Error(errs)
	}
	wantTXT(t, k, "in the end", "_acme-challenge.www.example.test.", "stays")
}

func TestManyChallengesAtOnce(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	u := newUpdater(t, k, nil)
	ctx := long(t)
	const many = 200
	record := func(i int) Record { return Record{fmt.Sprintf("h%d.example.test", i), "v"} }
	if err := each(many, func(i int) error { return u.Present(ctx, record(i)) }); err != nil {
		t.Fatal(err)
	}
	k.Notify("example.test.")
	if err := each(many, func(i int) error { return u.Wait(ctx, record(i)) }); err != nil {
		t.Fatal(err)
	}
	if err := each(many, func(i int) error { return u.Clean(ctx, record(i)) }); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		wantTXT(t, k, "in the end", record(i).Owner())
	}
}

// each calls f n times at once and joins the errors.
func each(n int, f func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
