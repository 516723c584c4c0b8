package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestAccount is registered once, found by its key after that, and told of other contacts.
func TestAccount(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{RejectNonces: 20})
	key := newKey(t)
	contact := func(mail ...string) func(*Options) { return func(o *Options) { o.Contact = mail } }
	first, err := newClient(t, p, key, contact("ops@example.com")).Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same, err := newClient(t, p, key, contact("mailto:ops@example.com")).Account(t.Context())
	if err != nil || same.URL != first.URL {
		t.Errorf("found %v, want %v: %v", same, first, err)
	}
	changed, err := newClient(t, p, key, contact("b@example.com", "a@example.com")).Account(t.Context())
	want := []string{"mailto:a@example.com", "mailto:b@example.com"}
	if err != nil || changed.URL != first.URL || !slices.Equal(changed.Contact, want) {
		t.Errorf("changed to %v: %v", changed, err)
	}
	if got := slices.Sorted(slices.Values(p.Contacts(first.URL))); !slices.Equal(got, want) {
		t.Errorf("the CA has the contacts %v", got)
	}
	known := func(o *Options) { o.Known = &changed }
	before := p.Done(weirtest.PebbleNewAccount)
	again, err := newClient(t, p, key, contact("a@example.com", "b@example.com"), known).Account(t.Context())
	if err != nil || again.URL != first.URL || p.Done(weirtest.PebbleNewAccount) != before {
		t.Errorf("what is known is %v and was asked for: %v", again, err)
	}
	other, err := newClient(t, p, newKey(t)).Account(t.Context())
	if err != nil || other.URL == first.URL {
		t.Errorf("another key has the account %v: %v", other, err)
	}
}

// TestAccountAtOnce: many who need it at once get the same one.
func TestAccountAtOnce(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	c := newClient(t, p, newKey(t))
	urls := make([]string, 20)
	err := each(len(urls), func(i int) error {
		a, err := c.Account(t.Context())
		urls[i] = a.URL
		return err
	})
	if urls = slices.Compact(urls); err != nil || len(urls) != 1 || p.Done(weirtest.PebbleNewAccount) != 1 {
		t.Errorf("the accounts are %v, asked for %d times: %v", urls, p.Done(weirtest.PebbleNewAccount), err)
	}
}

// TestExternalAccount is needed where the CA says so, and must be signed with its key.
func TestExternalAccount(t *testing.T) {
	t.Parallel()
	hmac := make([]byte, 32)
	_, _ = rand.Read(hmac) // never fails
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{External: map[string]string{"kid-1": base64.RawURLEncoding.EncodeToString(hmac)}})
	_, err := newClient(t, p, newKey(t)).Account(t.Context())
	if e := wantError(t, err, StepAccount, "externalAccountRequired"); e.Retry {
		t.Errorf("%v makes sense to try again", e)
	}
	with := func(id string, key []byte) func(*Options) {
		return func(o *Options) { o.External = &ExternalAccount{KeyID: id, Key: key} }
	}
	for _, bad := range []func(*Options){with("kid-1", make([]byte, 32)), with("kid-2", hmac)} {
		_, err = newClient(t, p, newKey(t), bad).Account(t.Context())
		if e := wantError(t, err, StepAccount, "unauthorized"); e.Retry || strings.Contains(e.Error(), base64.RawURLEncoding.EncodeToString(hmac)) {
			t.Errorf("a wrong external account: %v", e)
		}
	}
	key := newKey(t)
	obtain(t, p, newClient(t, p, key, with("kid-1", hmac)), Request{Names: []string{"a.example.com"}, Challenge: HTTP01}, newKey(t))
	if _, err := newClient(t, p, key).Account(t.Context()); err != nil {
		t.Errorf("an account that is there needs none: %v", err)
	}
}

