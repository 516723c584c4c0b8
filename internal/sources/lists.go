package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/discovery/httpget"
	"weir/internal/store"
)

const (
	// ListPrefix begins the names of what is kept of the sources of AccessLists and Maps among the values of the platform.
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

// mapPrefix stands behind it for Maps; no name of an AccessList holds a slash.
const mapPrefix = "map/"

func listRecord(ref weir.Ref) string {
	if ref.Kind == "Map" {
		return ListPrefix + mapPrefix + ref.Name
	}
	return ListPrefix + ref.Name
}

// ListOf gives the object whose source the value of that name is kept of.
func ListOf(record string) weir.Ref {
	name := strings.TrimPrefix(record, ListPrefix)
	if of, ok := strings.CutPrefix(name, mapPrefix); ok {
		return weir.Ref{Kind: "Map", Name: of}
	}
	return weir.Ref{Kind: "AccessList", Name: name}
}

// Lists fetches the entries of AccessLists and Maps that have a source.
type Lists struct {
	opts  Options
	turns chan struct{}
	every time.Duration // between two looks at what is due

	mu    sync.Mutex
	known map[weir.Ref]*fetched
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
	l.known = map[weir.Ref]*fetched{}
	for _, v := range values {
		f := &fetched{generation: v.Generation}
		if json.Unmarshal(v.Value.Bytes(), &f.status) != nil {
			f.status = weir.ListStatus{}
		}
		l.known[ListOf(v.Name)] = f
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
	there := map[weir.Ref]bool{}
	for _, kind := range []string{"AccessList", "Map"} {
		for o := range view.All(kind) {
			if s := o.Spec.(weir.Sourced).From(); s != nil {
				there[o.Ref()] = true
				l.due(ctx, view, o, s, now)
			}
		}
	}
	for ref, f := range l.known {
		if !there[ref] && !f.busy {
			delete(l.known, ref)
			l.work.Go(func() { l.forget(ctx, ref, f.generation) })
		}
	}
}

// due begins to fetch one list if it is time; l.mu is held.
func (l *Lists) due(ctx context.Context, view *weir.Set, o *weir.Object, s *weir.ListSource, now time.Time) {
	f := l.known[o.Ref()]
	if f == nil {
		f = &fetched{}
		l.known[o.Ref()] = f
	}
	as := fmt.Sprint(*s, revisionOf(view, s.Authority))
	if m, ok := o.Spec.(*weir.Map); ok {
		as += fmt.Sprint(m.Match == "regex") // other keys are read then
	}
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
		return
	}
	f.busy = true
	l.work.Go(func() { l.fetch(ctx, o, f) })
}

func revisionOf(view *weir.Set, certificate string) int64 {
	if o := view.Get(weir.Ref{Kind: "Certificate", Name: certificate}); o != nil {
		return o.Revision
	}
	return 0
}

func (l *Lists) forget(ctx context.Context, ref weir.Ref, generation int64) {
	if generation == 0 {
		return
	}
	if err := l.opts.Store.SetPlatform(ctx, listRecord(ref), nil, generation); err != nil && ctx.Err() == nil {
		l.opts.Log.Warn("what is kept of a list's source that is gone stays for now", "list", ref.String(), "error", err)
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
	spec := o.Spec.(weir.Sourced)
	status := f.status
	if source := spec.From(); status.URL != source.URL {
		status = weir.ListStatus{URL: source.URL}
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
		l.opts.Log.Warn("fetch the entries of a list", "list", o.Ref().String(), "error", err)
	}
	l.keep(ctx, o.Ref(), f, status)
	l.mu.Lock()
	defer l.mu.Unlock()
	f.busy, f.due = false, now.Add(spec.From().Interval.D())
}

// ask gives what the place has.
func (l *Lists) ask(ctx context.Context, spec weir.Sourced) (weir.Sourced, error) {
	const done = "fetch the list"
	u, err := httpget.CheckURL(spec.From().URL)
	if err != nil {
		return nil, err
	}
	authority := ""
	if name := spec.From().Authority; name != "" {
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
	return readEntries(spec, answer.Body)
}

func readEntries(spec weir.Sourced, text []byte) (weir.Sourced, error) {
	got, problems := spec.Read(text)
	if len(problems) > 0 {
		return nil, fmt.Errorf("read the list: line %d: %s", problems[0].Line, httpget.OneLine(problems[0].Message, 200))
	}
	if got.Held() == 0 {
		return nil, errors.New("read the list: it holds no entry, which is not believed")
	}
	return got, nil
}

// take writes entries unless they are too few to be believed.
func (l *Lists) take(ctx context.Context, o *weir.Object, got weir.Sourced, status *weir.ListStatus, now time.Time) error {
	if had := o.Spec.(weir.Sourced).Held(); got.Held() < (had+1)/2 && !status.FetchedAt.IsZero() {
		if status.FewerSince.IsZero() {
			status.FewerSince, status.FewerUntil = now.UTC(), now.Add(fewerFor).UTC()
		}
		status.Fewer = got.Held()
		if now.Before(status.FewerUntil) {
			return nil
		}
	}
	res, err := l.opts.Store.Apply(ctx, store.Request{
		Author: ListAuthor, Reason: fmt.Sprintf("fetched %d entries", got.Held()), Registers: true,
		Expand: func(base *weir.Set) ([]weir.Write, error) {
			is := base.Get(o.Ref())
			if is == nil {
				return nil, nil
			}
			spec := is.Spec.(weir.Sourced)
			now, ok := spec.Fetched(got)
			if !ok || *spec.From() != *got.From() {
				return nil, nil // it is asked anew
			}
			put := *is
			put.Spec = now
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
	if after := res.After.Get(o.Ref()); after != nil {
		status.Entries = after.Spec.(weir.Sourced).Held()
	}
	status.FetchedAt, status.Fewer, status.FewerSince, status.FewerUntil = now.UTC(), 0, time.Time{}, time.Time{}
	return nil
}

// keep writes down what is so of a source, for people and for who fetches it next.
func (l *Lists) keep(ctx context.Context, ref weir.Ref, f *fetched, status weir.ListStatus) {
	raw, err := json.Marshal(status)
	if err == nil {
		err = l.opts.Store.SetPlatform(ctx, listRecord(ref), raw, f.generation)
	}
	if weir.KindOf(err) == weir.Stale { // sealed anew meanwhile, or written by who did this before
		var generation int64
		if _, generation, err = l.opts.Store.Platform(ctx, listRecord(ref)); err == nil || weir.KindOf(err) == weir.NotFound {
			f.generation = generation
			err = l.opts.Store.SetPlatform(ctx, listRecord(ref), raw, generation)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.status = status
	if err != nil {
		if ctx.Err() == nil {
			l.opts.Log.Warn("what is known of a list's source is not kept", "list", ref.String(), "error", err)
		}
		return
	}
	f.generation++
}
