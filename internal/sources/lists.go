package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/discovery/httpget"
	"weir/internal/store"
)

const (
	// ListPrefix begins the names of what is kept of the sources of AccessLists among the values of the platform.
	ListPrefix = "lists/"
	// ListAuthor writes what was fetched.
	ListAuthor = "list-source"

	maxList      = 16 << 20
	fetchWithin  = time.Minute
	fetchesAtOne = 4
	lookEvery    = time.Second
	// fewerFor is how long a place must have less than half of what it had for that to be believed.
	fewerFor = 6 * time.Hour
)

// Lists fetches the entries of AccessLists that have a source.
type Lists struct {
	opts  Options
	turns chan struct{}
	every time.Duration // between two looks at what is due

	mu    sync.Mutex
	known map[string]*fetched
	work  sync.WaitGroup
}

// fetched is what is known of one list's source.
type fetched struct {
	as         string // the source that it was asked as
	due        time.Time
	busy       bool
	status     weir.ListStatus
	generation int64
}

// NewLists makes one.
func NewLists(o Options) *Lists {
	return &Lists{opts: o, turns: make(chan struct{}, fetchesAtOne), every: lookEvery}
}

// Run fetches until ctx ends, which it does not take for an error.
func (l *Lists) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { cancel(); l.work.Wait() }()
	values, err := l.opts.Store.Platforms(ctx, ListPrefix)
	if err != nil {
		return unlessOver(ctx, err)
	}
	l.known = map[string]*fetched{}
	for _, v := range values {
		f := &fetched{generation: v.Generation}
		if json.Unmarshal(v.Value.Bytes(), &f.status) != nil {
			f.status = weir.ListStatus{}
		}
		l.known[strings.TrimPrefix(v.Name, ListPrefix)] = f
	}
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		l.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look begins what is due, and forgets what is gone.
func (l *Lists) look(ctx context.Context) {
	view, now := l.opts.Store.View(), l.opts.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	there := map[string]bool{}
	for o := range view.All("AccessList") {
		s := o.Spec.(*weir.AccessList).Source
		if s == nil {
			continue
		}
		name := o.Metadata.Name
		there[name] = true
		f := l.known[name]
		if f == nil {
			f = &fetched{}
			l.known[name] = f
		}
		as := fmt.Sprint(*s, revisionOf(view, s.Authority))
		if f.as != as {
			// A new leader goes on where the last one was.
			if f.as == "" && f.status.URL == s.URL && !f.status.TriedAt.IsZero() {
				f.due = f.status.TriedAt.Add(s.Interval.D())
			} else {
				f.due = now
			}
			f.as = as
		}
		if f.busy || now.Before(f.due) {
			continue
		}
		f.busy = true
		l.work.Go(func() { l.fetch(ctx, o, f) })
	}
	for name, f := range l.known {
		if !there[name] && !f.busy {
			delete(l.known, name)
			l.work.Go(func() { l.forget(ctx, name, f.generation) })
		}
	}
}

func revisionOf(view *weir.Set, certificate string) int64 {
	if o := view.Get(weir.Ref{Kind: "Certificate", Name: certificate}); o != nil {
		return o.Revision
	}
	return 0
}

func (l *Lists) forget(ctx context.Context, name string, generation int64) {
	if generation == 0 {
		return
	}
	if err := l.opts.Store.SetPlatform(ctx, ListPrefix+name, nil, generation); err != nil && ctx.Err() == nil {
		l.opts.Log.Warn("what is kept of a list's source that is gone stays for now", "list", name, "error", err)
	}
}

// fetch asks one place and writes what it has, and what became of it.
func (l *Lists) fetch(ctx context.Context, o *weir.Object, f *fetched) {
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-ctx.Done():
		return
	}
	spec := o.Spec.(*weir.AccessList)
	status := f.status
	if status.URL != spec.Source.URL {
		status = weir.ListStatus{URL: spec.Source.URL}
	}
	got, err := l.ask(ctx, spec)
	now := l.opts.Clock()
	if err == nil {
		err = l.take(ctx, o, got, &status, now)
	}
	if ctx.Err() != nil {
		return
	}
	status.TriedAt = now.UTC()
	switch {
	case err == nil:
		status.Error, status.FailedAt = "", time.Time{}
	default:
		if status.Error == "" {
			status.FailedAt = now.UTC()
		}
		status.Error = err.Error()
		l.opts.Log.Warn("fetch the entries of an AccessList", "list", o.Metadata.Name, "error", err)
	}
	l.keep(ctx, o.Metadata.Name, f, status)
	l.mu.Lock()
	defer l.mu.Unlock()
	f.busy, f.due = false, now.Add(spec.Source.Interval.D())
}

// entries are those of one kind.
type entries struct {
	networks []netip.Prefix
	strings  []string
}

func (e *entries) count() int { return len(e.networks) + len(e.strings) }

