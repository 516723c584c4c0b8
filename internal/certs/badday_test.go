package certs

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// badDay stands before an authority: it answers in its place while fault is set, counts what it was asked then, and
// notes when orders were taken.
type badDay struct {
	mu     sync.Mutex
	now    func() time.Time
	fault  func(rw http.ResponseWriter, r *http.Request) (handled bool)
	asked  int
	orders []time.Time
}

func (b *badDay) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		fault := b.fault
		b.mu.Unlock()
		if fault != nil {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if b.count(); fault(rw, r) {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		h.ServeHTTP(rw, r)
		if r.URL.Path == weirtest.PebbleNewOrder && rw.Header().Get("Location") != "" {
			b.mu.Lock()
			b.orders = append(b.orders, b.now())
			b.mu.Unlock()
		}
	})
}

func (b *badDay) count() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
}

func (b *badDay) set(fault func(rw http.ResponseWriter, r *http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault, b.asked = fault, 0
}

func (b *badDay) seen() (asked int, orders []time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked, b.orders
}

// rests waits until the keeper has done all that is due.
func (w *world) rests() {
	w.t.Helper()
	w.keeper.look()
	w.await("the keeper rests", func() error {
		k, set, now := w.keeper, w.store.View(), w.now()
		for o := range set.All("Certificate") {
			name, spec := o.Metadata.Name, o.Spec.(*weir.Certificate)
			about := weir.Find[weir.Issuer](set, "Issuer", spec.Issuer)
			if spec.Issuer == "" {
				continue
			}
			if task, at, _ := Due(name, spec, about, k.forgiving(set, name, about), now); task != Nothing && !at.After(now) {
				return fmt.Errorf("%s is due for %d since %s", name, task, at)
			}
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.busy) > 0 {
			return fmt.Errorf("it is at %v", k.busy)
		}
		return nil
	})
}

// TestADayWithoutTheAuthority: those who have a certificate keep it and those of another issuer get theirs; status says
// what is wrong, until when the present one lasts and when it is tried again; few ask, and when the authority is back
// they don't come at once, and within the budget.
func TestADayWithoutTheAuthority(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func(rw http.ResponseWriter, r *http.Request) bool
		words string
	}{
		"hung up": {func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, "unreachable"},
		"maintenance page": {func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("Content-Type", "text/html")
			_, _ = rw.Write([]byte("<title>Back soon</title>"))
			return true
		}, "badAnswer"},
		"busy": {func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.Header().Set("Retry-After", "7200")
			rw.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, "HTTP 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			day := &badDay{}
			w := newWorld(t, weirtest.PebbleOptions{Wrap: day.wrap})
			day.now = w.now
			w.put("Issuer", "public", &weir.Issuer{Type: "acme", ACME: &weir.ACME{
				Directory: w.pebble.Directory, Authority: "pebble", Challenge: "http-01", Budget: &weir.Budget{Certificates: 10, Per: weir.Duration(time.Hour)},
			}})
			w.put("Certificate", "old", &weir.Certificate{Issuer: "public", Names: []string{"old.example.com"}})
			w.run()
			old := w.issued("old")
			w.rests()
			day.set(c.fault)
			for i := range 30 {
				w.put("Certificate", fmt.Sprintf("c%d", i), &weir.Certificate{Issuer: "public", Names: []string{fmt.Sprintf("c%d.example.com", i)}})
			}
			asked := w.now()
			w.put("Certificate", "old", &weir.Certificate{Issuer: "public", Names: []string{"old.example.com"}, RenewAt: &asked})
			w.put("Certificate", "inside", &weir.Certificate{Issuer: "inside", Names: []string{"www.inside.example"}})
			w.issued("inside")
			for range 24 {
				w.rests()
				w.ahead(time.Hour)
			}
			w.rests()
			// A try is some ten requests, of which most are the library's own repetitions.
			if n, _ := day.seen(); n > 500 || n < 5 {
				t.Errorf("the authority was asked %d times in its bad day, for 31 certificates", n)
			} else {
				t.Logf("asked %d times", n)
			}
			if now := w.cert("old"); now.Info.Serial != old.Info.Serial || now.KeyRef == nil {
				t.Errorf("the old one is %+v", now)
			}
			for _, name := range []string{"old", "c3"} {
				said := w.condition(name)
				if !strings.Contains(said.Message, c.words) || !strings.Contains(said.Message, "the next try is at") || said.Reason != "OrderFailed" ||
					(name == "old") != strings.Contains(said.Message, "good until "+moment(old.Info.NotAfter)) {
					t.Errorf("%s: %+v", name, said)
				}
			}
			day.set(nil)
			for range 18 {
				w.ahead(time.Hour)
				w.rests()
			}
			for i := range 30 {
				w.issued(fmt.Sprintf("c%d", i))
			}
			_, orders := day.seen()
			for i := range orders {
				if i >= 10 && orders[i].Sub(orders[i-10]) <= time.Hour {
					t.Errorf("more than 10 in an hour: %v", orders[i-10:i+1])
				}
			}
			if len(orders) != 32 {
				t.Errorf("%d orders were taken", len(orders))
			}
		})
	}
}

