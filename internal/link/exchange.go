package link

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"weir"
	"weir/internal/secrets"
)

// Control planes that share a store tell each other what their agents report, so that whoever is asked knows the
// whole fleet. Each listens to each other one: a response that never ends, a line for every report, first all
// that are known. Reports that a control plane has heard of itself are not passed on.

// reportLine is what one agent reported.
type reportLine struct {
	Name string `json:"name"`
	// Age is for how long it has been known, in milliseconds: clocks of machines differ.
	Age  int64      `json:"age"`
	Post statusPost `json:"post"`
}

// feedPause is how long reports are gathered before they are sent: of several of one agent the last counts.
const feedPause = 50 * time.Millisecond

// feed is what a listening control plane has not been sent yet.
type feed struct {
	mu      sync.Mutex
	pending map[string]statusPost
	order   []string
	wake    chan struct{}
}

// offer notes a report. Of two that the listener has not been sent the second does not build on what it knows:
// then all of that agent's is sent, which an empty Seq stands for.
func (f *feed) offer(name string, p statusPost) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.pending[name]; ok {
		f.pending[name] = statusPost{}
		return
	}
	f.pending[name] = p
	f.order = append(f.order, name)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *feed) take() (order []string, pending map[string]statusPost) {
	f.mu.Lock()
	defer f.mu.Unlock()
	order, pending = f.order, f.pending
	f.order, f.pending = nil, map[string]statusPost{}
	return order, pending
}

// listen begins a feed, with all that was said here itself.
func (r *Reports) listen() *feed {
	f := &feed{pending: map[string]statusPost{}, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, t := range r.byName {
		if t.own {
			f.offer(name, statusPost{})
		}
	}
	r.feeds[f] = true
	return f
}

func (r *Reports) ignore(f *feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.feeds, f)
}

// line gives what to send of an agent; ok is false when nothing is known of it any more.
func (r *Reports) line(name string, p statusPost, now time.Time) (reportLine, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.byName[name]
	if t == nil {
		return reportLine{}, false
	}
	if p.Seq == "" {
		p = statusPost{Seq: t.seq, Report: t.Report}
	}
	return reportLine{name, now.Sub(t.At).Milliseconds(), p}, true
}

// tell serves another control plane.
func (h *Hub) tell(w http.ResponseWriter, r *http.Request) error {
	if peer := h.opts.CA.Trust().Peer(r.TLS, h.opts.Now()); peer.State != secrets.PeerControlPlane {
		return refuse(http.StatusForbidden, string(weir.Forbidden), "only another control plane of this store is told what agents report")
	}
	f := h.reports.listen()
	defer h.reports.ignore(f)
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	beat := time.NewTicker(h.opts.Heartbeat)
	defer beat.Stop()
	for {
		order, pending := f.take()
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		for _, name := range order {
			if line, ok := h.reports.line(name, pending[name], h.opts.Now()); ok {
				if err := enc.Encode(line); err != nil {
					return nil // the answer has begun
				}
			}
		}
		if out.Len() == 0 {
			out.WriteByte('\n')
		}
		_ = rc.SetWriteDeadline(time.Now().Add(h.opts.WriteTimeout))
		if _, err := w.Write(out.Bytes()); err != nil {
			return nil
		}
		if err := rc.Flush(); err != nil {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-h.stopped:
			return nil
		case <-beat.C:
		case <-f.wake:
			rest := time.NewTimer(feedPause)
			select {
			case <-rest.C:
			case <-r.Context().Done():
			}
			rest.Stop()
		}
	}
}

var errStep = errors.New("a report builds on one that is not known here")

// Listen takes over what another control plane of the store at url is told, until ctx ends; it comes back when
// the connection breaks. show gives the certificate of this control plane.
func (h *Hub) Listen(ctx context.Context, url string, show func() (secrets.ClientConfig, error)) {
	defer h.know(url, show)()
	var last string
	for ctx.Err() == nil {
		err := h.listenOnce(ctx, url, show)
		if ctx.Err() != nil {
			return
		}
		if err.Error() != last {
			h.opts.Log.Warn("can't hear what another control plane's agents report; trying again", "url", url, "err", err)
			last = err.Error()
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (h *Hub) listenOnce(ctx context.Context, url string, show func() (secrets.ClientConfig, error)) error {
	config, err := show()
	if err != nil {
		return err
	}
	t, err := transport(url, config)
	if err != nil {
		return err
	}
	defer t.CloseIdleConnections()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+reportsPath, nil)
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
	h.opts.Log.Info("hearing what another control plane's agents report", "url", url)
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	silence := time.AfterFunc(Silence, cancel)
	defer silence.Stop()
	for {
		line, err := readReportLine(in)
		if err != nil {
			return fmt.Errorf("read reports: %w", err)
		}
		silence.Reset(Silence)
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := h.heard(line); err != nil {
			return err
		}
	}
}

func (h *Hub) heard(line []byte) error {
	var l reportLine
	if err := json.Unmarshal(line, &l); err != nil {
		return fmt.Errorf("read reports: %s", jsonFault(err))
	}
	if l.Post.Seq == "" || len(l.Post.Seq) > 64 || l.Age < 0 {
		return errors.New("read reports: a line lacks its seq, or is from the future")
	}
	if _, ok := h.Wanted(l.Name); !ok {
		return nil // of a load balancer that is not known here, or not yet
	}
	if !h.reports.hear(l.Name, l.Post, h.opts.Now().Add(-time.Duration(l.Age)*time.Millisecond)) {
		return errStep
	}
	return nil
}

// readReportLine reads a line of at most maxReport bytes.
func readReportLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxReport+(64<<10):
			return nil, errors.New("a line is too long")
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}
