package certs

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// world is a store, an authority, and what stands for the load balancers between them.
type world struct {
	t      *testing.T
	store  *store.Store
	pebble *weirtest.Pebble

	mu      sync.Mutex
	clock   time.Duration // ahead of the time
	answers []Challenge
	missing []string
	// patience is that of keepers that run, a second when 0.
	patience time.Duration
	keeper   *Keeper
	stop     func()
}

// Answer shows what load balancers would.
func (w *world) Answer(_ context.Context, list []Challenge) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = slices.Clone(list)
	for _, c := range list {
		w.pebble.PresentHTTP(c.Token, c.Answer)
	}
	return nil
}

// Missing says what the test wants to be missing.
func (w *world) Missing([]string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.missing
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.clock)
}

// ahead sets the clock on, and has the keeper look at it.
func (w *world) ahead(d time.Duration) {
	w.mu.Lock()
	w.clock += d
	w.mu.Unlock()
	w.keeper.look()
}

func newWorld(t *testing.T, opts weirtest.PebbleOptions) *world {
	t.Helper()
	w := &world{t: t, pebble: weirtest.NewPebble(t, opts)}
	ring, err := secrets.OpenOrCreateKeyring(filepath.Join(weirtest.TempDir(t), "sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.store, err = store.Open(t.Context(), store.Options{Dir: weirtest.TempDir(t), Keyring: ring, Check: weir.Check})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.put("Certificate", "pebble", &weir.Certificate{Chain: weir.NewChain(w.pebble.Cert)})
	w.put("Issuer", "public", &weir.Issuer{Type: "acme", Key: newKeyText(t), ACME: &weir.ACME{Directory: w.pebble.Directory, Authority: "pebble", Challenge: "http-01"}})
	a, err := NewAuthority(weir.PrivateCA{CommonName: "Inside", KeyType: "ecdsa-256", Duration: weir.Duration(1e6 * time.Hour / 100)}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chain, key, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.put("Issuer", "inside", &weir.Issuer{Type: "ca", Key: key, Chain: chain, CA: &weir.PrivateCA{CommonName: "Inside"}})
	return w
}

func newKeyText(t *testing.T) string {
	t.Helper()
	key, err := NewKey("ecdsa-256")
	if err != nil {
		t.Fatal(err)
	}
	text, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (w *world) put(kind, name string, spec weir.Spec) {
	w.t.Helper()
	spec.Normalize()
	_, err := w.store.Apply(w.t.Context(), store.Request{Author: "test", Writes: []weir.Write{{Put: &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name}, Spec: spec}}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// run has a keeper at work until the test ends, or halt.
func (w *world) run() {
	w.t.Helper()
	k := New(Options{Store: w.store, Answerer: w, Clock: w.now, Log: slog.New(slog.DiscardHandler), Poll: 5 * time.Millisecond, Patience: cmp.Or(w.patience, time.Second)})
	w.keeper = k
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
}

func (w *world) cert(name string) *weir.Certificate {
	return weir.Find[weir.Certificate](w.store.View(), "Certificate", name)
}

func (w *world) await(what string, holds func() error) {
	w.t.Helper()
	weirtest.Eventually(w.t, weirtest.Patience, func() error {
		if err := holds(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

func (w *world) issued(name string) *weir.Certificate {
	w.t.Helper()
	w.await(name+" is issued", func() error {
		if c := w.cert(name); c == nil || c.KeyRef == nil {
			return fmt.Errorf("it is %+v", c)
		}
		return nil
	})
	return w.cert(name)
}

func (w *world) record(name string) Record {
	w.t.Helper()
	k := New(Options{Store: w.store, Answerer: silent{}, Clock: w.now, Log: slog.New(slog.DiscardHandler)})
	if err := k.load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return *k.record(name)
}

// condition is what people are told of it.
func (w *world) condition(name string) weir.Condition {
	w.t.Helper()
	spec, r := w.cert(name), w.record(name)
	return Progress(name, spec, weir.Find[weir.Issuer](w.store.View(), "Issuer", spec.Issuer), &r, w.now())
}

type silent struct{}

func (silent) Answer(context.Context, []Challenge) error { return nil }
func (silent) Missing([]string) []string                 { return nil }

// leads says that the chain leads to a root; that the key is the leaf's the store has looked at.
func (w *world) leads(name string, roots *x509.CertPool) {
	w.t.Helper()
	spec := w.cert(name)
	chain, err := ParseChain(spec.Chain.String())
	if err != nil {
		w.t.Fatal(err)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	for _, n := range spec.Names {
		if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: strings.Replace(n, "*", "any", 1), Roots: roots, Intermediates: between, CurrentTime: w.now()}); err != nil {
			w.t.Errorf("%s: %v", name, err)
		}
	}
}
