package api

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"weir"
)

// maxStreams is how many streams may be open at once, and of one subject.
const (
	maxStreams        = 4096
	maxSubjectStreams = 256
)

// WatchLine is one line of a stream of changes.
type WatchLine struct {
	// Type is put, delete, change, heartbeat or error. A heartbeat says that everything up to its revision has
	// been sent: that is where to go on from. An error is the last line.
	Type     string `json:"type"`
	Revision int64  `json:"revision,omitempty"`
	// Object is what was put.
	Object *weir.Object `json:"object,omitempty"`
	// Deleted is what was deleted, or is no longer chosen by the filter, or may no longer be seen.
	Deleted *weir.Ref     `json:"deleted,omitempty"`
	Change  *ChangeRecord `json:"change,omitempty"`
	Problem *Problem      `json:"problem,omitempty"`
}

// open counts the streams.
func (h *Handler) openStream(subject string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streamsOf[subject] >= maxSubjectStreams || h.streams >= maxStreams {
		return weir.Errorf(tooMany, "too many streams are open; close some first")
	}
	h.streams++
	h.streamsOf[subject]++
	h.metrics.streams.Inc()
	return nil
}

func (h *Handler) closeStream(subject string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams--
	if h.streamsOf[subject]--; h.streamsOf[subject] == 0 {
		delete(h.streamsOf, subject)
	}
	h.metrics.streams.Dec()
}

// source is what a stream tells.
type source[T any] struct {
	seq func(ctx context.Context) iter.Seq2[T, error]
	// lines makes what is sent of one item; last ends the stream well.
	lines func(item T) (lines []any, last bool)
	// beat is the line that says that the stream is alive.
	beat func() any
	// first is whether there is an item, or an error, at once; if so its error is still a problem with a status.
	first bool
}

type item[T any] struct {
	value T
	err   error
}

// stream sends lines of JSON until the source ends, the client goes, or the credential ends.
func stream[T any](c *call, s source[T]) error {
	if err := c.h.openStream(c.who.Subject); err != nil {
		return err
	}
	defer c.h.closeStream(c.who.Subject)
	c.streamed = true
	ctx, cancel := context.WithCancel(c.r.Context())
	items := make(chan item[T])
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(items)
		for v, err := range s.seq(ctx) {
			select {
			case items <- item[T]{v, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-ended }()
	out := &lineWriter{call: c}
	if !s.first {
		if err := out.write(s.beat()); err != nil {
			return nil
		}
	}
	return pump(c, s, out, items)
}

func pump[T any](c *call, s source[T], out *lineWriter, items <-chan item[T]) error {
	beat := time.NewTicker(c.h.opts.Heartbeat)
	defer beat.Stop()
	for {
		next := func() ([]any, bool) { return []any{s.beat()}, false }
		select {
		case <-c.r.Context().Done():
			return nil
		case <-beat.C:
		case it, ok := <-items:
			switch {
			case !ok || c.r.Context().Err() != nil:
				return nil
			case it.err != nil:
				return out.fail(it.err)
			}
			next = func() ([]any, bool) { return s.lines(it.value) }
		}
		// Whoever lost the credential meanwhile is told nothing more; rights are those of this moment.
		who, err := c.h.judge(c.cred, c.h.opts.Clock())
		if err != nil {
			return out.fail(err)
		}
		c.who = who
		lines, last := next()
		if err := out.write(lines...); err != nil || last {
			return nil
		}
	}
}

// lineWriter sends lines, each with its own time to be taken.
type lineWriter struct {
	call    *call
	started bool
}

func (l *lineWriter) write(lines ...any) error {
	w := l.call.w
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(answerWithin)) // a test's recorder has none
	if !l.started {
		l.started = true
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(http.StatusOK)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return control.Flush()
}

// fail answers with a problem, or when lines were sent already makes it the last line.
func (l *lineWriter) fail(err error) error {
	if !l.started {
		return err
	}
	p := problemOf(err, l.call.instance())
	_ = l.write(WatchLine{Type: "error", Problem: &p})
	return err
}
