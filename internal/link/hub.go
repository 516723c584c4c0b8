package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"weir/internal/ir"
	"weir/internal/secrets"
)

// HubOptions is what a Hub needs; fields without a default are required.
type HubOptions struct {
	// Epoch names the store's history of revisions; a store restored from a backup has another.
	Epoch string
	// CA issues and judges the agents' certificates.
	CA       *secrets.CA
	Registry Registry
	Keys     Keys
	// Tickets tells of TLS ticket keys; nil for nothing.
	Tickets Tickets
	// Log gets a line per stream begun and ended, and refusals; the default drops them.
	Log *slog.Logger
	// Now is the clock that certificates are judged by; the default is time.Now.
	Now func() time.Time
	// Heartbeat is the longest pause between two lines of a stream; the default is Heartbeat.
	Heartbeat time.Duration
	// WriteTimeout is how long an agent may take no data before it is cut; the default is 10 s.
	WriteTimeout time.Duration
	// Held begins without sending anything to agents until Release: see held.go.
	Held bool
	// RingBytes bounds the deltas kept for agents, per group; the default is 8 MiB. What is older than half a
	// minute is kept up to the group's part of half a ring for all groups together.
	RingBytes int
}

// Hub is the control plane's end: it holds what every group must do and tells the agents. Many goroutines may
// use it, but SetGroup, SetViews and DropGroup wait for each other.
type Hub struct {
	opts      HubOptions
	reports   *Reports
	limiter   *limiter
	strangers strangers

	setting sync.Mutex // one SetGroup at a time, so that comparing needs no lock on the rest

	mu       sync.Mutex
	groups   map[viewKey]*group
	former   map[string]*group // by the group's name: the view that was dropped last
	crossing *crossing         // that was asked for last
	members  map[string]*member
	rosters  map[string][]string // who was placed in each group last; some may be in another by now
	held     *holding            // nil unless held
	errands  map[string]*given   // by their names
	others   map[string]func() (secrets.ClientConfig, error)
	revision int64
	closed   bool
	stopped  chan struct{} // closed with closed

	keyReaders chan struct{}
	released   chan struct{} // closed when nothing is held
}

// member is one load balancer.
type member struct {
	at       viewKey
	self     *selfEntry
	past     []Hash // of earlier selves, the newest last
	revision int64  // at which self last changed
	watcher  *watcher
}

// watcher is one open stream.
type watcher struct {
	cancel context.CancelCauseFunc
	briefs chan struct{} // holds a value when there may be something new about ticket keys
	// ctx ends with the stream; does are the errands that the agent does, asked is how many it has, errands are those that
	// it is to be told of.
	ctx     context.Context
	does    []string
	asked   int
	errands chan string
}

// maxPast is how many changes of its self an agent may miss and still need no snapshot.
const maxPast = 8

var (
	errReplaced = errors.New("the agent opened another stream")
	errCut      = errors.New("cut by the control plane")
	errLeft     = errors.New("the load balancer is gone or in another group")
	errStopping = errors.New("the control plane is stopping")
	errSlow     = errors.New("the agent is too slow: what it lacks is no longer kept")
)

