// Package store keeps what people want: every object, every change to it with its author and reason, sealed
// secrets, and a stream of changes for those who follow. It is the one place that knows etcd.
//
// A revision is the number of a change: 1, 2, 3 and so on. Whoever writes goes through Apply; a change is there
// wholly or not at all, and once Apply has returned it stays, whatever is killed.
package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
	"weir/internal/secrets"
)

// Options say where a store is and what it obeys.
type Options struct {
	// Dir is the data directory of an embedded etcd; it is made when absent, with mode 0700.
	Dir string
	// Cluster, when set, is an etcd outside to use instead.
	Cluster *Cluster
	// Peers, when set, lets the embedded etcd have members on other machines.
	Peers *Peers
	// Logger takes what is worth telling; nil tells nothing.
	Logger *slog.Logger
	// Clock dates the changes and decides what is old; nil is the system's.
	Clock func() time.Time
	// Keyring seals secrets; without one, objects with secrets are refused.
	Keyring *secrets.Keyring
	// Retention says how long changes are kept.
	Retention Retention
	// Check looks at the whole before a change is accepted: what it reports refuses the change. refs are the
	// objects that differ. It must not change or copy the sets, and is called for dry runs too, at any time.
	Check func(before, after *weir.Set, refs []weir.Ref) []weir.Problem
	// Prepare may complete or refuse an object before its secret is sealed, after its own rules were checked.
	// It is called for several objects at once.
	Prepare func(*weir.Object) []weir.Problem
	// QuotaBytes is the largest database; 8 GiB when 0. Well before that, old changes go earlier than asked.
	QuotaBytes int64
	// AskEvery is how often the store makes sure that etcd answers; 3 s when 0.
	AskEvery time.Duration

	// restoring is the marker of the restore that opens the store.
	restoring string
}

// Retention says how long changes are kept: all for Age, and the last Least of them however old.
type Retention struct {
	Age   time.Duration
	Least int64
}

func (o *Options) fill() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Retention.Age == 0 {
		o.Retention.Age = 90 * 24 * time.Hour
	}
	o.Retention.Least = max(o.Retention.Least, 1000)
	if o.QuotaBytes == 0 {
		o.QuotaBytes = 8 << 30
	}
	if o.AskEvery == 0 {
		o.AskEvery = askEvery
	}
}

// Store is an open store. Its methods may be used by many goroutines.
type Store struct {
	id       string // of this server among those that share the store
	opts     Options
	equals   equals
	client   *clientv3.Client
	embedded *embedded // nil on an etcd of somebody else's

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	loops  sync.WaitGroup

	closing sync.Once
	closed  error // what Close says

	queue chan *request
	ended chan struct{} // closed when nobody answers requests any more
	lag   chan struct{} // wakes the materializer

	sealing   atomic.Pointer[sealing] // nil before it was read
	sealingMu sync.Mutex              // held to change it

	unplaced unplaced
	signers  signers
	silence  silence

	mu   sync.Mutex
	live *weir.Set // the present; copied under mu only, never changed
	ring ring
	wake chan struct{} // closed and replaced whenever live moves
	mat  int64         // the last revision known to be materialized

	breakWatch context.CancelFunc // ends the present watch on etcd, as a lost connection would
}

// Open starts the embedded etcd in the data directory, or reaches the cluster named, reads everything into memory
// and is ready when it returns. A directory that another process has open is refused.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.fill()
	if opts.Cluster != nil {
		return openCluster(ctx, opts)
	}
	e, err := startEmbedded(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("open store in %s: %w", opts.Dir, err)
	}
	var s *Store
	if err = e.bury(ctx); err == nil {
		s, err = open(ctx, e.client, e, opts)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store in %s: %w", opts.Dir, err), e.stop())
	}
	return s, nil
}

func openCluster(ctx context.Context, opts Options) (*Store, error) {
	at := strings.Join(opts.Cluster.Endpoints, ", ")
	client, err := connect(ctx, *opts.Cluster, opts)
	if err != nil {
		return nil, fmt.Errorf("open store at %s: %w", at, err)
	}
	s, err := open(ctx, client, nil, opts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store at %s: %w", at, err), ignoreCancelled(client.Close()))
	}
	return s, nil
}

// open makes a store on a client's etcd, which may have other stores on it.
func open(ctx context.Context, client *clientv3.Client, e *embedded, opts Options) (*Store, error) {
	opts.fill()
	s := &Store{
		id: rand.Text(), opts: opts, client: client, embedded: e,
		queue: make(chan *request, 256), ended: make(chan struct{}), lag: make(chan struct{}, 1), wake: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	next, err := s.load(ctx)
	if err == nil {
		err = s.openKeyring(ctx)
	}
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.silence.end()
	s.loops.Go(s.askLoop)
	s.loops.Go(func() { s.follow(next) })
	s.loops.Go(s.commitLoop)
	s.loops.Go(s.materializeLoop)
	s.loops.Go(s.maintainLoop)
	if opts.Keyring != nil {
		s.loops.Go(s.followSealing)
	}
	if e != nil && opts.Peers != nil {
		s.loops.Go(s.peerLoop)
	}
	return s, nil
}

// Close ends the store's work and its etcd; what Apply has accepted is kept. It takes at most about 20 s. Another Close says
// what the first one did.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closed = s.end() })
	return s.closed
}

func (s *Store) end() error {
	s.cancel()
	s.loops.Wait()
	if s.embedded == nil {
		if s.opts.Cluster == nil {
			return nil // the client is somebody else's
		}
		if err := ignoreCancelled(s.client.Close()); err != nil {
			return fmt.Errorf("close store: %w", err)
		}
		return nil
	}
	if err := s.embedded.stop(); err != nil {
		return fmt.Errorf("close store in %s: %w", s.opts.Dir, err)
	}
	return nil
}

// Lost is closed when the store has ended by itself and can't go on: its member was removed from those of the
// store.
func (s *Store) Lost() <-chan struct{} {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.etcd.Server.StopNotify()
}

// ErrRemoved says what has become of a store that is Lost, and what to do.
func (s *Store) ErrRemoved() error { return errRemoved }

// View gives all objects as they are now. The set is the caller's: it may be read, copied and changed, and
// later changes of the store don't show in it. The objects in it are shared and must not be changed.
func (s *Store) View() *weir.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live.Copy()
}

// Revision is that of the last change in View.
func (s *Store) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live.Revision
}

// WaitFor returns once View holds the change of a revision, which another server on the same etcd may have
// accepted.
func (s *Store) WaitFor(ctx context.Context, revision int64) error {
	for {
		s.mu.Lock()
		there, wake := s.live.Revision >= revision, s.wake
		s.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("wait for revision %d: %w", revision, ctx.Err())
		case <-s.ctx.Done():
			return errClosed()
		}
	}
}

// present gives the set that the committer builds on, shared, and what is materialized.
func (s *Store) present() (live *weir.Set, mat int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live, s.mat
}

// fork copies a set that others may be copying too.
func (s *Store) fork(set *weir.Set) *weir.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return set.Copy()
}

func errClosed() error { return weir.Errorf(weir.Unavailable, "the store is closed") }
