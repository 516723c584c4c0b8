package registrar

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/weirtest"
)

var home = netip.MustParseAddr("10.0.0.1")

// world is a registrar on a real store, with a token for servers of role web.
type world struct {
	*Registrar
	opts  Options
	t     *testing.T
	store *store.Store
	token secrets.Registrant

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time go by on the registrar's clock, which leases do not know.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t *testing.T, lease time.Duration) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC()}
	ring, err := secrets.OpenOrCreateKeyring(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), store.Options{Dir: t.TempDir(), Keyring: ring, Clock: w.clock, Check: weir.Check}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	text, err := secrets.NewCA(w.now)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := secrets.ParseCA(text, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	w.opts = Options{Store: w.store, CA: ca, Lease: lease, Clock: w.clock}
	w.Registrar = New(w.opts)
	_, hash := secrets.NewToken("registration")
	w.token = secrets.Registrant{Token: "web", TokenID: secrets.TokenID(hash)}
	w.put(
		&weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: "az1"}, Spec: &weir.Zone{}},
		&weir.Object{Kind: "Role", Metadata: weir.Metadata{Name: "web"}, Spec: &weir.Role{}},
		&weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "web"}, Spec: &weir.Token{Subject: "registration", Hash: hash, Registration: &weir.RegistrationTerms{Role: "web", Zone: "az1", Names: []string{"web-*"}}}},
	)
	w.run(func(ctx context.Context) { w.Follow(ctx) })
	return w
}

// run does something until the test ends.
func (w *world) run(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { f(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func (w *world) tend() (stop func()) { return w.run(func(ctx context.Context) { _ = w.Tend(ctx) }) }

func (w *world) put(objects ...*weir.Object) {
	w.t.Helper()
	var writes []weir.Write
	for _, o := range objects {
		o.Spec.Normalize()
		writes = append(writes, weir.Write{Put: o})
	}
	if _, err := w.store.Apply(w.t.Context(), store.Request{Author: "test", Writes: writes, Registers: true}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) who(name string) Caller {
	who := w.token
	who.Name = name
	return Caller{Registrant: who, Key: "key of " + name, From: home}
}

func (w *world) says(name, state, reason string) Answer {
	w.t.Helper()
	said := &weir.Announcement{State: state, Reason: reason}
	text, err := json.Marshal(said)
	if err != nil {
		w.t.Fatal(err)
	}
	var a Answer
	weirtest.Eventually(w.t, weirtest.Patience, func() error {
		a, err = w.Register(w.t.Context(), w.who(name), text, func() (*weir.Announcement, error) { return said, nil })
		if err != nil && weir.KindOf(err) != weir.Unavailable { // as on a machine that writes slowly
			w.t.Fatal(err)
		}
		return err
	})
	return a
}

func (w *world) state(name string) string {
	if s := weir.Find[weir.Server](w.store.View(), "Server", name); s != nil {
		return s.Registered()
	}
	return "gone"
}

func (w *world) becomes(name, want string) {
	w.t.Helper()
	weirtest.Eventually(w.t, weirtest.Patience, func() error {
		if got := w.state(name); got != want {
			return fmt.Errorf("%s is %s, want %s", name, got, want)
		}
		return nil
	})
}

// TestWhoFallsSilent: who is heard stays, who is not is stale, who was leaving is withdrawn, and who comes back is healthy.
func TestWhoFallsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	for _, name := range []string{"web-heard", "web-silent", "web-leaving", "web-unwell", "web-dropped"} {
		w.says(name, "healthy", "")
	}
	w.says("web-leaving", "draining", "stops")
	w.says("web-unwell", "withdrawn", "check app: 500")
	if _, err := w.Withdraw(t.Context(), w.who("web-dropped"), "stopped"); err != nil {
		t.Fatal(err)
	}
	w.tend()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		w.says("web-heard", "healthy", "")
		if got := w.state("web-heard"); got != "healthy" {
			t.Fatalf("the one that is heard is %s", got)
		}
		if got := w.state("web-silent"); got != "stale" {
			return fmt.Errorf("the one that is silent is %s", got)
		}
		return nil
	})
	for _, name := range []string{"web-leaving", "web-unwell", "web-dropped"} { // heard last a moment later
		w.becomes(name, "withdrawn")
	}
	is := weir.Find[weir.Server](w.store.View(), "Server", "web-silent").Registration
	if is.Reason != "nothing was heard of it for 3s" || is.By != "registration/web" {
		t.Errorf("%+v", is)
	}
	if a := w.says("web-silent", "healthy", ""); a.State != "healthy" || w.state("web-silent") != "healthy" {
		t.Errorf("it has come back: %+v", a)
	}
	// Those that are gone for long go, each by its own time.
	w.pass(25 * time.Hour)
	w.becomes("web-dropped", "gone")
	w.becomes("web-unwell", "gone")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if w.state("web-silent") == "healthy" {
			return errors.New("it is taken to be there")
		}
		return nil
	})
	w.pass(25 * time.Hour)
	w.becomes("web-silent", "gone")
}

// TestHeardByTheOther: of two control planes one looks for the silent, and who speaks to the other is not; when it dies the
// other goes on, and nobody who is heard is marked for that.
func TestHeardByTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6*time.Second)
	first := &world{Registrar: New(w.opts), t: t, store: w.store, token: w.token}
	stopped := first.run(first.Follow)
	die := first.tend()
	w.says("web-heard", "healthy", "")
	w.says("web-silent", "healthy", "")
	first.says("web-both", "healthy", "")
	revision := w.store.Revision()
	until := func(name string) {
		t.Helper()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			for _, name := range []string{"web-heard", "web-both"} {
				if w.says(name, "healthy", ""); w.state(name) != "healthy" {
					t.Fatalf("%s, which is heard, is %s", name, w.state(name))
				}
			}
			if got := w.state(name); got != "stale" {
				return fmt.Errorf("%s, which is silent, is %s", name, got)
			}
			return nil
		})
	}
	until("web-silent")
	w.says("web-late", "healthy", "")
	die()
	stopped()
	w.tend()
	until("web-late")
	if got := w.store.Revision(); got != revision+3 {
		t.Errorf("%d changes, want those of two that fell silent and one that came", got-revision)
	}
}

