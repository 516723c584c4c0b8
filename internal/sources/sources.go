// Package sources keeps the Servers that DiscoverySources find: it watches each place by its driver, lets package
// discovery decide what is believed, and writes that into the store. One server of a store does so at a time.
package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/discovery"
	"weir/internal/store"
)

const (
	// RecordPrefix begins the names of what is kept of sources among the values of the platform, ConfirmPrefix those of
	// what people have confirmed and was not seen yet.
	RecordPrefix  = "discovery/"
	ConfirmPrefix = "discovery-confirmed/"
)

// Kept is what is kept of a source: for whoever watches it next, and for people.
type Kept struct {
	discovery.Record
	Status weir.SourceStatus `json:"status"`
}

// Options is what a Runner needs.
type Options struct {
	Store *store.Store
	Reach Reach
	Clock func() time.Time
	Log   *slog.Logger
	// Server is what this one is called.
	Server string
}

// Runner watches all sources.
type Runner struct {
	opts Options

	mu       sync.Mutex
	watchers map[string]*watcher
	kept     map[string]*value
	work     sync.WaitGroup
}

// value is a value of the platform as it was read or written last.
type value struct {
	Kept
	generation int64
}

// New makes a Runner.
func New(o Options) *Runner { return &Runner{opts: o} }

// Run watches until ctx ends, which it does not take for an error.
func (r *Runner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { cancel(); r.work.Wait() }()
	if err := r.load(ctx); err != nil {
		return unlessOver(ctx, err)
	}
	from := r.opts.Store.Revision()
	r.reconcile(ctx)
	go r.opts.Store.FollowPlatforms(ctx, ConfirmPrefix, r.confirmed)
	for ev, err := range r.opts.Store.Watch(ctx, from) {
		if err != nil {
			return unlessOver(ctx, fmt.Errorf("follow the store: %w", err))
		}
		r.follow(ctx, ev.Change)
	}
	return unlessOver(ctx, nil)
}

func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *Runner) load(ctx context.Context) error {
	values, err := r.opts.Store.Platforms(ctx, RecordPrefix)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers, r.kept = map[string]*watcher{}, map[string]*value{}
	for _, v := range values {
		name := strings.TrimPrefix(v.Name, RecordPrefix)
		k := &value{generation: v.Generation}
		if err := json.Unmarshal(v.Value.Bytes(), &k.Kept); err != nil {
			r.opts.Log.Error("what is kept of a source can't be read; it begins anew", "source", name)
			k.Kept = Kept{}
		}
		r.kept[name] = k
	}
	return nil
}

// follow tells the watchers what a change means to them.
func (r *Runner) follow(ctx context.Context, change weir.Change) {
	var names []string
	again, all := false, false
	for i := range change.Objects {
		switch change.Objects[i].Kind {
		case "Server":
			names = append(names, change.Objects[i].Name)
		case "DiscoverySource", "Secret", "Certificate":
			again = true
		case "Zone", "Role":
			all = true
		}
	}
	if again {
		r.reconcile(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, w := range r.watchers {
		switch {
		case all:
			w.inbox.touchAll()
		case len(names) > 0 && change.Author != weir.ManagedByDiscovery+name:
			w.inbox.touch(names)
		}
	}
}

// reconcile has one watcher for each source as it is now.
func (r *Runner) reconcile(ctx context.Context) {
	view := r.opts.Store.View()
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, w := range r.watchers {
		if !there(view, name) {
			w.stop()
			delete(r.watchers, name)
			r.work.Go(func() { <-w.done; r.forget(ctx, name) })
		}
	}
	for o := range view.All("DiscoverySource") {
		name, as := o.Metadata.Name, stamp(view, o)
		before := r.watchers[name]
		if before != nil && before.as == as {
			continue
		}
		w := newWatcher(r, o, as)
		if before != nil {
			before.stop()
		}
		r.watchers[name] = w
		within, stop := context.WithCancel(ctx)
		w.stop = stop
		r.work.Go(func() {
			defer close(w.done)
			if before != nil {
				<-before.done
			}
			w.run(within)
		})
	}
	for name := range r.kept {
		if !there(view, name) {
			r.work.Go(func() { r.forget(ctx, name) })
		}
	}
}

func there(view *weir.Set, source string) bool {
	return view.Get(weir.Ref{Kind: "DiscoverySource", Name: source}) != nil
}

// stamp is another one when a source has to be watched in another way.
func stamp(view *weir.Set, o *weir.Object) string {
	text := fmt.Sprint(o.Revision)
	for _, ref := range o.Spec.References() {
		if other := view.Get(ref.Ref); other != nil && ref.Kind != "Role" {
			text += fmt.Sprintf(" %s %d", ref.Ref, other.Revision)
		}
	}
	return text
}

// forget drops what is kept of a source that is gone.
func (r *Runner) forget(ctx context.Context, name string) {
	r.mu.Lock()
	k := r.kept[name]
	if k == nil || there(r.opts.Store.View(), name) {
		r.mu.Unlock()
		return
	}
	delete(r.kept, name)
	r.mu.Unlock()
	if err := r.opts.Store.SetPlatform(ctx, RecordPrefix+name, nil, k.generation); err != nil && ctx.Err() == nil {
		r.opts.Log.Warn("what is kept of a source that is gone stays for now", "source", name, "error", err)
	}
}

// confirmed hands on what people confirm.
func (r *Runner) confirmed(changed []store.PlatformValue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range changed {
		var c discovery.Confirmation
		w := r.watchers[strings.TrimPrefix(v.Name, ConfirmPrefix)]
		if v.Generation == 0 || w == nil || json.Unmarshal(v.Value.Bytes(), &c) != nil {
			continue
		}
		w.confirm(&c, v.Generation)
	}
}

// keep writes down what is kept of a source.
func (r *Runner) keep(ctx context.Context, name string, k Kept) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keep what is known of the source: %w", err)
	}
	r.mu.Lock()
	known := r.kept[name]
	if known == nil {
		known = &value{}
		r.kept[name] = known
	}
	known.Kept = k
	generation := known.generation
	r.mu.Unlock()
	err = r.opts.Store.SetPlatform(ctx, RecordPrefix+name, raw, generation)
	if weir.KindOf(err) == weir.Stale {
		// Sealed anew meanwhile, or written by who did this before.
		if generation, err = r.generation(ctx, RecordPrefix+name); err == nil {
			err = r.opts.Store.SetPlatform(ctx, RecordPrefix+name, raw, generation)
		}
	}
	if err != nil {
		return fmt.Errorf("keep what is known of the source: %w", err)
	}
	r.mu.Lock()
	known.generation = generation + 1
	r.mu.Unlock()
	return nil
}

func (r *Runner) generation(ctx context.Context, name string) (int64, error) {
	_, generation, err := r.opts.Store.Platform(ctx, name)
	if weir.KindOf(err) == weir.NotFound {
		return 0, nil
	}
	return generation, err
}

// lastKept is what was kept of a source last.
func (r *Runner) lastKept(name string) Kept {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.kept[name]; k != nil {
		return k.Kept
	}
	return Kept{}
}
