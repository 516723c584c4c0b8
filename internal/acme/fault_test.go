package acme

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// stage is a part of an order at which the CA can answer wrongly.
type stage struct {
	state State
	path  string
	step  Step
}

// stages are all requests of an order after the account is known.
var stages = []stage{
	{"", "/order-plz", StepOrder},
	{Begun, "/authZ/", StepAuthorization},
	{Answering, "/chalZ/", StepChallenge},
	{Validating, "/authZ/", StepValidation},
	{Ready, "/finalize-order/", StepFinalize},
	{Processing, "/my-order/", StepFinalize},
	{Issued, "/certZ/", StepCertificate},
}

// wrong is a way to answer wrongly, and what is to be made of it.
type wrong struct {
	name   string
	answer http.HandlerFunc
	kind   string
	wait   time.Duration
}

func answer(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func problemOf(kind string) string {
	return fmt.Sprintf(`{"type": "urn:ietf:params:acme:error:%s", "detail": "bad\u001b[31m day\n\ttoday"}`, kind)
}

var wrongs = []wrong{
	{"rate limited", answer(429, "application/problem+json", problemOf("rateLimited"), "Retry-After", "3600"), "rateLimited", time.Hour},
	{"rate limited without a problem", answer(429, "text/plain", "slow down", "Retry-After", "60"), "rateLimited", time.Minute},
	{"internal error", answer(500, "application/problem+json", problemOf("serverInternal")), "serverInternal", 0},
	{"busy", answer(503, "text/html", "<h1>503</h1>", "Retry-After", "120"), TypeBadAnswer, 2 * time.Minute},
	{"HTML", answer(200, "text/html", "<!doctype html><title>Maintenance</title>\x1b[31m"), TypeBadAnswer, 0},
	{"JSON that ends early", answer(200, "application/json", `{"status": "val`), TypeBadAnswer, 0},
	{"another type", answer(200, "application/octet-stream", `{}`), TypeBadAnswer, 0},
	{"nothing", answer(200, "application/json", ``), TypeBadAnswer, 0},
	{"endless", answer(200, "application/json", `{"status": "`+strings.Repeat("x", maxAnswer)+`"}`), TypeBadAnswer, 0},
	{"redirect", answer(302, "text/plain", "", "Location", "https://elsewhere.example/"), TypeBadAnswer, 0},
	{"broken off", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"status": "valid"`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, TypeBadAnswer, 0},
	{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, TypeUnreachable, 0},
}

// TestWrongAnswers gives a wrong answer to each request in turn: what is wrong is told as data, the order keeps its
// state, and goes on when the CA is well again, with nothing done twice.
func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	for i, bad := range wrongs {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			var f faults
			p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap})
			accountKey, key := newKey(t), newKey(t)
			c := newClient(t, p, accountKey)
			if _, err := c.Account(t.Context()); err != nil {
				t.Fatal(err)
			}
			request := Request{Names: []string{fmt.Sprintf("n%d.example.com", i)}, Challenge: HTTP01}
			var o Order
			for _, s := range stages {
				o = until(t, p, c, o, key, s.state)
				if o.State != s.state {
					continue // the CA was too quick to be asked again
				}
				now := time.Now().Truncate(time.Second)
				c.now = func() time.Time { return now }
				f.set(at(s.path, bad.answer))
				var err error
				before := o.State
				waited := o
				waited.Next = time.Time{}
				if s.state == "" {
					_, err = c.Begin(t.Context(), request)
				} else {
					o, err = c.Advance(t.Context(), waited, key)
				}
				f.set(nil)
				c.now = time.Now
				checkWrong(t, bad, s, err, now)
				if o.State != before {
					t.Errorf("%s: the order is %s after it", s.step, o.State)
				}
				if bad.wait > 0 && s.state != "" && !o.Next.Equal(now.Add(bad.wait)) {
					t.Errorf("%s: the order is to be asked for at %s", s.step, o.Next)
				}
				if o.Next = (time.Time{}); s.state == "" {
					o = begin(t, c, request)
				}
			}
			o = finish(t, p, o, key, func() *Client { return c })
			if o.State != Done || o.Trouble != nil {
				t.Fatalf("the order is %s: %v, %v", o.State, o.Failure, o.Trouble)
			}
			for what, want := range map[string]int{weirtest.PebbleNewOrder: 1, weirtest.PebbleAnswer: 1, weirtest.PebbleFinalize: 1} {
				if got := p.Done(what); got != want {
					t.Errorf("the CA has done %s %d times, want %d", what, got, want)
				}
			}
		})
	}
}

func checkWrong(t *testing.T, bad wrong, s stage, err error, now time.Time) {
	t.Helper()
	e := wantError(t, err, s.step, bad.kind)
	if !e.Retry {
		t.Errorf("%s: %v makes no sense to try again", s.step, e)
	}
	if want := now.Add(bad.wait); bad.wait > 0 && !e.NotBefore.Equal(want) {
		t.Errorf("%s: not before %s, want %s", s.step, e.NotBefore, want)
	}
	if bad.wait == 0 && !e.NotBefore.IsZero() {
		t.Errorf("%s: not before %s, which nobody has asked for", s.step, e.NotBefore)
	}
	if text := e.Error(); strings.Contains(text, "<") || strings.Contains(text, "xxxx") {
		t.Errorf("%s: the error shows the answer: %q", s.step, text)
	}
}

// until takes an order to a state, or past it.
func until(t *testing.T, p *weirtest.Pebble, c *Client, o Order, key *keyType, want State) Order {
	t.Helper()
	deadline := time.Now().Add(weirtest.Patience)
	for o.State != want && slices.Index(states, o.State) < slices.Index(states, want) {
		if time.Now().After(deadline) {
			t.Fatalf("the order is still %s: %v", o.State, o.Trouble)
		}
		if o.State == Presenting {
			present(p, o.Challenges())
			o = o.Presented()
			continue
		}
		waitUntil(t, o.Next)
		var err error
		if o, err = c.Advance(t.Context(), o, key); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// TestLostAnswers: the CA does what it is asked to do, and the answer is lost. Nothing but an order is done twice.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrapLosing("/chalZ/", "/finalize-order/", "/certZ/")})
	c := newClient(t, p, newKey(t))
	o := begin(t, c, Request{Names: []string{"a.example.com", "b.example.com"}, Challenge: HTTP01})
	o = finish(t, p, o, newKey(t), func() *Client { return c })
	if o.State != Done {
		t.Fatalf("the order is %s: %v", o.State, o.Failure)
	}
	for what, want := range map[string]int{weirtest.PebbleNewOrder: 1, weirtest.PebbleAnswer: 2, weirtest.PebbleFinalize: 1} {
		if got := p.Done(what); got != want {
			t.Errorf("the CA has done %s %d times, want %d", what, got, want)
		}
	}
}

// TestLostOrder: an order whose answer is lost is not sent again by itself.
func TestLostOrder(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrapLosing("/order-plz")})
	c := newClient(t, p, newKey(t))
	_, err := c.Begin(t.Context(), Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	wantError(t, err, StepOrder, TypeUnreachable)
	if n := p.Done(weirtest.PebbleNewOrder); n != 1 {
		t.Errorf("the CA has %d orders", n)
	}
}

// TestOneNameOfAHundred is refused: it is named, the others are proven and stay so, and the next order proves it alone.
func TestOneNameOfAHundred(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{RejectNonces: 5, ReuseAuthorizations: 100})
	c := newClient(t, p, newKey(t))
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("n%02d.example.com", i))
	}
	const bad = "n37.example.com"
	p.Resolve(bad, "127.0.0.9") // where nobody answers
	o := finish(t, p, begin(t, c, Request{Names: names, Challenge: HTTP01}), newKey(t), func() *Client { return c })
	if o.State != Closed {
		t.Fatalf("the order is %s", o.State)
	}
	e := wantError(t, o.Failure, StepValidation, "connection")
	if len(e.Names) != 1 || e.Names[0].Name != bad || !e.Retry || e.Names[0].Detail == "" {
		t.Errorf("the names that failed are %v", e.Names)
	}
	for _, ch := range o.Challenges() {
		if strings.Contains(e.Error()+e.Names[0].Detail, ch.Token) {
			t.Errorf("%q holds a token", e)
		}
	}
	orders := p.Orders(o.Account)
	if got := orders[0].Authorizations; slices.Index(got, "valid") != 1 || slices.Contains(got, "pending") {
		t.Errorf("the CA has the authorizations %v", got)
	}
	p.Resolve(bad, "")
	_, o = obtain(t, p, c, Request{Names: names, Challenge: HTTP01}, newKey(t))
	if ch := o.Challenges(); len(ch) != 1 || ch[0].Name != bad {
		t.Errorf("the next order proves %d names", len(ch))
	}
}

// TestHangs: a CA that does not answer costs one wait, not one for each try of the library.
func TestHangs(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap})
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	short := func(o *Options) { o.HTTP.Timeout = 3 * time.Second } // for a whole handshake too
	f.set(at("/dir", hang))
	c := newClient(t, p, newKey(t), short)
	_, err := c.Account(t.Context())
	wantError(t, err, StepDirectory, TypeTimeout)
	// Another CA is not kept waiting by it.
	other := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	if _, err := newClient(t, other, newKey(t)).Account(t.Context()); err != nil {
		t.Error(err)
	}
	f.set(nil)
	c = newClient(t, p, newKey(t))
	o := begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	before := f.asked()
	f.set(at("/authZ/", hang))
	c = newClient(t, p, c.opts.Key, short, func(opts *Options) { opts.Known = &Account{URL: o.Account} })
	_, err = c.Advance(t.Context(), o, nil)
	if e := wantError(t, err, StepAuthorization, TypeTimeout); !e.Retry {
		t.Errorf("%v makes no sense to try again", e)
	}
	if n := f.asked() - before; n != 3 { // the directory, a nonce, and once what hangs
		t.Errorf("the CA was asked %d times", n)
	}
	_, err = c.Advance(canceled(t), o, nil)
	var e *Error
	if !errors.As(err, &e) || e.Type != TypeCanceled {
		t.Errorf("a caller who has gone away gets %v", err)
	}
}

// TestDirectoryIsDown for a while, in the middle of an order too.
func TestDirectoryIsDown(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	accountKey, key := newKey(t), newKey(t)
	p.Stop()
	_, err := newClient(t, p, accountKey).Begin(t.Context(), Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	if e := wantError(t, err, StepDirectory, TypeUnreachable); !e.Retry {
		t.Errorf("%v makes no sense to try again", e)
	}
	p.Start()
	c := newClient(t, p, accountKey)
	o := begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	p.Stop()
	old := newClient(t, p, accountKey)
	old.session, old.account = c.session, c.account
	old.now = func() time.Time { return time.Now().Add(2 * directoryAge) }
	for i, c := range []*Client{c, newClient(t, p, accountKey), old} {
		o, err = c.Advance(t.Context(), o, key)
		// What was read of a directory is used on when it is old and cannot be read.
		wantError(t, err, []Step{StepAuthorization, StepDirectory, StepAuthorization}[i], TypeUnreachable)
		if o.State != Begun || o.Trouble == nil || !o.Next.After(time.Now()) {
			t.Errorf("the order is %s until %s, %v", o.State, o.Next, o.Trouble)
		}
		o.Next = time.Time{}
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	for looks, want := range map[int]time.Duration{0: 5 * time.Millisecond, 3: 40 * time.Millisecond, 100: maxTrouble} {
		o.Next, o.Looks = time.Time{}, looks
		if o, _ = c.Advance(t.Context(), o, key); o.State != Begun || o.Next.Sub(now) != want || o.Looks != looks+1 {
			t.Errorf("after %d looks the order is %s for %s", looks, o.State, o.Next.Sub(now))
		}
	}
	c.now, o.Looks = time.Now, 0
	o.Next = time.Time{}
	p.Start()
	if o = finish(t, p, o, key, func() *Client { return c }); o.State != Done {
		t.Errorf("the order is %s: %v", o.State, o.Failure)
	}
}

// TestDirectoryThatNobodyBelieves: an authority of one's own is believed once its certificate is named, and the error says
// where.
func TestDirectoryThatNobodyBelieves(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	c := newClient(t, p, newKey(t), func(o *Options) { o.HTTP = &http.Client{Transport: &http.Transport{}} })
	_, err := c.Begin(t.Context(), Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	if e := wantError(t, err, StepDirectory, TypeUnreachable); !strings.Contains(e.Detail, "unknown authority; have the Issuer's spec.acme.authority name a Certificate") {
		t.Errorf("told %q", e.Detail)
	}
}

// TestStuck: a CA that never makes the certificate is asked less and less often, and given up.
func TestStuck(t *testing.T) {
	t.Parallel()
	for _, state := range []State{Validating, Processing} {
		var f faults
		p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap})
		c, key := newClient(t, p, newKey(t)), newKey(t)
		o := until(t, p, c, begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: DNS01}), key, Ready)
		if state == Validating {
			o.State, o.Authorizations[0].State = Validating, "pending"
		}
		body := `{"status": "processing", "identifier": {"type": "dns", "value": "a.example.com"}}`
		body = strings.Replace(body, "processing", cmp.Or(map[State]string{Validating: "pending"}[state], "processing"), 1)
		f.set(at("/", answer(200, "application/json", body, "Replay-Nonce", "bm9uY2U")))
		now := time.Now()
		c.now = func() time.Time { return now }
		o.Since = now
		looks := 0
		for ; o.State != Failed && looks < 10_000; looks++ {
			if o.Next.After(now) {
				now = o.Next
			}
			o, _ = c.Advance(t.Context(), o, key)
			o = kept(t, o)
		}
		wantError(t, o.Failure, map[State]Step{Validating: StepValidation, Processing: StepFinalize}[state], TypeTimeout)
		if waited := now.Sub(o.Began); waited < patience || waited > patience+time.Minute {
			t.Errorf("%s: given up after %s", state, waited)
		}
		if most := int(patience/maxPoll) + 20; looks > most {
			t.Errorf("%s: the CA was asked %d times, more than %d", state, looks, most)
		}
	}
}

// TestRetryAfterIsHonoured while the CA is at work: nothing is sent before.
func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	var f faults
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{Wrap: f.wrap, RetryAfter: 1800})
	c, key := newClient(t, p, newKey(t)), newKey(t)
	o := until(t, p, c, begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: DNS01}), key, Ready)
	o, err := c.Advance(t.Context(), o, key)
	if err != nil || o.State != Processing {
		t.Fatalf("the order is %s: %v", o.State, err)
	}
	if wait := time.Until(o.Next); wait < 29*time.Minute || wait > 31*time.Minute {
		t.Errorf("the CA is asked again in %s", wait)
	}
	before := f.asked()
	if again, err := c.Advance(t.Context(), o, key); err != nil || again.State != Processing || f.asked() != before {
		t.Errorf("it was asked %d times before that: %v", f.asked()-before, err)
	}
}
