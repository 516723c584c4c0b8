package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"weir/internal/secrets"
)

// Errander does one kind of errand: it says each line of its answer, and returns how it went; the text of its error
// reaches whoever asked. Ctx ends when the time is over or nobody wants the answer any more, and say fails then. It is
// called from many goroutines.
type Errander func(ctx context.Context, body json.RawMessage, say func(line any) error) error

// ErrBusy is wrapped by what an Errander says that has too much to do already.
var ErrBusy = errors.New("busy")

// errandGrace is how much longer than the control plane the agent counts, so that it is the former that says that the time is
// over.
const errandGrace = 2 * time.Second

// errandIDLength is that of an errand's name, which is letters and digits.
const errandIDLength = 26

// errander does a session's errands, on a connection of its own.
type errander struct {
	c      *Client
	ctx    context.Context
	base   string
	reach  func() (*http.Transport, error)
	places chan struct{}
	wg     sync.WaitGroup
	stop   context.CancelFunc
}

// errands begins a session's errands; end must be called.
func (c *Client) errands(ctx context.Context, base string) *errander {
	ctx, stop := context.WithCancel(ctx)
	id := c.identity()
	return &errander{c: c, ctx: ctx, base: base, stop: stop, places: make(chan struct{}, maxErrands), reach: sync.OnceValues(func() (*http.Transport, error) {
		t, err := transport(base, secrets.ClientConfig{Trust: id.trust, Now: c.opts.Now, Certificate: func() *tls.Certificate { return &id.cert }})
		if err == nil {
			context.AfterFunc(ctx, t.CloseIdleConnections)
		}
		return t, err
	})}
}

// end waits until all errands have ended.
func (e *errander) end() {
	e.stop()
	e.wg.Wait()
}

// begin does an errand beside all else. One too many is passed over: the control plane counts, too.
func (e *errander) begin(id string) {
	if len(id) != errandIDLength || !isErrandID(id) {
		e.c.opts.Log.Warn("the control plane names an errand by what is no name")
		return
	}
	select {
	case e.places <- struct{}{}:
	default:
		e.c.opts.Log.Warn("the control plane asks too much at once", "most", maxErrands)
		return
	}
	e.wg.Go(func() {
		defer func() { <-e.places }()
		began := time.Now()
		kind, err := e.do(id)
		e.c.opts.Log.Debug("did an errand", "kind", kind, "took", time.Since(began), "err", err)
	})
}

func isErrandID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// do fetches an errand, does it and posts the answer as it comes.
func (e *errander) do(id string) (kind string, err error) {
	t, err := e.reach()
	if err != nil {
		return "", err
	}
	var what wireErrand
	if err := fetchErrand(e.ctx, t, e.base+errandsPath+id, &what); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(e.ctx, time.Duration(what.WithinMs)*time.Millisecond+errandGrace, errErrandTime)
	defer cancel()
	from, to := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.base+errandsPath+id, from)
	if err != nil {
		return what.Kind, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	answered := make(chan error, 1)
	go func() {
		defer cancel() // whatever is answered: nobody wants more
		resp, err := t.RoundTrip(req)
		_ = from.CloseWithError(errErrandTime) // a line that is being said ends
		if err != nil {
			answered <- err
			return
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode/100 != 2 {
			err = readRefusal(resp)
		}
		answered <- err
	}()
	out := json.NewEncoder(to)
	end := e.carryOut(ctx, &what, func(line any) error {
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		if len(text) > MaxErrandLine-64 {
			return fmt.Errorf("a line of an answer is longer than %d bytes", MaxErrandLine)
		}
		return out.Encode(errandLine{Line: text})
	})
	_ = out.Encode(errandLine{End: &end}) // an error means that nobody waits for it
	_ = to.Close()
	return what.Kind, <-answered
}

// carryOut does an errand and says how it went.
func (e *errander) carryOut(ctx context.Context, what *wireErrand, say func(any) error) errandEnd {
	do := e.c.opts.Errands[what.Kind]
	if do == nil {
		return errandEnd{Code: endUnknown, Detail: fmt.Sprintf("its agent does no errand %q; upgrade it", cutText(what.Kind))}
	}
	err := do(ctx, what.Body, say)
	switch {
	case err == nil:
		return errandEnd{}
	case errors.Is(err, ErrBusy):
		return errandEnd{Code: endBusy, Detail: cutText(err.Error())}
	}
	return errandEnd{Code: endFailed, Detail: cutText(err.Error())}
}

// fetchErrand reads what is asked.
func fetchErrand(ctx context.Context, t http.RoundTripper, url string, what *wireErrand) error {
	ctx, cancel := context.WithTimeout(ctx, takenWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return readRefusal(resp)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxErrand+64<<10))
	if err != nil {
		return err
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(what); err != nil {
		return fmt.Errorf("read errand: %s", jsonFault(err))
	}
	return nil
}
