package api

import (
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"weir"
	"weir/internal/registrar"
)

// call is one request on its way through the API.
type call struct {
	h     *Handler
	route *route
	w     *recorder
	r     *http.Request
	// id names the request in problems, headers and the log.
	id   string
	cred credential
	who  Caller
	// server is who asks, where that is a server which registers itself. often says that the call is one of the many by
	// which such servers keep themselves alive.
	server registrar.Caller
	often  bool
	// read counts the bytes of the body, revision is what the answer is about, streamed says that it lasted; all
	// are for the log and the metrics.
	read     int
	revision int64
	streamed bool
}

// answerWithin bounds the time for one answer, or one line of a stream, to be taken by the client.
const answerWithin = 2 * time.Minute

// serve makes a handler of a route: identity, headers, panics, metrics and the log line are the same for all.
func (h *Handler) serve(rt *route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &call{h: h, route: rt, w: &recorder{ResponseWriter: w, gzip: takesGzip(r)}, r: r, id: rand.Text()}
		head := w.Header()
		head.Set("Weir-Request", c.id)
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		h.tellCA(head)
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(start.Add(answerWithin)) // a test's recorder has none
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
		err := c.run()
		if err != nil {
			c.refuse(err)
		}
		c.w.finish()
		c.h.metrics.done(c, time.Since(start))
		c.log(time.Since(start), err)
	})
}

// run authenticates and handles; a panic becomes an error.
func (c *call) run() (err error) {
	defer func() {
		switch v := recover(); {
		case v == http.ErrAbortHandler:
			panic(v)
		case v != nil:
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	switch {
	case c.route.open:
	case c.route.itself && len(c.r.Header.Values("Authorization")) == 0 && c.h.shown(c.r):
		if err = c.asItself(); err != nil {
			return err
		}
	case c.route.registrant:
		if c.server, err = c.h.registrant(c.r); err != nil {
			return err
		}
		c.who.Subject = weir.ByRegistration + c.server.Name
	default:
		if c.cred, c.who, err = c.h.authenticate(c.r); err != nil {
			return err
		}
		if err := c.catchUp(); err != nil {
			return err
		}
	}
	if c.route.id != "" {
		if !c.route.anyQuery {
			if err := c.knownQuery(); err != nil {
				return err
			}
		}
		if err := c.noBody(); err != nil {
			return err
		}
	}
	return c.route.handle(c)
}

// refuse answers with a problem, if nothing else was answered yet.
func (c *call) refuse(err error) {
	c.auditRefusal(err)
	if c.w.status == 0 {
		problemOf(err, c.instance()).write(c.w)
	}
}

func (c *call) instance() string { return "urn:weir:request:" + c.id }

func (c *call) log(took time.Duration, err error) {
	level := slog.LevelInfo
	if c.often {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", c.r.Method), slog.String("route", c.route.pattern), slog.Int("status", c.w.status),
		slog.Duration("took", took), slog.String("author", c.who.Subject), slog.Int64("revision", c.revision),
		slog.Int("in", c.read), slog.Int64("out", c.w.bytes), slog.String("remote", remoteAddress(c.r)), slog.String("request", c.id),
	}
	if name := c.r.PathValue("name"); name != "" && weir.CheckName(name) == nil {
		attrs = append(attrs, slog.String("name", name))
	}
	if err != nil {
		// What clients are told holds no secrets; the rest is ours.
		p := problemOf(err, "")
		text := p.Detail
		level = slog.LevelInfo
		if p.Status >= http.StatusInternalServerError {
			level, text = slog.LevelError, err.Error()
		}
		attrs = append(attrs, slog.String("error", text), slog.Int("problems", len(p.Errors)+p.Omitted))
	}
	c.h.opts.Logger.LogAttrs(context.WithoutCancel(c.r.Context()), level, "api", attrs...)
}

// answer sends v as JSON.
func (c *call) answer(status int, v any) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	encoder := json.NewEncoder(c.w)
	encoder.SetEscapeHTML(false)
	return c.cut(encoder.Encode(v))
}

// cut tells an answer that could not be sent from one that could not be made.
func (c *call) cut(err error) error {
	if err == nil || c.w.failed == nil {
		return err
	}
	return weir.Errorf(weir.Unavailable, "the client did not take the whole answer")
}

// may says why the caller may not read an object, or nil.
func (c *call) may(o *weir.Object) error { return Allowed(c.who, Read, o, o) }

// granted refuses whoever has no right at all.
func (c *call) granted(need weir.Right) error {
	for _, g := range c.who.Grants {
		if g.Right.Covers(need) {
			return nil
		}
	}
	return weir.Errorf(weir.Forbidden, "this takes at least the right %s on some role, which %s does not have; an admin gives it with a Grant", need, c.who.Subject)
}

// recorder keeps what the log wants to know about an answer, and compresses long ones.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	failed error
	// gzip says that the client takes compressed answers. An answer is held, not nil, until it is long enough; then it is
	// packed.
	gzip   bool
	held   []byte
	packed *gzip.Writer
}

// WriteHeader notes the first status.
func (w *recorder) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if w.holds(status) {
		w.Header().Add("Vary", "Accept-Encoding")
		w.held = make([]byte, 0, squeezeFrom)
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.held != nil || w.packed != nil {
		return w.squeeze(p)
	}
	return (*wire)(w).Write(p)
}

// note keeps what went wrong on the way to the client.
func (w *recorder) note(err error) error {
	if err != nil {
		w.failed = errors.Join(w.failed, err)
	}
	return err
}

// Unwrap lets http.ResponseController through.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
