package dns01

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/weirtest"
)

func TestWaitForASecondaryThatLags(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	u := newUpdater(t, k, nil)
	r := Record{"www.example.test", "v"}
	if err := u.Present(long(t), r); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := u.Wait(short, r)
	wantError(t, "behind", err, "wait for TXT _acme-challenge.www.example.test. in the zone example.test.: 1 of 2 addresses are behind: ns2.example.test. ("+k.Secondary+") says that the name does not exist")
	if err != nil && (strings.Contains(err.Error(), "ns1") || !errors.Is(err, context.DeadlineExceeded)) {
		t.Errorf("%q names the one that has it, or does not say that the time is over", err)
	}
	// Who is asked alone has it.
	only := newUpdater(t, k, func(o *UpdateOptions) { o.Servers = []string{k.Addr} })
	if err := only.Wait(long(t), r); err != nil {
		t.Error(err)
	}
	done := make(chan error, 1)
	go func() { done <- u.Wait(long(t), r) }()
	k.Notify("example.test.")
	if err := <-done; err != nil {
		t.Error(err)
	}
	other, cancel2 := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel2()
	wantError(t, "another value", u.Wait(other, Record{r.Name, "other"}), "2 of 2 addresses are behind", "has 1 other values there")
}

func TestWaitFollowsAliases(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	u := newUpdater(t, k, nil)
	r := Record{"alias.example.test", "v"}
	if err := u.Present(long(t), r); err != nil {
		t.Fatal(err)
	}
	k.Notify("acme.test.")
	if err := u.Wait(long(t), r); err != nil {
		t.Error(err)
	}
}

// More values than a UDP packet holds are seen over TCP.
func TestWaitForOneOfManyValues(t *testing.T) {
	t.Parallel()
	k := startKnot(t)
	u := newUpdater(t, k, func(o *UpdateOptions) { o.Servers = []string{k.Addr} })
	ctx := long(t)
	record := func(i int) Record { return Record{"www.example.test", strings.Repeat("v", 40) + string(rune('a'+i))} }
	if err := each(20, func(i int) error { return u.Present(ctx, record(i)) }); err != nil {
		t.Fatal(err)
	}
	if err := each(20, func(i int) error { return u.Wait(ctx, record(i)) }); err != nil {
		t.Error(err)
	}
}

func TestWaitWhatIsWrongWithNameServers(t *testing.T) {
	t.Parallel()
	lame := startKnot(t)
	addr := weirtest.Addr(t)
	k := weirtest.StartKnot(
		t,
		weirtest.KnotZone{Name: "dead.test.", NS: []string{"ns1", "dead"}, Records: []string{"dead A " + addr}},
		weirtest.KnotZone{Name: "lame.test.", NS: []string{"ns1", "lame"}, Records: []string{"lame A " + strings.TrimSuffix(lame.Addr, ":"+weirtest.KnotPort)}},
		weirtest.KnotZone{Name: "none.test.", NS: []string{"ns1", "none"}, Records: []string{"none TXT nothing"}},
		weirtest.KnotZone{Name: "lost.test.", NS: []string{"ns1", "ns.nowhere.example."}},
	)
	cases := []struct{ zone, want string }{
		{"dead.test", "1 of 2 addresses are behind: dead.dead.test. (" + addr + ":" + weirtest.KnotPort + ") can't be asked: "},
		{"lame.test", "1 of 2 addresses are behind: lame.lame.test. (" + lame.Addr + ") answers REFUSED"},
		{"none.test", "1 of 2 addresses are behind: none.none.test. has no address"},
		{"lost.test", "for A of ns.nowhere.example.: REFUSED"},
	}
	u := newUpdater(t, k, nil)
	err := each(len(cases), func(i int) error {
		r := Record{"www." + cases[i].zone, "v"}
		if err := u.Present(t.Context(), r); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		wantError(t, cases[i].zone, u.Wait(ctx, r), cases[i].want)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A machine without a way to some addresses takes the proof from the others, but one for each server.
func TestWhatProves(t *testing.T) {
	t.Parallel()
	route := error(syscall.ENETUNREACH)
	a4, a6, b4, b6 := target{"a", "4"}, target{"a", "6"}, target{"b", "4"}, target{"b", "6"}
	cases := []struct {
		name string
		all  sightings
		want bool
	}{
		{"all", sightings{a4: nil, a6: nil, b4: nil}, true},
		{"one address behind", sightings{a4: nil, a6: errNotAsked, b4: nil}, false},
		{"no way to some", sightings{a4: nil, a6: route, b4: nil, b6: route}, true},
		{"no way to one server", sightings{a4: nil, b6: route}, false},
		{"refused is no missing way", sightings{a4: nil, a6: syscall.ECONNREFUSED}, false},
	}
	for _, c := range cases {
		if got := c.all.proven(); got != c.want {
			t.Errorf("%s: proven = %v", c.name, got)
		}
	}
}