// TestNobodyIsSilentAtFirst: after a start, or a restore, which has no leases, a whole lease passes first, and who is heard in
// it is never marked.
func TestNobodyIsSilentAtFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4*time.Second)
	server := func(name string) *weir.Object {
		return &weir.Object{
			Kind: "Server", Metadata: weir.Metadata{Name: name, Role: "web", ManagedBy: "registration"},
			Spec: &weir.Server{Address: home, Zone: "az1", Registration: &weir.Registration{State: "healthy", Since: w.now, By: "registration/web"}},
		}
	}
	w.put(server("web-restored"), server("web-lost"))
	revision := w.store.Revision()
	begun := time.Now()
	w.tend()
	w.says("web-restored", "healthy", "")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		w.says("web-restored", "healthy", "")
		if got := w.state("web-lost"); got != "stale" {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
	if took := time.Since(begun); took < 4*time.Second {
		t.Errorf("marked after %s, before a lease had passed", took)
	}
	if w.state("web-restored") != "healthy" || w.store.Revision() != revision+1 {
		t.Errorf("the one that is heard is %s, at revision %d of %d", w.state("web-restored"), w.store.Revision(), revision+1)
	}
}

// TestManyFallSilentAtOnce: they are few changes, and what is nobody's any more holds up no other.
func TestManyFallSilentAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2*time.Second)
	const many = 2000
	var list []*weir.Object
	for i := range many {
		list = append(list, &weir.Object{
			Kind: "Server", Metadata: weir.Metadata{Name: fmt.Sprintf("web-%d", i), Role: "web", ManagedBy: "registration"},
			Spec: &weir.Server{Address: home, Zone: "az1", Registration: &weir.Registration{State: "healthy", Since: w.now, By: "registration/web"}},
		})
	}
	w.put(list...)
	revision := w.store.Revision()
	w.tend()
	w.becomes("web-1999", "stale")
	w.becomes("web-0", "stale")
	if n := w.store.Revision() - revision; n > 3 {
		t.Errorf("%d changes", n)
	}
}

// TestOneHoldsUpNoOther: of many writes one can't be made.
func TestOneHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2*time.Second)
	for i := range 5 {
		w.says(fmt.Sprintf("web-%d", i), "healthy", "")
	}
	l := w.leader(time.Now())
	var servers []*weir.Object
	for o := range w.store.View().All("Server") {
		servers = append(servers, o)
	}
	w.says("web-2", "withdrawn", "check app: 500") // after the leader has looked
	if !l.mark(t.Context(), servers) {
		t.Error("it is to be tried again")
	}
	for i := range 5 {
		want := "stale"
		if i == 2 {
			want = "withdrawn"
		}
		if got := w.state(fmt.Sprintf("web-%d", i)); got != want {
			t.Errorf("web-%d is %s, want %s", i, got, want)
		}
	}
}

// TestStoodStill: when the control plane was stopped, it was deaf, and says of nobody that they were silent.
func TestStoodStill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2*time.Second)
	w.put(&weir.Object{
		Kind: "Server", Metadata: weir.Metadata{Name: "web-1", Role: "web", ManagedBy: "registration"},
		Spec: &weir.Server{Address: home, Zone: "az1", Registration: &weir.Registration{State: "healthy", Since: w.now, By: "registration/web"}},
	})
	<-w.leases.Ready()
	now := time.Now()
	l := w.leader(now.Add(-time.Minute))
	for range 2 {
		l.tend(t.Context(), now)
		now = now.Add(time.Second)
	}
	if got := w.state("web-1"); got != "healthy" {
		t.Fatalf("right after it stood still: %s", got)
	}
	for range 4 {
		l.tend(t.Context(), now)
		now = now.Add(time.Second)
	}
	if got := w.state("web-1"); got != "stale" {
		t.Errorf("a lease later: %s", got)
	}
}

// TestTheSameAgainIsCheap: it writes nothing, and asks nobody to read it.
func TestTheSameAgainIsCheap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30*time.Second)
	text := []byte(`{"state": "healthy"}`)
	reads := 0
	read := func() (*weir.Announcement, error) {
		reads++
		return &weir.Announcement{State: "healthy"}, nil
	}
	for range 5 {
		if _, err := w.Register(t.Context(), w.who("web-1"), text, read); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 1 || w.store.Revision() != 2 {
		t.Errorf("read %d times, revision %d", reads, w.store.Revision())
	}
	// A person's change of it is written over with the next word, as they are told.
	o := w.store.View().Get(weir.Ref{Kind: "Server", Name: "web-1"}).Clone()
	o.Spec.(*weir.Server).Weight = new(7)
	w.put(o)
	if _, err := w.Register(t.Context(), w.who("web-1"), text, read); err != nil || reads != 2 {
		t.Errorf("read %d times, %v", reads, err)
	}
	if got := *weir.Find[weir.Server](w.store.View(), "Server", "web-1").Weight; got != 100 {
		t.Errorf("weight %d", got)
	}
	if h := w.heard["web-1"]; h.sum != sha256.Sum256(text) {
		t.Error("what was said is not kept")
	}
}
