package certs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/acme"
	"weir/internal/dns01"
	"weir/internal/secrets"
	"weir/internal/store"
)

const (
	// RecordPrefix begins the names of the records of certificates among the values of the platform, accountPrefix those
	// of what is kept of the issuers' accounts.
	RecordPrefix  = "order/"
	accountPrefix = "issuer/"
	// author is whom changes name that the keeper makes.
	author = "weir"
	// atOnce is how many certificates of an issuer are worked at together, at the most. Most of them wait for load balancers
	// to answer; those of other issuers don't wait for them.
	atOnce = 64
	// sweepPause is how soon after one look at all certificates the next may come.
	sweepPause = 100 * time.Millisecond
	// longestSleep is after how long everything is looked at again, whatever was expected.
	longestSleep = time.Hour
)

// Challenge is an http-01 challenge to be answered by the load balancers that serve its name.
type Challenge struct{ Name, Token, Answer string }

// Answerer has load balancers answer http-01 challenges.
type Answerer interface {
	// Answer has these answered, and no others.
	Answer(ctx context.Context, list []Challenge) error
	// Missing says what is missing until the world gets the answers for these tokens, a phrase for each thing; nothing
	// when all is well.
	Missing(tokens []string) []string
}

// Options is what a Keeper needs.
type Options struct {
	Store *store.Store
	// Answerer is for http-01; Programs for dns-01 by programs, nil when the server has no folder of them.
	Answerer Answerer
	Programs *dns01.Hooks
	Clock    func() time.Time
	Log      *slog.Logger
	// Agent is what the keeper is called at authorities, as weir/1.0.
	Agent string
	// Poll is the pause between two looks at an order when the authority names none, a second when 0; Patience how long
	// load balancers may take to answer, two minutes when 0.
	Poll, Patience time.Duration
}

// Keeper orders, renews and revokes what Certificates ask for. One server of a store runs it at a time (store.Lead); what
// it does it writes down before the next step, so that another goes on where it was lost.
type Keeper struct {
	opts Options

	answers answers

	orders   map[string]weir.Wanted // as of ordersAt; for sweep alone
	ordersAt *weir.Stamp

	mu      sync.Mutex
	records map[string]*kept
	busy    map[string]bool
	hands   map[string]int // how many of busy are an issuer's, nobody's being the keeper's own
	issuers map[string]*issuer
	refused map[string]time.Time // Certificates that can't be made or deleted, until when
	// own are failures to renew authorities' own certificates, accounts the issuers of which something is kept.
	own      map[string]acme.Retries
	accounts map[string]bool
	wake     chan struct{}
	work     sync.WaitGroup
}

// kept is a record as the store has it.
type kept struct {
	Record
	value
}

// value is one of the platform as it was written or read last.
type value struct {
	raw        []byte
	generation int64
}

// write puts a value of the platform in the place of the one that was there last. One that was only sealed anew
// meanwhile, under another key, is another generation of the same.
func (k *Keeper) write(ctx context.Context, name string, was value, raw []byte) (value, error) {
	err := k.opts.Store.SetPlatform(ctx, name, raw, was.generation)
	if weir.KindOf(err) == weir.Stale {
		now, generation, rerr := k.opts.Store.Platform(ctx, name)
		if rerr != nil || !bytes.Equal(now.Bytes(), was.raw) {
			return was, err
		}
		was.generation = generation
		err = k.opts.Store.SetPlatform(ctx, name, raw, generation)
	}
	if err != nil || raw == nil {
		return value{}, err
	}
	return value{raw, was.generation + 1}, nil
}

// New makes a Keeper.
func New(o Options) *Keeper {
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	return &Keeper{opts: o, answers: answers{to: o.Answerer}, wake: make(chan struct{}, 1)}
}

// Run keeps certificates until ctx ends, which it does not take for an error.
func (k *Keeper) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { cancel(); k.work.Wait() }()
	if err := k.load(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	followed := make(chan error, 1)
	since := k.opts.Store.Revision() // before the first look: what changes after that is not to be missed
	go func() { followed <- k.follow(ctx, since) }()
	for {
		next := k.sweep(ctx)
		sleep := min(longestSleep, max(sweepPause, next.Sub(k.opts.Clock())))
		if next.IsZero() {
			sleep = longestSleep
		}
		timer := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case err := <-followed:
			timer.Stop()
			return err
		case <-k.wake:
			// What happens together is looked at together.
			timer.Reset(sweepPause)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (k *Keeper) load(ctx context.Context) error {
	values, err := k.opts.Store.Platforms(ctx, RecordPrefix)
	if err != nil {
		return err
	}
	accounts, err := k.opts.Store.Platforms(ctx, accountPrefix)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.own, k.accounts = map[string]acme.Retries{}, map[string]bool{}
	for _, v := range accounts {
		k.accounts[strings.TrimPrefix(v.Name, accountPrefix)] = true
	}
	k.records, k.busy, k.issuers = map[string]*kept{}, map[string]bool{}, map[string]*issuer{}
	k.refused, k.hands = map[string]time.Time{}, map[string]int{}
	var answered []Challenge
	for _, v := range values {
		name := strings.TrimPrefix(v.Name, RecordPrefix)
		r := &kept{value: value{v.Value.Bytes(), v.Generation}}
		if err := json.Unmarshal(v.Value.Bytes(), &r.Record); err != nil {
			k.opts.Log.Error("what is kept of a certificate's order can't be read; it begins anew", "certificate", name)
			r.Record = Record{}
		}
		k.records[name] = r
		if r.Order != nil && r.Order.Challenge == acme.HTTP01 && !r.Order.Finished() {
			answered = append(answered, answersOf(*r.Order)...)
		}
	}
	k.answers.edit(func([]Challenge) []Challenge { return answered })
	return k.answers.tell(ctx)
}

// follow wakes the keeper when something has changed after a revision that may matter to it.
func (k *Keeper) follow(ctx context.Context, since int64) error {
	for ev, err := range k.opts.Store.Watch(ctx, since) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the store: %w", err)
		}
		for _, o := range ev.Change.Objects {
			switch o.Kind {
			case "Certificate", "Issuer", "Secret", "Site":
				k.look()
			}
		}
	}
	return nil
}

