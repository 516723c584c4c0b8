package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

const patience = weirtest.Patience

// registry is a strict Registry in memory.
type registry struct {
	mu     sync.Mutex
	tokens map[string]string            // hash → name it is for, "" for any
	lbs    map[string]*x509.Certificate // the latest seen
	next   map[string]string            // name → serial of one issued, not yet seen
	last   Enrolment
}

func (r *registry) Enrol(_ context.Context, e Enrolment, issue func(string) (*x509.Certificate, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, ok := r.tokens[e.TokenHash]
	if !ok {
		return weir.Errorf(weir.Unauthenticated, "the join token is not known, or was spent")
	}
	if name == "" {
		name = e.Name
	}
	if e.Name != "" && e.Name != name {
		return weir.Errorf(weir.Forbidden, "the join token is for %s", name)
	}
	if r.lbs[name] != nil {
		return weir.Errorf(weir.Conflict, "load balancer %s exists", name)
	}
	cert, err := issue(name)
	if err != nil {
		return err
	}
	delete(r.tokens, e.TokenHash)
	r.lbs[name], r.last = cert, e
	return nil
}

func (r *registry) Renew(_ context.Context, name string, shown, next *x509.Certificate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.lbs[name]
	if known == nil || secrets.Serial(known) != secrets.Serial(shown) {
		return weir.Errorf(weir.Forbidden, "the certificate of load balancer %s was superseded", name)
	}
	r.next[name] = secrets.Serial(next)
	return nil
}

func (r *registry) Admit(_ context.Context, name string, cert *x509.Certificate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.lbs[name]
	if known != nil && r.next[name] == secrets.Serial(cert) {
		r.lbs[name], known = cert, cert
	}
	if known == nil || secrets.Serial(known) != secrets.Serial(cert) {
		gone := &weir.Error{Kind: weir.Forbidden, Message: "load balancer " + name + " is gone, or its certificate superseded"}
		if known == nil {
			gone.Cause = ErrUnknown
		}
		return gone
	}
	return nil
}

func (r *registry) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.lbs, name)
}

// world is a control plane for a test: everything but store and compile.
type world struct {
	t     testing.TB
	addr  netip.AddrPort
	url   string
	ca    *secrets.CA
	text  []byte // the CA's
	reg   *registry
	opts  HubOptions
	hub   *Hub
	keys  *keyring
	wrap  func(http.Handler) http.Handler // nil for none
	shift sync.Mutex
	later time.Duration
	srv   *http.Server
	stop  func()
}

// keyring hands out keys that say which they are.
type keyring struct {
	mu     sync.Mutex
	broken map[string]bool
	asked  []string
}

func (k *keyring) get(_ context.Context, name string, generation int64) (secrets.Secret, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, fmt.Sprintf("%s@%d", name, generation))
	if k.broken[name] {
		return secrets.Secret{}, errors.New("sealed with a key that is not here")
	}
	return secrets.NewSecret(fmt.Appendf(nil, "KEY-CANARY %s %d\n", name, generation)), nil
}

// opened are the keys that were asked for so far.
func (k *keyring) opened() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.asked)
}

func (k *keyring) setBroken(name string, broken bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken[name] = broken
}