// TestOneIsRateLimited: it waits for as long as the authority says, and the others go on.
func TestOneIsRateLimited(t *testing.T) {
	t.Parallel()
	day := &badDay{}
	w := newWorld(t, weirtest.PebbleOptions{Wrap: day.wrap})
	day.now = w.now
	limited := 0
	day.set(func(rw http.ResponseWriter, r *http.Request) bool {
		var jws struct{ Payload string }
		if r.URL.Path != weirtest.PebbleNewOrder || json.NewDecoder(r.Body).Decode(&jws) != nil {
			return false
		}
		text, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
		if !strings.Contains(string(text), "popular.example") {
			return false
		}
		day.mu.Lock()
		limited++
		day.mu.Unlock()
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.Header().Set("Retry-After", "36000")
		rw.WriteHeader(http.StatusTooManyRequests)
		_, _ = rw.Write([]byte(`{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates for popular.example"}`))
		return true
	})
	count := func() int {
		day.mu.Lock()
		defer day.mu.Unlock()
		return limited
	}
	w.put("Certificate", "popular", &weir.Certificate{Issuer: "public", Names: []string{"www.popular.example"}})
	for i := range 8 {
		w.put("Certificate", fmt.Sprintf("c%d", i), &weir.Certificate{Issuer: "public", Names: []string{fmt.Sprintf("c%d.example.com", i)}})
	}
	w.run()
	for i := range 8 {
		w.issued(fmt.Sprintf("c%d", i))
	}
	w.rests()
	if c := w.condition("popular"); !strings.Contains(c.Message, "rateLimited: too many certificates for popular.example") || !strings.Contains(c.Message, "the next try is at") {
		t.Errorf("%+v", c)
	}
	for range 9 {
		w.ahead(time.Hour)
		w.rests()
	}
	if n := count(); n != 1 {
		t.Errorf("it was asked for %d times in nine hours of the ten", n)
	}
	day.set(nil)
	w.ahead(4 * time.Hour)
	w.issued("popular")
}

// TestTheAuthorityCannotBeTold: one that does not take a revocation is told again, and meanwhile another certificate comes
// all the same.
func TestTheAuthorityCannotBeTold(t *testing.T) {
	t.Parallel()
	day := &badDay{}
	w := newWorld(t, weirtest.PebbleOptions{Wrap: day.wrap})
	day.now = w.now
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}})
	w.run()
	first := w.issued("www")
	day.set(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/revoke-cert" {
			return false
		}
		http.Error(rw, "not today", http.StatusInternalServerError)
		return true
	})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}, Revoked: &weir.Revocation{At: w.now(), Reason: "keyCompromise"}})
	w.await("another comes", func() error {
		if c := w.cert("www"); c.Info.Serial == first.Info.Serial || c.Revoked != nil {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
	w.rests()
	if c := w.condition("www"); c.Status != "True" || !strings.Contains(c.Message, "does not know of the revocation of "+first.Info.Serial) {
		t.Errorf("%+v", c)
	}
	day.set(nil)
	w.ahead(2 * time.Hour)
	chain, err := ParseChain(first.Chain.String())
	if err != nil {
		t.Fatal(err)
	}
	w.await("the authority knows", func() error {
		if !w.pebble.Revoked(chain[0]) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	w.rests()
	if r := w.record("www"); len(r.Untold) > 0 || w.pebble.Done(weirtest.PebbleNewOrder) != 2 {
		t.Errorf("%+v after %d orders", r, w.pebble.Done(weirtest.PebbleNewOrder))
	}
}