// NewHub makes a Hub that knows no group yet: agents that come are told to wait.
func NewHub(o HubOptions) (*Hub, error) {
	if err := checkEpoch(o.Epoch); err != nil {
		return nil, fmt.Errorf("make hub: %w", err)
	}
	if o.CA == nil || o.Registry == nil || o.Keys == nil {
		return nil, errors.New("make hub: CA, registry and keys are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = Heartbeat
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.RingBytes <= 0 {
		o.RingBytes = 8 << 20
	}
	h := &Hub{
		opts: o, reports: newReports(), limiter: newLimiter(),
		groups: map[viewKey]*group{}, former: map[string]*group{}, members: map[string]*member{}, rosters: map[string][]string{},
		errands: map[string]*given{}, others: map[string]func() (secrets.ClientConfig, error){}, stopped: make(chan struct{}),
		keyReaders: make(chan struct{}, keyReaders), released: make(chan struct{}),
	}
	if o.Held {
		h.held = newHolding()
	} else {
		close(h.released)
	}
	return h, nil
}

// SetGroup says what a group must do at a revision: its resources, best sorted by ID and with what did
// not change at the same place in memory, and its load balancers. The hub keeps the list, which may not be changed
// any more. All of it reaches each agent as one transaction.
// Resources called "self" are ignored, selves say that. Load balancers no longer listed in any group are cut.
// The error lists resources that can't travel, by object; their last good form stays and all else is sent.
func (h *Hub) SetGroup(name string, revision int64, resources []*ir.Resource, selves []ir.Self) error {
	return h.SetViews(name, revision, View{Resources: resources, Selves: selves})
}

func (m *member) stop(why error) {
	if m.watcher != nil {
		m.watcher.cancel(why)
		m.watcher = nil
	}
}

// DropGroup forgets a group and cuts its load balancers.
func (h *Hub) DropGroup(name string) {
	h.setting.Lock()
	defer h.setting.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.publish(name, 0, nil, nil)
	delete(h.former, name)
}

// Advance says that every group is current up to a revision, whether it changed or not. It is called after the
// SetGroups of that revision.
func (h *Hub) Advance(revision int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revision = max(h.revision, revision)
}

// Cut ends the stream of a load balancer at once; its agent may come back and is judged anew.
func (h *Hub) Cut(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.members[name]; m != nil {
		m.stop(errCut)
	}
}

// Close cuts all streams and admits no more; the agents go on with what they have. Call it before Shutdown of
// the HTTP server, which waits for streams to end.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.stopped)
	}
	for _, m := range h.members {
		m.stop(errStopping)
	}
}

// Wanted is what a load balancer must have reached to be converged.
type Wanted struct {
	Group string
	// Revision is that of the last change to the content.
	Revision int64
	// Hash is the content's; a Report with the same one is converged whatever the revision.
	Hash Hash
	// Epoch is the history that Revision is of.
	Epoch string
	// Viewed says that the group has had several contents, so that only Hash tells which one was read back.
	Viewed bool
}

// Wanted tells what a load balancer must have reached; ok is false for one that no group lists.
func (h *Hub) Wanted(name string) (w Wanted, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[name]
	if m == nil {
		return Wanted{}, false
	}
	g := h.groups[m.at]
	return Wanted{m.at.group, max(g.revision, m.revision), g.hash.xor(m.self.hash), h.opts.Epoch, m.at.view != ""}, true
}

// Connected lists the load balancers whose agents hold a stream, sorted.
func (h *Hub) Connected() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for name, m := range h.members {
		if m.watcher != nil {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Reports gives what the agents said last.
func (h *Hub) Reports() *Reports { return h.reports }

// HTTP2 gives the settings that the server of Handler needs to notice dead agents.
func HTTP2() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: Silence, PingTimeout: Silence}
}

// Handler serves everything under Prefix. It wants TLS made by secrets.ServerTLS, version 1.3, and HTTP/2.
func (h *Hub) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+enrolPath, h.serve(h.enrol))
	mux.HandleFunc("POST "+renewPath, h.serve(h.renew))
	mux.HandleFunc("GET "+watchPath, h.serve(h.watch))
	mux.HandleFunc("POST "+statusPath, h.serve(h.status))
	mux.HandleFunc("GET "+reportsPath, h.serve(h.tell))
	mux.HandleFunc("POST "+resourcesPath, h.serve(h.told))
	mux.HandleFunc("GET "+ticketsPath, h.serve(h.tellTickets))
	mux.HandleFunc("POST "+ticketsPath, h.serve(h.takeTickets))
	mux.HandleFunc("GET "+heldPath, h.serve(h.tellHeld))
	mux.HandleFunc("GET "+errandsPath+"{id}", h.serve(h.tellErrand))
	mux.HandleFunc("POST "+errandsPath+"{id}", h.serve(h.takeErrand))
	mux.HandleFunc("POST "+askPath, h.serve(h.passOn))
	return mux
}
