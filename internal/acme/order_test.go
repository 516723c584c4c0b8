package acme

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestCertificates: with half of all nonces refused, by each challenge, of a hundred names and of wildcards.
func TestCertificates(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{RejectNonces: 50, Profiles: map[string]time.Duration{"short": 6 * 24 * time.Hour}})
	c := newClient(t, p, newKey(t))
	for _, r := range []Request{
		{Names: []string{"www.example.com"}, Challenge: HTTP01},
		{Names: []string{"WWW.example.com", "shop.example.com", "www.example.com"}, Challenge: HTTP01},
		{Names: []string{"example.com", "*.example.com"}, Challenge: DNS01},
		{Names: []string{"xn--mnchen-3ya.example"}, Challenge: DNS01, Profile: "short"},
	} {
		leaf, o := obtain(t, p, c, r, newKey(t))
		if life := leaf.NotAfter.Sub(leaf.NotBefore); (life < 7*24*time.Hour) != (r.Profile == "short") && r.Profile != "" {
			t.Errorf("%v: the certificate lives for %s", r, life)
		}
		if len(o.Challenges()) != len(o.Names) {
			t.Errorf("%v: %d challenges to withdraw of %d names", r, len(o.Challenges()), len(o.Names))
		}
	}
}

// TestResume throws the Client away after each step: another one goes on, and the CA sees nothing twice.
func TestResume(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{RejectNonces: 20})
	accountKey, key := newKey(t), newKey(t)
	fresh := func() *Client { return newClient(t, p, accountKey) }
	o := begin(t, fresh(), Request{Names: []string{"a.example.com", "b.example.com", "c.example.com"}, Challenge: HTTP01})
	o = finish(t, p, o, key, fresh)
	if o.State != Done {
		t.Fatalf("the order is %s: %v", o.State, o.Failure)
	}
	leafOf(t, p, o)
	if orders := p.Orders(o.Account); len(orders) != 1 {
		t.Errorf("the CA has the orders %v", orders)
	}
	for what, want := range map[string]int{
		weirtest.PebbleNewOrder: 1, weirtest.PebbleAnswer: 3, weirtest.PebbleFinalize: 1, weirtest.PebbleReadCertificate: 1,
	} {
		if got := p.Done(what); got != want {
			t.Errorf("the CA has done %s %d times, want %d", what, got, want)
		}
	}
}

// TestKilledInTheMiddle loses what each step got, all but Begin's, as a crash before it is written down does: the step
// is taken again from what was kept, and the CA sees nothing twice.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	accountKey, key := newKey(t), newKey(t)
	o := begin(t, newClient(t, p, accountKey), Request{Names: []string{"a.example.com", "*.a.example.com"}, Challenge: DNS01})
	lost := map[State]bool{}
	deadline := time.Now().Add(weirtest.Patience)
	for !o.Finished() {
		if time.Now().After(deadline) {
			t.Fatalf("the order is still %s: %v", o.State, o.Trouble)
		}
		if o.State == Presenting {
			present(p, o.Challenges())
			o = o.Presented()
			continue
		}
		waitUntil(t, o.Next)
		next, err := newClient(t, p, accountKey).Advance(t.Context(), o, key)
		if err != nil {
			t.Fatal(err)
		}
		if !lost[o.State] {
			lost[o.State] = true
			continue
		}
		o = kept(t, next)
	}
	if o.State != Done {
		t.Fatalf("the order is %s: %v", o.State, o.Failure)
	}
	if want := []State{Begun, Answering, Validating, Ready, Issued}; !slices.ContainsFunc(want, func(s State) bool { return !lost[s] }) {
		leafOf(t, p, o)
	} else {
		t.Errorf("nothing was lost in some of %v: %v", want, lost)
	}
	for what, want := range map[string]int{weirtest.PebbleNewOrder: 1, weirtest.PebbleAnswer: 2, weirtest.PebbleFinalize: 1} {
		if got := p.Done(what); got != want {
			t.Errorf("the CA has done %s %d times, want %d", what, got, want)
		}
	}
}

// TestChallengesAsTheyAreTold: a server of somebody else's that knows nothing but what Challenges says proves a name.
func TestChallengesAsTheyAreTold(t *testing.T) {
	t.Parallel()
	const port = 8080
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{HTTPPort: port})
	address := weirtest.Addr(t)
	p.Resolve("a.example.com", address)
	c, key := newClient(t, p, newKey(t)), newKey(t)
	o := until(t, p, c, begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01}), key, Presenting)
	ch := o.Challenges()[0]
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == net.JoinHostPort(ch.Name, strconv.Itoa(port)) && r.URL.Path == "/.well-known/acme-challenge/"+ch.Token {
			_, _ = w.Write([]byte(ch.KeyAuthorization))
		}
	})}
	go func() { _ = srv.Serve(listener) }() // ends with the test
	t.Cleanup(func() { _ = srv.Close() })
	if o = finish(t, p, o.Presented(), key, func() *Client { return c }); o.State != Done {
		t.Errorf("the order is %s: %v", o.State, o.Failure)
	}
}

