package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// keyType is that of the tests' keys.
type keyType = ecdsa.PrivateKey

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newClient makes a Client that does not wait long.
func newClient(t testing.TB, p *weirtest.Pebble, key crypto.Signer, change ...func(*Options)) *Client {
	t.Helper()
	opts := Options{Directory: p.Directory, HTTP: p.HTTP(), Key: key, Poll: 5 * time.Millisecond}
	for _, f := range change {
		f(&opts)
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kept gives an order as another process would read it.
func kept(t testing.TB, o Order) Order {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseOrder(data)
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return again
}

func present(p *weirtest.Pebble, challenges []Challenge) {
	for _, ch := range challenges {
		if ch.Type == DNS01 {
			p.PresentDNS(ch.Record, ch.Value)
		} else {
			p.PresentHTTP(ch.Token, ch.KeyAuthorization)
		}
	}
}

// begin begins an order, again and again while that may help.
func begin(t testing.TB, c *Client, r Request) Order {
	t.Helper()
	var o Order
	weirtest.Eventually(t, weirtest.Patience, func() (err error) {
		o, err = c.Begin(t.Context(), r)
		return err
	})
	return o
}

// finish takes an order to its end; next gives the Client for each step. It returns what the order ended with.
func finish(t testing.TB, p *weirtest.Pebble, o Order, key crypto.Signer, next func() *Client) Order {
	t.Helper()
	deadline := time.Now().Add(weirtest.Patience)
	for o = kept(t, o); !o.Finished(); o = kept(t, o) {
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
		o, err = next().Advance(t.Context(), o, key)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("an error of another kind: %v", err)
		}
	}
	return o
}

func waitUntil(t testing.TB, when time.Time) {
	t.Helper()
	timer := time.NewTimer(time.Until(when))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test is over")
	}
}

// obtain gets a certificate and gives its leaf.
func obtain(t testing.TB, p *weirtest.Pebble, c *Client, r Request, key crypto.Signer) (*x509.Certificate, Order) {
	t.Helper()
	o := finish(t, p, begin(t, c, r), key, func() *Client { return c })
	if o.State != Done {
		t.Fatalf("the order is %s: %v", o.State, o.Failure)
	}
	return leafOf(t, p, o), o
}

// leafOf checks the chain as a client of the names would.
func leafOf(t testing.TB, p *weirtest.Pebble, o Order) *x509.Certificate {
	t.Helper()
	b, rest := pem.Decode([]byte(o.Chain))
	leaf, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	others := x509.NewCertPool()
	others.AppendCertsFromPEM(rest)
	for _, n := range o.Names {
		opts := x509.VerifyOptions{DNSName: strings.Replace(n, "*", "any", 1), Roots: p.Roots(), Intermediates: others}
		if _, err := leaf.Verify(opts); err != nil {
			t.Errorf("the certificate is not good for %s: %v", n, err)
		}
	}
	return leaf
}

// wantError checks what an error is, and that it is fit to be shown.
func wantError(t testing.TB, err error, step Step, kind string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %v, not an *Error", err)
	}
	if e.Step != step || e.Type != kind {
		t.Errorf("the error is %q of type %s, want %q of type %s", e, e.Type, step, kind)
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var again Error
	if err := json.Unmarshal(data, &again); err != nil || again.Error() != e.Error() {
		t.Errorf("%q is read back as %q: %v", e, &again, err)
	}
	if text := e.Error(); len(text) > 3*maxText || strings.ContainsAny(text, "\n\r\t\x1b") || strings.Contains(text, "%!") {
		t.Errorf("%q is not fit to be shown", text)
	}
	return e
}

// faults stand before Pebble; the last one added that is for a request has it.
type faults struct {
	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request) bool
	calls int
}

func (f *faults) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		fault := f.fault
		f.calls++
		f.mu.Unlock()
		if fault == nil || !fault(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// wrapLosing carries out what is asked of each of the paths, and hangs up instead of answering the first that was
// carried out.
func (f *faults) wrapLosing(paths ...string) func(http.Handler) http.Handler {
	lost := map[string]bool{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			for _, p := range paths {
				f.mu.Lock()
				lose := strings.HasPrefix(r.URL.Path, p) && rec.Code < 300 && !lost[r.URL.Path]
				lost[r.URL.Path] = lost[r.URL.Path] || lose
				f.mu.Unlock()
				if lose {
					panic(http.ErrAbortHandler)
				}
			}
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	}
}

// set puts a fault in the place of the one before; nil takes it away.
func (f *faults) set(fault func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// asked says how many requests have come.
func (f *faults) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// at limits a fault to requests of a path.
func at(path string, fault http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, path) {
			return false
		}
		fault(w, r)
		return true
	}
}

func canceled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