// TestAccountIsGone: one that was deactivated is said to be, one that the CA has lost is made anew.
func TestAccountIsGone(t *testing.T) {
	t.Parallel()
	p := weirtest.NewPebble(t, weirtest.PebbleOptions{})
	key := newKey(t)
	c := newClient(t, p, key)
	a, err := c.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := begin(t, c, Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	p.Deactivate(a.URL)
	// One that was known to be well is refused, and looked at.
	_, err = c.Begin(t.Context(), Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	wantError(t, err, StepOrder, "unauthorized")
	for _, c := range []*Client{c, newClient(t, p, key)} {
		_, err = c.Begin(t.Context(), Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
		if e := wantError(t, err, StepAccount, TypeDeactivated); e.Retry {
			t.Errorf("%v makes sense to try again", e)
		}
	}
	// What it has pending can't be given up, which is not tried for ever.
	given, _ := newClient(t, p, key).Advance(t.Context(), o.Abandon("the object was deleted"), nil)
	if given.State != Failed || given.Trouble == nil {
		t.Errorf("the order that was given up is %s: %v", given.State, given.Trouble)
	}
	given.Since, given.Next = given.Since.Add(-patience-time.Minute), time.Time{}
	if given, _ = newClient(t, p, key).Advance(t.Context(), given, nil); given.State != Closed {
		t.Errorf("the order that was given up is %s: %v", given.State, given.Trouble)
	}
	// An order is not lost with it: it may be that only the key has to be put right.
	if again, err := newClient(t, p, key).Advance(t.Context(), o, nil); again.State != Begun {
		t.Errorf("the order is %s: %v", again.State, err)
	}

	lost := newClient(t, p, newKey(t), func(o *Options) { o.Known = &Account{URL: strings.Replace(a.URL, "/my-account/", "/my-account/no", 1)} })
	_, err = lost.Begin(t.Context(), Request{Names: []string{"a.example.com"}, Challenge: HTTP01})
	if e := wantError(t, err, StepOrder, "accountDoesNotExist"); !e.Retry {
		t.Errorf("%v makes no sense to try again", e)
	}
	if o := begin(t, lost, Request{Names: []string{"a.example.com"}, Challenge: HTTP01}); o.Account == a.URL {
		t.Error("the order is of the account that is gone")
	}
}

// TestOptionsThatWillNotDo are refused before anything is sent, and without showing a key.
func TestOptionsThatWillNotDo(t *testing.T) {
	t.Parallel()
	good := Options{Directory: "https://ca.example/dir", HTTP: http.DefaultClient, Key: newKey(t)}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"no directory":    func(o *Options) { o.Directory = "" },
		"plain HTTP":      func(o *Options) { o.Directory = "http://ca.example/dir" },
		"a password":      func(o *Options) { o.Directory = "https://a:secret@ca.example/dir" },
		"no HTTP client":  func(o *Options) { o.HTTP = nil },
		"no key":          func(o *Options) { o.Key = nil },
		"ed25519":         func(o *Options) { o.Key = ed },
		"P-521":           func(o *Options) { o.Key = long },
		"no HMAC key":     func(o *Options) { o.External = &ExternalAccount{KeyID: "x"} },
		"a phone":         func(o *Options) { o.Contact = []string{"tel:+4912345"} },
		"a name and mail": func(o *Options) { o.Contact = []string{"Ops <ops@example.com>"} },
		"two mails":       func(o *Options) { o.Contact = []string{"a@example.com,b@example.com"} },
	} {
		opts := good
		change(&opts)
		_, err := New(opts)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		if e := wantError(t, err, map[bool]Step{true: StepDirectory, false: StepAccount}[strings.Contains(name, "o directory") || strings.Contains(name, "HTTP") || name == "a password"], TypeBadInput); strings.Contains(e.Error(), "secret") {
			t.Errorf("%s: %v", name, e)
		}
	}
	var none crypto.Signer
	if fitForAccount(none) {
		t.Error("no key is fit")
	}
}
