package link

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"weir"
)

// statusPost is a report on the wire. With a Base it holds only the pools that changed since that one, and the figures
// if they did.
type statusPost struct {
	Base string `json:"base,omitempty"`
	// Seq names this report, for the next one's Base.
	Seq  string   `json:"seq"`
	Gone []string `json:"gone,omitempty"` // pools
	// GoneRows are rows of Traffic.
	GoneRows []string `json:"goneRows,omitempty"`
	// GoneCalls are rows of Calls.
	GoneCalls []string `json:"goneCalls,omitempty"`
	Report    Report   `json:"report"`
}

// Reported is what an agent said, and when. Its maps and slices are shared and must not be changed.
type Reported struct {
	Report
	Name string
	At   time.Time
	// LookedAt is when the first report came that has its Servers and Counts.
	LookedAt time.Time
}

// Reports holds the last report of each load balancer, in memory only: after a restart the agents tell again.
// Many goroutines may use it.
type Reports struct {
	mu      sync.RWMutex
	byName  map[string]*told
	changed chan struct{}
	feeds   map[*feed]bool // other control planes that listen
}

type told struct {
	seq string
	// own was said to this control plane, not heard of from another.
	own bool
	Reported
}

func newReports() *Reports {
	return &Reports{byName: map[string]*told{}, changed: make(chan struct{}), feeds: map[*feed]bool{}}
}

// Get gives the last report of a load balancer.
func (r *Reports) Get(name string) (Reported, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, ok := r.byName[name]
	if !ok {
		return Reported{}, false
	}
	return t.Reported, true
}

// All gives the last report of every load balancer, by name.
func (r *Reports) All() map[string]Reported {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make(map[string]Reported, len(r.byName))
	for name, t := range r.byName {
		all[name] = t.Reported
	}
	return all
}

// Changed gives a channel that is closed at the next report. Take it before reading, so that none is missed.
func (r *Reports) Changed() <-chan struct{} {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.changed
}

// put takes over an agent's report; ok is false when it builds on one that is not the last known.
func (r *Reports) put(name string, p statusPost, now time.Time) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.take(name, p, now, true) {
		return false
	}
	for f := range r.feeds {
		f.offer(name, p)
	}
	return true
}

// orderSlack is what the time of a report may be wrong by that came from another control plane, whose own come in
// their order: its age is told in milliseconds, and it took a while to come.
const orderSlack = 100 * time.Millisecond

// hear takes over what another control plane was told at a time. What is older than what is known here is passed
// over; ok is false when it builds on one that is not known.
func (r *Reports) hear(name string, p statusPost, at time.Time) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.byName[name]; last != nil {
		late := last.At.Sub(at)
		if last.seq == p.Seq || late > orderSlack || late >= 0 && last.own {
			return true
		}
		at = at.Add(max(0, late))
	}
	return r.take(name, p, at, false)
}

func (r *Reports) take(name string, p statusPost, now time.Time, own bool) (ok bool) {
	report := p.Report.bound()
	looked, last := now, r.byName[name]
	if last != nil && report.Looks != 0 && report.Looks == last.Looks {
		looked = last.LookedAt
	}
	if p.Base != "" {
		if last == nil || last.seq != p.Base {
			return false
		}
		report.Servers = merged(last.Servers, report.Servers, p.Gone)
		if report.Figures == nil {
			report.Figures = last.Figures
		}
		if len(report.Passes) == 0 {
			report.Passes = last.Passes
		}
		report.Traffic = report.Traffic.upon(last.Traffic, p.GoneRows)
		report.Calls = report.Calls.upon(last.Calls, p.GoneCalls)
		if report.Shown == nil {
			report.Shown = last.Shown
		}
		if countServers(report.Servers) > maxServers {
			report.Servers = boundServers(report.Servers)
		}
	}
	r.byName[name] = &told{p.Seq, own, Reported{report, name, now, looked}}
	r.wake()
	return true
}

// news gives the certificate that an agent shows, nil when the report is to build on one that has it.
func (r *Reports) news(name, base string, shown []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if last := r.byName[name]; base != "" && last != nil && bytes.Equal(last.Shown, shown) {
		return nil
	}
	return shown
}

func merged(old, changed map[string]map[string]ServerHealth, gone []string) map[string]map[string]ServerHealth {
	if len(changed) == 0 && len(gone) == 0 {
		return old
	}
	out := maps.Clone(old) // what others hold never changes
	if out == nil {
		out = make(map[string]map[string]ServerHealth, len(changed))
	}
	for _, pool := range gone {
		delete(out, pool)
	}
	maps.Copy(out, changed)
	return out
}

func countServers(all map[string]map[string]ServerHealth) int {
	n := 0
	for _, servers := range all {
		n += len(servers)
	}
	return n
}

// forget drops what load balancers said that no longer exist.
func (r *Reports) forget(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		delete(r.byName, name)
	}
	r.wake()
}

func (r *Reports) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// status takes an agent's report; whose it is says the certificate.
func (h *Hub) status(w http.ResponseWriter, r *http.Request) error {
	name, cert, err := h.agent(r)
	if err != nil {
		return err
	}
	if _, ok := h.Wanted(name); !ok {
		return refuse(http.StatusForbidden, string(weir.Forbidden), "no group of the control plane lists load balancer %s", name)
	}
	var p statusPost
	if err := readReport(w, r, &p); err != nil {
		return err
	}
	if p.Seq == "" || len(p.Seq) > 64 {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "the report: seq must be 1 to 64 bytes long")
	}
	p.Report.Issuer = h.opts.CA.Trust().IssuerHash(cert) // what it shows, not what it says
	p.Report.Shown = h.reports.news(name, p.Base, cert.Raw)
	if !h.reports.put(name, p, h.opts.Now()) {
		return refuse(http.StatusConflict, codeFull, "the report that this one builds on is not known; send all of it")
	}
	w.Header().Set(takesHeader, takesTraffic)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// A control plane that takes Traffic says so with its answer to a report; until then an agent sends all counters in Counts
// too.
const (
	takesHeader  = "Weir-Takes"
	takesTraffic = "traffic"
)

func readReport(w http.ResponseWriter, r *http.Request, p *statusPost) error {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, string(weir.TooLarge), "the report is longer than %d bytes, or %d compressed", maxReport, maxReportBody)
	var body io.Reader = http.MaxBytesReader(w, r.Body, maxReportBody)
	switch r.Header.Get("Content-Encoding") {
	case "":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return refuse(http.StatusBadRequest, string(weir.Invalid), "the report is not gzip")
		}
		body = z
	default:
		return refuse(http.StatusUnsupportedMediaType, "encoding", "the report may be plain or gzip")
	}
	limited := &io.LimitedReader{R: body, N: maxReport + 1}
	text, err := io.ReadAll(limited)
	var large *http.MaxBytesError
	if limited.N == 0 || errors.As(err, &large) {
		return tooLarge
	}
	if err != nil {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "the report can't be read")
	}
	// Fields of a newer agent are no reason not to hear it.
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(p); err != nil {
		return refuse(http.StatusBadRequest, string(weir.Invalid), "the report: %s", jsonFault(err))
	}
	return nil
}