// look has everything looked at again.
func (k *Keeper) look() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// sweep begins what is due and gives the moment at which something else is; zero when nothing is expected.
func (k *Keeper) sweep(ctx context.Context) (next time.Time) {
	set, now := k.opts.Store.View(), k.opts.Clock()
	if err := k.answers.tell(ctx); err != nil && ctx.Err() == nil {
		k.opts.Log.Warn("load balancers are not told yet which challenges are over", "error", err)
		next = now.Add(time.Second)
	}
	care := Tend(set, k.ordersOf(set), func(name string) time.Time { return k.record(name).Unwanted }, now)
	if !k.tend(ctx, &care, now) {
		return now.Add(sweepPause)
	}
	if next.IsZero() || !care.Next.IsZero() && care.Next.Before(next) {
		next = care.Next
	}
	if at := k.authorities(ctx, set, now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
		next = at
	}
	k.forgetIssuers(ctx, set)
	wanted, left := map[string]bool{}, false
	for o := range set.All("Certificate") {
		name, spec := o.Metadata.Name, o.Spec.(*weir.Certificate)
		if spec.Issuer == "" {
			continue
		}
		wanted[name] = true
		if _, unwanted := slices.BinarySearch(care.Note, name); unwanted {
			continue // nothing is ordered that nobody wants
		}
		if k.full(spec.Issuer) {
			left = true
			continue
		}
		about := weir.Find[weir.Issuer](set, "Issuer", spec.Issuer)
		task, at, _ := Due(name, spec, about, k.forgiving(set, name, about), now)
		switch {
		case task == Nothing:
		case at.After(now):
			if next.IsZero() || at.Before(next) {
				next = at
			}
		default:
			k.begin(ctx, spec.Issuer, name, k.step)
		}
	}
	k.mu.Lock()
	var gone []string
	for name := range k.records {
		if !wanted[name] && !k.busy[name] {
			gone = append(gone, name)
		}
	}
	k.mu.Unlock()
	for _, name := range gone {
		left = !k.begin(ctx, nobody, name, k.drop) || left
	}
	if left {
		return now.Add(sweepPause)
	}
	return next
}

// record gives a copy of what is known of a certificate.
func (k *Keeper) record(name string) *Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.records[name]; r != nil {
		copied := r.Record
		return &copied
	}
	return &Record{}
}

// forgiving is record as of now: failures of before a secret of the issuer's was another one say nothing.
func (k *Keeper) forgiving(set *weir.Set, name string, about *weir.Issuer) *Record {
	r := k.record(name)
	if about == nil {
		return r
	}
	used := uses(set, about)
	if r.Used != used {
		r.Retries = acme.Retries{}
	}
	r.Used = used
	return r
}

// nobody is whose work is that for no issuer.
const nobody = ""

// full says that as many certificates of an issuer are worked at as may be.
func (k *Keeper) full(issuer string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hands[issuer] >= atOnce
}

// begin works at a certificate of an issuer, unless somebody is at it; false when too many of the issuer's are worked at.
func (k *Keeper) begin(ctx context.Context, issuer, name string, work func(ctx context.Context, name string) error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[name] {
		return true
	}
	if k.hands[issuer] >= atOnce {
		return false
	}
	k.busy[name] = true
	k.hands[issuer]++
	k.work.Go(func() {
		err := work(ctx, name)
		if err != nil && ctx.Err() == nil {
			k.opts.Log.Warn("certificate", "certificate", name, "error", err)
			k.pause(ctx, time.Second) // the store, mostly
		}
		k.mu.Lock()
		delete(k.busy, name)
		k.hands[issuer]--
		k.mu.Unlock()
		k.look()
	})
	return true
}

func (k *Keeper) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// save writes a record down; nobody else does.
func (k *Keeper) save(ctx context.Context, name string, r *Record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep what is known of the certificate's order: %w", err)
	}
	k.mu.Lock()
	var was value
	if known := k.records[name]; known != nil {
		was = known.value
	}
	k.mu.Unlock()
	now, err := k.write(ctx, RecordPrefix+name, was, raw)
	if err != nil {
		return fmt.Errorf("keep what is known of the certificate's order: %w", err)
	}
	k.mu.Lock()
	k.records[name] = &kept{*r, now}
	k.mu.Unlock()
	return nil
}

// drop forgets a certificate that is gone, and gives up what was ordered for it.
func (k *Keeper) drop(ctx context.Context, name string) error {
	r := k.record(name)
	if r.Order != nil {
		if err := k.abandon(ctx, name, r, "nobody wants the certificate any more"); err != nil {
			return err
		}
	}
	k.mu.Lock()
	was := k.records[name].value
	k.mu.Unlock()
	if _, err := k.write(ctx, RecordPrefix+name, was, nil); err != nil {
		return err
	}
	k.mu.Lock()
	delete(k.records, name)
	k.mu.Unlock()
	return nil
}

// secret opens what an object keeps sealed.
func (k *Keeper) secret(ctx context.Context, kind, name string, ref *weir.SealedRef) (secrets.Secret, error) {
	if ref == nil {
		return secrets.Secret{}, fmt.Errorf("%s/%s has nothing sealed", kind, name)
	}
	return k.opts.Store.Secret(ctx, weir.Ref{Kind: kind, Name: name}, ref.Generation)
}