// ask gives what the place has.
func (l *Lists) ask(ctx context.Context, spec *weir.AccessList) (*entries, error) {
	const done = "fetch the list"
	u, err := httpget.CheckURL(spec.Source.URL)
	if err != nil {
		return nil, err
	}
	authority := ""
	if name := spec.Source.Authority; name != "" {
		c := weir.Find[weir.Certificate](l.opts.Store.View(), "Certificate", name)
		if c == nil {
			return nil, fmt.Errorf("its Certificate/%s is not there", name)
		}
		authority = c.Chain.String()
	}
	secure, err := trusting(authority)
	if err != nil {
		return nil, err
	}
	client := httpget.New(l.opts.Reach.Destinations.Dial, secure)
	defer client.Close()
	answer, err := client.Get(ctx, u, http.Header{"Accept": {"text/plain, */*"}}, fetchWithin)
	switch {
	case err != nil:
		return nil, httpget.Failure(done, err)
	case answer.Status != http.StatusOK:
		return nil, fmt.Errorf("%s: HTTP %d", done, answer.Status)
	case len(answer.Body) > maxList:
		return nil, fmt.Errorf("%s: the answer has more than %d MiB", done, maxList>>20)
	}
	return readEntries(spec.Source, answer.Body)
}

func readEntries(s *weir.ListSource, text []byte) (*entries, error) {
	var e entries
	var problems []weir.Problem
	if s.Holds == weir.HoldsStrings {
		e.strings, problems = weir.ReadStrings("", text)
	} else {
		e.networks, problems = weir.ReadNetworks("", text)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("read the list: line %d: %s", problems[0].Line, httpget.OneLine(problems[0].Message, 200))
	}
	if e.count() == 0 {
		return nil, errors.New("read the list: it holds no entry, which is not believed")
	}
	return &e, nil
}

// take writes entries unless they are too few to be believed.
func (l *Lists) take(ctx context.Context, o *weir.Object, got *entries, status *weir.ListStatus, now time.Time) error {
	if had := heldBy(o.Spec.(*weir.AccessList)); got.count() < (had+1)/2 && !status.FetchedAt.IsZero() {
		if status.FewerSince.IsZero() {
			status.FewerSince, status.FewerUntil = now.UTC(), now.Add(fewerFor).UTC()
		}
		status.Fewer = got.count()
		if now.Before(status.FewerUntil) {
			return nil
		}
	}
	res, err := l.opts.Store.Apply(ctx, store.Request{
		Author: ListAuthor, Reason: fmt.Sprintf("fetched %d entries", got.count()), Registers: true,
		Expand: func(base *weir.Set) ([]weir.Write, error) {
			is := base.Get(o.Ref())
			if is == nil {
				return nil, nil
			}
			spec := is.Spec.(*weir.AccessList)
			if spec.Source == nil || *spec.Source != *o.Spec.(*weir.AccessList).Source {
				return nil, nil // it is asked anew
			}
			put := *is
			put.Spec, _ = spec.Fetched(&weir.AccessList{Source: spec.Source, Networks: got.networks, Strings: &weir.ListStrings{Entries: got.strings}})
			return []weir.Write{{Put: &put}}, nil
		},
	})
	var refused *weir.Error
	switch {
	case errors.As(err, &refused) && len(refused.Problems) > 0:
		return fmt.Errorf("write the list: %s: %s", refused.Problems[0].Path, refused.Problems[0].Message)
	case err != nil:
		return fmt.Errorf("write the list: %w", err)
	}
	if after := weir.Find[weir.AccessList](res.After, "AccessList", o.Metadata.Name); after != nil {
		status.Entries = heldBy(after)
	}
	status.FetchedAt, status.Fewer, status.FewerSince, status.FewerUntil = now.UTC(), 0, time.Time{}, time.Time{}
	return nil
}

// heldBy counts the entries of the kind that a list's source holds.
func heldBy(l *weir.AccessList) int {
	switch {
	case l.Source == nil:
		return 0
	case l.Source.Holds == weir.HoldsNetworks:
		return len(l.Networks)
	case l.Strings != nil:
		return len(l.Strings.Entries)
	}
	return 0
}

// keep writes down what is so of a source, for people and for who fetches it next.
func (l *Lists) keep(ctx context.Context, name string, f *fetched, status weir.ListStatus) {
	raw, err := json.Marshal(status)
	if err == nil {
		err = l.opts.Store.SetPlatform(ctx, ListPrefix+name, raw, f.generation)
	}
	if weir.KindOf(err) == weir.Stale { // sealed anew meanwhile, or written by who did this before
		var generation int64
		if _, generation, err = l.opts.Store.Platform(ctx, ListPrefix+name); err == nil || weir.KindOf(err) == weir.NotFound {
			f.generation = generation
			err = l.opts.Store.SetPlatform(ctx, ListPrefix+name, raw, generation)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.status = status
	if err != nil {
		if ctx.Err() == nil {
			l.opts.Log.Warn("what is known of a list's source is not kept", "list", name, "error", err)
		}
		return
	}
	f.generation++
}
