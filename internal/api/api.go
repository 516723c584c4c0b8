// Package api is the control plane's front door: it turns HTTP requests into reads and writes of the store. Each
// request is authenticated, authorised and decoded strictly here; what is a rule of the objects is package weir's,
// what is so is asked of a StatusSource, what would be of a Planner.
package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/compile"
	"weir/internal/registrar"
	"weir/internal/secrets"
	"weir/internal/signin"
	"weir/internal/store"
)

// Options are what the API stands on. Store, Planner and Status are required.
type Options struct {
	Store   *store.Store
	Planner Planner
	Status  StatusSource
	// Audit takes refusals and the making of tokens; nil takes none.
	Audit *secrets.Audit
	// Clock judges expiries; nil is the system's.
	Clock func() time.Time
	// Logger gets one line a request; nil gets none.
	Logger *slog.Logger
	// Version is the control plane's, told by whoami and in the OpenAPI document.
	Version string
	// CAHash names the control plane's CA ("sha256:<hex>"); join tokens carry it. Without it none are made.
	CAHash func() string
	// CA tells of the CA and changes it; nil can't.
	CA CASource
	// Members tells of the servers and of the members of an embedded store; nil can't.
	Members MemberSource
	// Ready says why the server is not ready, nil when it is; nil is always ready.
	Ready func(context.Context) error
	// Restore knows of the restore that the store comes from; nil is for a store that never was restored.
	Restore RestoreSource
	// Waves steers the waves in which changes go through a group; nil can't.
	Waves WaveSource
	// TicketKeys renews the keys of TLS session tickets; nil can't.
	TicketKeys TicketSource
	// Sources takes what people confirm of discovery sources; nil can't.
	Sources ConfirmSource
	// Tries lets load balancers check servers; nil can't.
	Tries TrySource
	// Checks knows how the health of servers changed; nil does not.
	Checks CheckSource
	// Work knows what load balancers did for changes; nil does not.
	Work WorkSource
	// Logs asks load balancers for their logs; nil can't.
	Logs LogSource
	// Registrar takes the registrations of servers; nil takes none.
	Registrar *registrar.Registrar
	// SignIn makes the sessions of browsers; nil makes none.
	SignIn *signin.Desk
	// Series knows figures over time; nil knows none.
	Series SeriesSource
	// Spool is the folder in which backups lie, encrypted, until they are sent; the system's for such files when
	// empty.
	Spool string
	// Metrics takes the request metrics; nil takes none.
	Metrics prometheus.Registerer
	// Heartbeat is how often a stream says that it is alive; 15 s when 0.
	Heartbeat time.Duration
	// Silence is for how long the store has not heard of etcd, 0 while it does; the Store's own when nil.
	Silence func() time.Duration
	// CatchUp is how long is waited for a revision that the client has seen already; 3 s when 0.
	CatchUp time.Duration
}

func (o *Options) fill() {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.Silence == nil && o.Store != nil {
		o.Silence = o.Store.Silence
	}
	if o.CatchUp == 0 {
		o.CatchUp = catchUpWithin
	}
}

// Handler answers /api/v1, /openapi.json, /healthz and /readyz. Streams last as long as the request's context:
// whoever stops the server cancels what its BaseContext gave.
type Handler struct {
	opts   Options
	mux    *http.ServeMux
	routes []*route
	// document makes the OpenAPI document once somebody asks for it, which takes 100 ms of a processor.
	document func() ([]byte, error)
	people   *directory
	refused  refusals
	// tries are exchanges of tokens that failed.
	tries refusals
	// signIns are tries to sign in that failed, unknown those with a session that nobody knows.
	signIns, unknown refusals
	metrics          *metrics
	tried            tries
	// large holds a place for each large body that is being decoded.
	large chan struct{}
	// lists holds a place for each list of servers that is being read.
	lists chan struct{}
	// finder knows the pools of servers; finding guards it.
	finder  compile.Finder
	finding sync.Mutex

	// pictures are what views are answered from, touches who made which change, recent the newest changes.
	pictures pictures
	touches  touches
	recent   recent

	// backing is held while a backup is made.
	backing sync.Mutex

	mu        sync.Mutex
	streams   int
	streamsOf map[string]int
}

// maxLarge is how many large bodies are decoded at once, and how many lists of servers besides.
const maxLarge = 2

// New makes the API's handler, to be mounted at "/". Options without a Store, Planner or Status are a mistake of
// the program and panic.
func New(opts Options) *Handler {
	if opts.Store == nil || opts.Planner == nil || opts.Status == nil {
		panic("api.New: Store, Planner and Status are required")
	}
	opts.fill()
	h := &Handler{
		opts: opts, mux: http.NewServeMux(), routes: routes(), people: &directory{store: opts.Store},
		metrics: newMetrics(opts.Metrics), large: make(chan struct{}, maxLarge), lists: make(chan struct{}, maxLarge), streamsOf: map[string]int{},
	}
	h.document = sync.OnceValues(func() ([]byte, error) { return document(h.routes, opts.Version) })
	for _, rt := range h.routes {
		h.mux.Handle(rt.method+" "+rt.pattern, h.serve(rt))
	}
	h.mux.Handle("/", h.elsewhere())
	health := Health(opts.Ready)
	h.mux.Handle("GET /healthz", health)
	h.mux.Handle("GET /readyz", health)
	return h
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Limits sets the bounds on headers and idle connections that the API is made for, and lets it remember whose a connection
// is. What bounds bodies and answers is the handler's own, because streams last.
func Limits(s *http.Server) {
	s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, judgedKey{}, new(secrets.Judged))
	}
	s.ReadHeaderTimeout = 10 * time.Second
	s.IdleTimeout = 2 * time.Minute
	s.MaxHeaderBytes = 64 << 10
}