func newWorld(t testing.TB, edit ...func(*HubOptions)) *world {
	t.Helper()
	w := &world{t: t, reg: &registry{tokens: map[string]string{}, lbs: map[string]*x509.Certificate{}, next: map[string]string{}}, keys: &keyring{broken: map[string]bool{}}}
	authority, err := secrets.NewCA(w.now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := secrets.ParseCA(authority, w.now)
	if err != nil {
		t.Fatal(err)
	}
	w.ca, w.text = ca, authority
	w.opts = HubOptions{Epoch: "e1", CA: ca, Registry: w.reg, Keys: w.keys.get, Now: w.now, Heartbeat: 50 * time.Millisecond, Log: logger(t)}
	for _, e := range edit {
		e(&w.opts)
	}
	w.addr = netip.AddrPortFrom(netip.MustParseAddr(weirtest.Addr(t)), 8443)
	w.url = "https://" + w.addr.String()
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func logger(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return nil
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (w *world) now() time.Time {
	w.shift.Lock()
	defer w.shift.Unlock()
	return time.Now().Add(w.later)
}

// pass moves the clock that certificates are judged by.
func (w *world) pass(d time.Duration) {
	w.shift.Lock()
	defer w.shift.Unlock()
	w.later += d
}

// start runs a control plane with an empty memory at the world's address.
func (w *world) start() {
	w.t.Helper()
	hub, err := NewHub(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := net.Listen("tcp", w.addr.String())
	if err != nil {
		w.t.Fatal(err)
	}
	tlsConf := secrets.ServerTLS(secrets.ServerConfig{Certificate: w.certificate, Trust: w.ca.Trust, Now: w.now})
	handler := hub.Handler()
	if w.wrap != nil {
		handler = w.wrap(handler)
	}
	// What closes does not wait for its handlers, which log: a test ends after the last of them.
	var gate sync.RWMutex
	gated := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if gate.TryRLock() {
			defer gate.RUnlock()
			handler.ServeHTTP(rw, r)
		}
	})
	srv := &http.Server{Handler: gated, TLSConfig: tlsConf, HTTP2: HTTP2(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() { _ = srv.ServeTLS(l, "", ""); close(done) }()
	w.hub, w.srv = hub, srv
	w.stop = func() {
		hub.Close()
		_ = srv.Close()
		<-done
		gate.Lock()
		w.stop = func() {}
	}
}

// certificate is always of the CA that issues now.
func (w *world) certificate() *tls.Certificate {
	pair, err := w.ca.IssueServer(nil, []netip.Addr{w.addr.Addr()})
	if err != nil {
		w.t.Error(err)
	}
	return &pair
}

func (w *world) token(name string) string {
	w.t.Helper()
	text, hash, err := secrets.NewJoinToken(w.ca.CAHash())
	if err != nil {
		w.t.Fatal(err)
	}
	w.reg.mu.Lock()
	defer w.reg.mu.Unlock()
	w.reg.tokens[hash] = name
	return text
}

func (w *world) options(dir string) Options {
	return Options{URLs: []string{w.url}, Dir: dir, Now: w.now, Log: logger(w.t), Silence: 5 * time.Second, Backoff: 200 * time.Millisecond}
}

func (w *world) enrol(name string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	if _, err := Enrol(w.t.Context(), w.options(dir), Join{Token: w.token(name), Name: name, Agent: "v1", HAProxy: "3.4.7"}); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

func (w *world) set(group string, revision int64, list []*ir.Resource, lbs ...string) {
	w.t.Helper()
	var selves []ir.Self
	for _, lb := range lbs {
		selves = append(selves, ir.Self{Name: lb, Zone: "az1", State: weir.Active})
	}
	// A copy, since tests go on with theirs.
	if err := w.hub.SetGroup(group, revision, slices.Clone(list), selves); err != nil {
		w.t.Fatal(err)
	}
	w.hub.Advance(revision)
}

// content gives a state as a map.
func content(list []*ir.Resource) map[string]string {
	m := map[string]string{}
	for _, r := range list {
		m[r.ID] = string(r.JSON())
	}
	return m
}

func res(id string, v any) *ir.Resource {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &ir.Resource{ID: id, Body: raw}
}

func cert(name string, generation int64) *ir.Resource {
	return res("certificate/"+name, ir.Certificate{Name: name, Chain: weir.NewChain("PEM"), Key: &weir.SealedRef{Generation: generation, Fingerprint: "f"}})
}

// conn makes requests as the agent whose folder is dir, or as nobody.
func (w *world) conn(dir string) *http.Transport {
	w.t.Helper()
	c := secrets.ClientConfig{Trust: w.ca.Trust(), Now: w.now}
	if dir != "" {
		id, err := openIdentity(dir)
		if err != nil {
			w.t.Fatal(err)
		}
		c.Certificate = func() *tls.Certificate { return &id.cert }
	}
	t, err := transport(w.url, c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(t.CloseIdleConnections)
	return t
}
