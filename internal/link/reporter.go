package link

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"
)

const (
	// calm is how old what the control plane knows of a pool may get while only connection counts change.
	calm = 10 * time.Second
	// reportPause is kept between two reports, and reportRetry after one that failed.
	reportPause = 20 * time.Millisecond
	reportRetry = time.Second
	// minGzip is the length from which compressing costs less than sending.
	minGzip = 16 << 10
)

// reporter sends the newest report, and of the health of servers only the pools that changed.
type reporter struct {
	wake chan struct{}
	// standing tells which CAs are believed, and which one issued the certificate; it may be nil.
	standing func() (believes []string, issuer string)
	// clock is the machine's; it may be nil.
	clock func() time.Time

	mu   sync.Mutex
	next *Report // to be sent
	last *Report // sent last
	// given are the servers offered last, kept what of them fits into a report.
	given, kept map[string]map[string]ServerHealth
	// sound are the figures offered last, if they fit into a report.
	sound json.RawMessage
	// trouble says what this end can't do, and is told in place of how well all is.
	trouble string

	// Of the running session alone.
	prefix string
	count  int
	base   string // what the control plane is known to have
	sent   map[string]sentPool
	// figures are those that the control plane is known to have, from base on.
	figures json.RawMessage
	passes  []PassReport // as figures
	// traffic and calls are what the control plane is known to have of them, and takes that it has said that it takes any.
	traffic, calls *Table
	takes          bool
	zip            *gzip.Writer // kept, since each new one takes a megabyte
}

type sentPool struct {
	servers map[string]ServerHealth
	at      time.Time
}

func newReporter() *reporter {
	return &reporter{wake: make(chan struct{}, 1), prefix: rand.Text()[:12]}
}

// offer takes a report in the place of those not yet sent. Servers and figures that were offered before are not gone
// through again.
func (r *reporter) offer(report Report) {
	r.mu.Lock()
	figures := report.Figures
	sound := len(figures) > 0 && len(figures) == len(r.sound) && &figures[0] == &r.sound[0]
	if sound {
		report.Figures = nil
	}
	if servers := report.Servers; len(servers) > 0 && one(servers, r.given) {
		report = report.boundBut(r.kept)
	} else {
		report = report.bound()
		r.given, r.kept = servers, report.Servers
	}
	if sound {
		report.Figures = figures
	}
	r.sound = report.Figures
	r.next = &report
	r.mu.Unlock()
	r.signal()
}

// troubled tells the control plane of a trouble at once, "" that it is over.
func (r *reporter) troubled(text string) {
	r.mu.Lock()
	changed := r.trouble != text
	r.trouble = text
	switch {
	case !changed || r.next != nil:
	case r.last != nil:
		r.next = r.last
	default:
		r.next = &Report{State: Starting} // nobody else has said anything yet
	}
	r.mu.Unlock()
	if changed {
		r.signal()
	}
}

// refresh sends the last report once more, with what has changed at this end.
func (r *reporter) refresh() {
	r.mu.Lock()
	if r.next == nil {
		r.next = r.last
	}
	r.mu.Unlock()
	r.signal()
}

// told is what goes out for a report.
func (r *reporter) told(report Report) Report {
	if r.standing != nil {
		report.Believes, report.Issuer = r.standing()
	}
	if r.clock != nil {
		report.Now = r.clock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != "" {
		report.State = Failed
		report.Message = r.trouble
	}
	report.Message = cutText(report.Message) // all else was bound when it was offered
	report.Believes, report.Issuer = boundTexts(report.Believes, maxBelieved), cutText(report.Issuer)
	return report
}

func (r *reporter) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// again puts a report back unless there is a newer one.
func (r *reporter) again(report *Report) {
	r.mu.Lock()
	if r.next == nil {
		r.next = report
	}
	r.mu.Unlock()
	r.signal()
}

func (r *reporter) take() *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := r.next
	r.next = nil
	if report != nil {
		r.last = report
	}
	return report
}