// TestProvenBefore: what the CA knows is proven is not proven again.
func TestProvenBefore(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{ReuseAuthorizations: 100})
	c := newClient(t, p, newKey(t))
	obtain(t, p, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01}, newKey(t))
	_, o := obtain(t, p, c, Request{Names: []string{"a.example.com", "b.example.com"}, Challenge: HTTP01}, newKey(t))
	if ch := o.Challenges(); len(ch) != 1 || ch[0].Name != "b.example.com" {
		t.Errorf("asked to prove %v, want b.example.com alone", ch)
	}
	_, o = obtain(t, p, c, Request{Names: []string{"a.example.com", "b.example.com"}, Challenge: HTTP01}, newKey(t))
	if got := p.Done(weirtest.PebbleAnswer); got != 2 || len(o.Challenges()) != 0 {
		t.Errorf("answered %d challenges of two names, the last order with %v", got, o.Challenges())
	}
}

// TestRequestsThatWillNotDo are refused with the reason, before the CA is asked.
func TestRequestsThatWillNotDo(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap})
	c := newClient(t, p, newKey(t))
	var many []string
	for i := range 101 {
		many = append(many, string(rune('a'+i%26))+string(rune('a'+i/26))+".example.com")
	}
	for _, r := range []Request{
		{},
		{Names: []string{"a.example.com"}},
		{Names: []string{"a.example.com"}, Challenge: "tls-alpn-01"},
		{Names: []string{"*.example.com"}, Challenge: HTTP01},
		{Names: []string{"192.0.2.1"}, Challenge: HTTP01},
		{Names: []string{"2001:db8::1"}, Challenge: HTTP01},
		{Names: []string{"localhost"}, Challenge: HTTP01},
		{Names: []string{"a..example.com"}, Challenge: HTTP01},
		{Names: []string{"a.*.example.com"}, Challenge: DNS01},
		{Names: []string{"münchen.example"}, Challenge: DNS01},
		{Names: []string{"-a.example.com"}, Challenge: DNS01},
		{Names: []string{"a.example.com."}, Challenge: DNS01},
		{Names: []string{"a\n.example.com"}, Challenge: DNS01},
		{Names: many, Challenge: DNS01},
	} {
		_, err := c.Begin(t.Context(), r)
		if e := wantError(t, err, StepOrder, TypeBadInput); e.Retry || e.Detail == "" {
			t.Errorf("%v: %v", r, e)
		}
	}
	if f.asked() > 0 {
		t.Errorf("the CA was asked %d times", f.asked())
	}
	_, err := c.Begin(t.Context(), Request{Names: []string{"a.example.com"}, Challenge: DNS01, Profile: "none"})
	wantError(t, err, StepOrder, TypeUnsupported)
	if p.Done(weirtest.PebbleNewOrder) > 0 {
		t.Error("something was ordered")
	}
}

// TestOrderOfAnotherAccount is not touched.
func TestOrderOfAnotherAccount(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	o := begin(t, newClient(t, p, newKey(t)), Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	o, err := newClient(t, p, newKey(t)).Advance(t.Context(), o, newKey(t))
	if e := wantError(t, err, StepOrder, TypeOtherAccount); !e.Retry || o.State != Closed || o.Failure != e {
		t.Errorf("the order is %s for %v", o.State, o.Failure)
	}
}

// TestAnotherKey: a key that changes on the way is found out about.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	c := newClient(t, p, newKey(t))
	o := begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	key := newKey(t)
	o = finish(t, p, o, key, func() *Client { return c })
	o.State, o.Chain = Issued, ""
	o, err := c.Advance(t.Context(), o, newKey(t))
	if e := wantError(t, err, StepCertificate, TypeBadChain); o.State != Failed || o.Failure != e {
		t.Errorf("the order is %s for %v", o.State, o.Failure)
	}
}

// TestAbandon gives up what the CA waits for, and leaves what was proven.
func TestAbandon(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{ReuseAuthorizations: 100})
	c := newClient(t, p, newKey(t))
	_, before := obtain(t, p, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01}, newKey(t))
	for _, steps := range []int{0, 1} {
		o := begin(t, c, Request{Names: []string{"a.example.com", "b.example.com"}, Challenge: HTTP01})
		for range steps {
			var err error
			if o, err = c.Advance(t.Context(), o, nil); err != nil {
				t.Fatal(err)
			}
		}
		o = finish(t, p, o.Abandon("the object was deleted"), nil, func() *Client { return c })
		if o.State != Closed || o.Failure.Type != TypeAbandoned {
			t.Errorf("the order is %s: %v", o.State, o.Failure)
		}
		orders := p.Orders(before.Account)
		if got, want := orders[len(orders)-1].Authorizations, []string{"deactivated", "valid"}; !slices.Equal(got, want) {
			t.Errorf("after %d steps the authorizations are %v, want %v", steps, got, want)
		}
	}
}
