package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"weir/internal/discovery"
)

const (
	mostPause = time.Minute     // that a server can ask for
	watchFor  = 4 * time.Minute // how long the server is asked to keep a watch open, at least; at most twice that
	// silence is how long a watch may say nothing, after which the server is asked anew: bookmarks come each minute, and
	// a server that sends none loses nothing.
	silence = 150 * time.Second
	// steady is how long a watch must last for its end not to count as a failure.
	steady = 5 * time.Second
	// batch is how many events that wait already are taken before what they come to is told.
	batch = 1000
)

var errLate = fmt.Errorf("no answer within %s", openTimeout)

// watcher is one Watch.
type watcher struct {
	*Source
	sink     discovery.Sink
	teller   *teller
	view     *view
	version  string // from where to watch; empty: all is to be listed first
	failures int    // since it went well
	clock    discovery.Clock
	secret   string // the token of the last request
	gone     int    // moments on end that the server had forgotten
	expired  int    // lists of which a page was forgotten before the next was asked for
}

// Watch tells sink what the cluster has, and each change, until ctx ends.
func (s *Source) Watch(ctx context.Context, sink discovery.Sink) {
	defer s.http.CloseIdleConnections()
	w := &watcher{Source: s, sink: sink, teller: newTeller(s, sink), view: newView()}
	for ctx.Err() == nil {
		var err error
		if w.version == "" {
			err = w.relist(ctx)
		} else {
			err = w.follow(ctx)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if wait, tell := w.failed(err); tell {
			sink.Failed(hide(err, w.secret))
			w.clock.Pause(ctx, wait)
		}
	}
}

// failed notes a failure, and says whether it is to be told and how long to wait then. What happens in good times, such
// as a watch that was open for its time or a moment forgotten while nobody watched, is told when it happens again.
func (w *watcher) failed(err error) (wait time.Duration, tell bool) {
	w.failures++
	p := &problem{}
	errors.As(err, &p)
	if p.anew {
		w.version = ""
	}
	first := w.failures == 1
	if p.gone {
		w.gone++
		first = w.gone == 1
	}
	return max(p.wait, w.clock.Backoff(w.failures)), !p.usual || !first
}

// relist reads all anew and tells what differs.
func (w *watcher) relist(ctx context.Context) error {
	size := w.c.PageSize
	if w.expired > 1 {
		size = 0 // reading pages takes longer than the server remembers
	}
	v, version, err := w.list(ctx, size)
	if p := (*problem)(nil); errors.As(err, &p) && p.gone {
		w.expired++
	}
	if err != nil || ctx.Err() != nil {
		return err
	}
	w.expired = 0
	for _, s := range v.slices {
		w.leftOut(w.view.slices[s.key()], s)
	}
	for _, of := range []*view{w.view, v} {
		for name := range of.parts {
			w.teller.dirty[name] = true
		}
	}
	now := time.Now()
	w.view, w.version = v, version
	w.teller.flush(v, now)
	w.teller.whole()
	return nil
}

// follow watches from where things stand until the stream ends, and says why it did.
func (w *watcher) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q := w.query()
	q.Set("watch", "1")
	q.Set("allowWatchBookmarks", "true")
	q.Set("resourceVersion", w.version)
	q.Set("timeoutSeconds", strconv.Itoa(int((watchFor+rand.N(watchFor))/time.Second)))
	late := time.AfterFunc(openTimeout, func() { cancel(errLate) })
	resp, err := w.get(ctx, "watch", q)
	late.Stop()
	if err != nil {
		return err
	}
	events := make(chan event, 64)
	var reader sync.WaitGroup
	reader.Go(func() { w.read(ctx, resp.Body, events) })
	defer reader.Wait()
	defer resp.Body.Close()
	defer cancel(nil)
	start := time.Now()
	w.teller.again(start)
	w.sink.Alive()
	heard, err := w.take(ctx, events)
	p := (*problem)(nil)
	if time.Since(start) >= steady || heard && errors.As(err, &p) && p.usual && !p.gone {
		w.failures, w.gone = 0, 0
	}
	return err
}

// take takes events until there are no more, and says whether any came and why they ended.
func (w *watcher) take(ctx context.Context, events <-chan event) (heard bool, err error) {
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		held := w.heldTimer()
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-quiet.C:
			err = &problem{text: w.asked("watch"), usual: true, err: fmt.Errorf("%w: the server said nothing for %s", errEnded, silence)}
		case <-held.C:
			w.teller.expired(time.Now())
			w.teller.tell(w.view, time.Now())
		case e, ok := <-events:
			if !ok {
				return heard, context.Cause(ctx) // else the last one would have said why
			}
			quiet.Reset(silence)
			var n int
			n, err = w.applyAll(e, events)
			heard = heard || n > 0
			if ctx.Err() == nil && !w.teller.tell(w.view, time.Now()) && n > 0 {
				w.sink.Alive()
			}
		}
		held.Stop()
		if err != nil {
			return heard, err
		}
	}
}

// heldTimer fires when something has been held for long enough, if anything is held.
func (w *watcher) heldTimer() *time.Timer {
	due := w.teller.due()
	if due.IsZero() {
		return time.NewTimer(time.Hour)
	}
	return time.NewTimer(time.Until(due))
}

// applyAll applies e and what waits behind it, and says how many it were.
func (w *watcher) applyAll(e event, events <-chan event) (n int, err error) {
	for {
		if e.err != nil {
			return n, e.err
		}
		if err := w.apply(e); err != nil {
			return n, w.nonsense(err)
		}
		if n++; n == batch {
			return n, nil
		}
		select {
		case next, ok := <-events:
			if !ok {
				return n, nil
			}
			e = next
		default:
			return n, nil
		}
	}
}

// apply makes what e says of the view. What does not follow from what is known is an error.
func (w *watcher) apply(e event) error {
	if c := compare(e.version, w.version); c < 0 || c == 0 && e.kind != "BOOKMARK" && e.version == w.version {
		return fmt.Errorf("version %s after %s", quote(e.version), quote(w.version))
	}
	if e.kind == "BOOKMARK" {
		w.version = e.version
		return nil
	}
	old := w.view.slices[e.slice.key()]
	if known := old != nil; known == (e.kind == "ADDED") {
		return fmt.Errorf("%s of endpoint slice %s, which is there: %t", e.kind, e.slice.key(), known)
	}
	for _, s := range []*slice{old, e.slice} {
		if s != nil && s.service != "" {
			w.teller.dirty[s.part()] = true
		}
	}
	w.version = e.version
	if e.kind == "DELETED" {
		w.view.remove(e.slice.key())
		return nil
	}
	w.leftOut(old, e.slice)
	return w.view.put(e.slice)
}

// leftOut logs what of a slice is not used, unless it was so before.
func (w *watcher) leftOut(old, s *slice) {
	if s.left != "" && (old == nil || old.left != s.left) {
		w.c.Log.Warn("endpoint slice is not used in full", "server", w.c.Server, "slice", s.key(), "left out", redact(s.left, w.secret))
	}
}