// run sends reports until ctx ends, first the last one once more: the control plane may have forgotten it.
func (r *reporter) run(ctx context.Context, t http.RoundTripper, base string, log *slog.Logger) {
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	if last != nil {
		r.again(last)
	}
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		report := r.take()
		if report == nil {
			continue
		}
		pause := reportPause
		err := r.send(ctx, t, base, report)
		if err != nil {
			pause = reportRetry
			if !hopeless(err) {
				r.again(report)
			}
		}
		if now := text(err); now != said && ctx.Err() == nil {
			said = now
			tell(log, base, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// hopeless tells that the same report would be refused again.
func hopeless(err error) bool {
	var no *refusal
	return errors.As(err, &no) && (no.status == http.StatusBadRequest || no.status == http.StatusForbidden || no.status == http.StatusRequestEntityTooLarge)
}

func tell(log *slog.Logger, base string, err error) {
	if err != nil {
		log.Warn("can't report to the control plane", "url", base, "err", err)
		return
	}
	log.Info("reports reach the control plane again", "url", base)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// send sends one report, all of it if the control plane does not know what it builds on.
func (r *reporter) send(ctx context.Context, t http.RoundTripper, base string, report *Report) error {
	err := r.post(ctx, t, base, report)
	var no *refusal
	if errors.As(err, &no) && no.code == codeFull {
		r.base, r.sent, r.takes = "", nil, false
		err = r.post(ctx, t, base, report)
	}
	return err // if it did arrive all the same, the next one's base is not the last, and all is sent
}

func (r *reporter) post(ctx context.Context, t http.RoundTripper, base string, report *Report) error {
	p, sent := r.build(report, time.Now())
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	header := http.Header{}
	if len(body) > minGzip {
		if body, err = r.compress(body); err != nil {
			return err
		}
		header.Set("Content-Encoding", "gzip")
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, err := postFor(ctx, t, base+statusPath, header, body, nil)
	if err != nil {
		return err
	}
	r.base, r.sent, r.figures, r.passes = p.Seq, sent, report.Figures, report.Passes
	r.traffic, r.calls = report.Traffic, report.Calls
	r.takes = answer.Get(takesHeader) == takesTraffic
	return nil
}

func (r *reporter) compress(body []byte) ([]byte, error) {
	var z bytes.Buffer
	if r.zip == nil {
		r.zip, _ = gzip.NewWriterLevel(&z, gzip.BestSpeed) // the level is a known one
	}
	r.zip.Reset(&z)
	if _, err := r.zip.Write(body); err != nil {
		return nil, err
	}
	if err := r.zip.Close(); err != nil {
		return nil, err
	}
	return z.Bytes(), nil
}

// build works out what to send and what the control plane then has.
func (r *reporter) build(report *Report, now time.Time) (statusPost, map[string]sentPool) {
	r.count++
	p := statusPost{Seq: r.prefix + "-" + strconv.Itoa(r.count), Base: r.base, Report: r.told(*report)}
	sent := make(map[string]sentPool, len(report.Servers))
	changed := make(map[string]map[string]ServerHealth)
	for pool, servers := range report.Servers {
		was, ok := r.sent[pool]
		if ok && r.base != "" && (one(was.servers, servers) || same(was, servers, now)) {
			sent[pool] = was
			continue
		}
		sent[pool] = sentPool{servers, now}
		changed[pool] = servers
	}
	for pool := range r.sent {
		if _, ok := report.Servers[pool]; !ok && r.base != "" {
			p.Gone = append(p.Gone, pool)
		}
	}
	p.Report.Servers = changed
	if r.base != "" && bytes.Equal(r.figures, p.Report.Figures) {
		p.Report.Figures = nil
	}
	if r.base != "" && samePasses(r.passes, p.Report.Passes) {
		p.Report.Passes = nil
	}
	if r.base != "" {
		p.Report.Traffic, p.GoneRows = report.Traffic.after(r.traffic)
		p.Report.Calls, p.GoneCalls = report.Calls.after(r.calls)
	}
	if !r.takes && report.Whole != nil {
		p.Report.Counts = report.Whole()
	}
	return p, sent
}

// one tells whether two maps are one in memory, and so equal without a look at what is in them.
func one[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// same tells whether what was sent of a pool still does.
func same(was sentPool, servers map[string]ServerHealth, now time.Time) bool {
	if now.Sub(was.at) >= calm {
		return maps.Equal(was.servers, servers)
	}
	return maps.EqualFunc(was.servers, servers, func(a, b ServerHealth) bool {
		a.Connections = b.Connections
		return a == b
	})
}
