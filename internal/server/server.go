// Package server runs the control plane: the store, the API, the loop that compiles wishes for the fleet, and
// the link to the agents.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/api"
	"weir/internal/console"
	"weir/internal/dns01"
	"weir/internal/link"
	"weir/internal/registrar"
	"weir/internal/secrets"
	"weir/internal/signin"
	"weir/internal/sources"
	"weir/internal/store"
)

// Options say where a control plane keeps its things and listens.
type Options struct {
	// Dir is the data folder; it is made when absent.
	Dir string
	// Cluster, when set, is an etcd outside that holds the store instead of the data folder; several servers may
	// share it.
	Cluster *Cluster
	// Grow lets an embedded store have members on other machines.
	Grow Grow
	// Advertise is the URL at which the other servers of the store reach this one; empty is worked out from Names
	// and Listen.
	Advertise string
	// Listen is the address of API and link, host:port; port 0 picks one.
	Listen string
	// People, when set, is a listener for people's browsers besides Listen.
	People *People
	// MetricsListen is the address of /metrics, /healthz and /readyz, without TLS; empty for none.
	MetricsListen string
	// Prometheus is the URL of one that scrapes the store's servers, to be asked for figures of more than the last hour;
	// empty for none.
	Prometheus string
	// Names and Addresses are what the server's certificate is for, besides localhost and Listen's own.
	Names     []string
	Addresses []netip.Addr
	// SealingKey is the text of the key that seals secrets; empty keeps one in the data folder.
	SealingKey string
	// SealingKeyFile is the file that holds it instead; it is read again when it changes.
	SealingKeyFile string
	// ChallengePrograms is the folder of the programs that issuers may name for dns-01; empty for none.
	ChallengePrograms string
	// DiscoveryDestinations are the networks and hosts of the inside that DiscoverySources may ask, besides public ones.
	DiscoveryDestinations []string
	// DiscoveryFiles is the folder of the lists that DiscoverySources may read; empty for none.
	DiscoveryFiles string
	// RegistrationLease is how long a server that registers itself may be silent; 30 s when 0.
	RegistrationLease time.Duration
	// Backups, when set, are made by themselves.
	Backups *Backups
	Version string
	Log     *slog.Logger
	Clock   func() time.Time
	// Ready, when set, is told once everything is served.
	Ready func(Listening)
}

// Cluster names an etcd outside.
type Cluster = store.Cluster

// Listening says where a control plane is found.
type Listening struct {
	// URL is of the API; People of the listener for people's browsers, Metrics of the plain one, empty for none.
	URL, People, Metrics string
	// CAHash is what clients pin.
	CAHash string
	// TokenFile holds the first admin's token; empty where that is not, as on all but the first server of a store.
	TokenFile string
}

// The files in the data folder.
const (
	bundleFile  = "ca.crt"
	storeDir    = "etcd"
	keyFile     = KeyFile
	tokenFile   = "admin.token"
	serverFile  = "server.pem"
	auditFile   = "audit.jsonl"
	firstAuthor = "weir"
)

// The bounds of the HTTP server.
const (
	headerPatience = 10 * time.Second
	stopPatience   = 5 * time.Second
	auditBytes     = 64 << 20
	auditKeep      = 10
)

// Run serves until ctx ends, and then lets requests in flight finish for a while.
func Run(ctx context.Context, o Options) error {
	o.fill()
	return (&server{opts: o}).run(ctx)
}

func (s *server) run(ctx context.Context) error {
	defer s.close()
	for _, step := range []func(context.Context) error{s.openKeys, s.openPrograms, s.openReach, s.openStore, s.openCA, s.firstStart, s.readRestored, s.openBackups, s.build} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return s.serve(ctx)
}

func (o *Options) fill() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
}

type server struct {
	opts    Options
	ca      *secrets.CA
	keyring *secrets.Keyring
	// programs answer dns-01 challenges; nil when there is no folder of them.
	programs *dns01.Hooks
	reach    sources.Reach
	audit    *secrets.Audit
	store    *store.Store
	hub      *link.Hub
	fleet    *fleet
	annals   *annals
	handler  *api.Handler
	checks   *checkLog
	metrics  *prometheus.Registry
	// registrar takes the registrations of servers.
	registrar *registrar.Registrar
	// signIn makes the sessions of browsers.
	signIn *signin.Desk
	// restored is the restore that the store comes from, nil without one.
	restored atomic.Pointer[api.Restored]
	backups  *backups // nil when none are to be made

	// closers are run last in, first out.
	closers []func() error
}

func (s *server) path(name string) string { return filepath.Join(s.opts.Dir, name) }

func (s *server) tokenFileIfThere() string {
	if _, err := os.Stat(s.path(tokenFile)); err != nil {
		return ""
	}
	return s.path(tokenFile)
}

func (s *server) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i](); err != nil {
			s.opts.Log.Error("stop", "error", err)
		}
	}
}

func (s *server) openKeys(context.Context) error {
	if err := os.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	var err error
	switch {
	case s.opts.SealingKeyFile != "":
		s.keyring, err = readKeyFile(s.opts.SealingKeyFile)
	case s.opts.SealingKey != "":
		s.keyring, err = secrets.ParseKeyring(s.opts.SealingKey)
	default:
		s.keyring, err = secrets.OpenOrCreateKeyring(s.path(keyFile))
	}
	if err != nil {
		return err
	}
	if s.audit, err = secrets.OpenAudit(s.path(auditFile), auditBytes, auditKeep, s.opts.Clock); err != nil {
		return err
	}
	s.closers = append(s.closers, s.audit.Close)
	return nil
}

func (s *server) openStore(ctx context.Context) error {
	if err := s.notLost(); err != nil {
		return err
	}
	var err error
	s.store, err = store.Open(ctx, s.storeOptions())
	if err == nil {
		s.closers = append(s.closers, s.store.Close)
	}
	return err
}

func (s *server) storeOptions() store.Options {
	return store.Options{
		Dir: s.path(storeDir), Cluster: s.opts.Cluster, Logger: s.opts.Log, Clock: s.opts.Clock, Keyring: s.keyring,
		Check: weir.Check, Prepare: s.prepare, Peers: s.peers(),
	}
}

// prepare completes what only the control plane writes.
func (s *server) prepare(o *weir.Object) []weir.Problem {
	if s.store == nil {
		return nil
	}
	if issuer, ok := o.Spec.(*weir.Issuer); ok {
		return s.prepareIssuer(o.Ref(), issuer)
	}
	if source, ok := o.Spec.(*weir.DiscoverySource); ok {
		return s.prepareSource(o.Ref(), source)
	}
	lb, ok := o.Spec.(*weir.LoadBalancer)
	if !ok {
		return nil
	}
	// An old export must not let certificates back in that a new enrolment has shut out.
	if before := weir.Find[weir.LoadBalancer](s.store.View(), "LoadBalancer", o.Metadata.Name); before != nil && lb.EnrolledAt.Before(before.EnrolledAt) {
		lb.EnrolledAt = before.EnrolledAt
	}
	return nil
}

// firstStart makes the first admin's token, once in the life of a store.
func (s *server) firstStart(ctx context.Context) error {
	if s.store.Revision() > 0 {
		return nil
	}
	text, hash := secrets.NewToken("admin")
	if err := secrets.WriteFile(s.path(tokenFile), []byte(text+"\n"), 0o600); err != nil {
		return err
	}
	object := func(kind, name string, spec weir.Spec) weir.Write {
		return weir.Write{Put: &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name}, Spec: spec}, IfMatch: weir.MustNotExist}
	}
	_, err := s.store.Apply(ctx, store.Request{
		Author: firstAuthor, Reason: "first start",
		Writes: []weir.Write{
			object("Token", "first-admin", &weir.Token{Subject: "admin", Hash: hash}),
			object("Grant", "admin", &weir.Grant{Subject: "admin", Role: "*", Right: weir.Admin}),
		},
	})
	if weir.KindOf(err) == weir.Stale || weir.KindOf(err) == weir.Conflict {
		// Another server of the store was first, and wrote the token that counts.
		return os.Remove(s.path(tokenFile))
	}
	if err == nil {
		s.opts.Log.Info("first start: the admin's token is in a file", "file", s.path(tokenFile))
	}
	return err
}

func (s *server) build(ctx context.Context) error {
	epoch, err := s.epoch(ctx)
	if err != nil {
		return err
	}
	book := newTicketBook(s.opts.Clock)
	s.hub, err = link.NewHub(link.HubOptions{
		Epoch: epoch, CA: s.ca, Registry: &registry{store: s.store, audit: s.audit, clock: s.opts.Clock, log: s.opts.Log, restored: s.Restored},
		Keys: func(ctx context.Context, certificate string, generation int64) (secrets.Secret, error) {
			return s.store.Secret(ctx, weir.Ref{Kind: "Certificate", Name: certificate}, generation)
		},
		Tickets: book, Held: s.held(), Log: s.opts.Log, Now: s.opts.Clock,
	})
	if err != nil {
		return err
	}
	s.fleet = newFleet(s.store, s.hub, s.opts)
	s.fleet.restored = s.Restored
	s.fleet.tickets, book.fleet = book, s.fleet
	s.annals = newAnnals(s.hub.Reports().All, s.fleet.believed, s.opts.Clock)
	if s.annals.prometheus, err = newPrometheusSource(s.opts.Prometheus); err != nil {
		return err
	}
	s.metrics = prometheus.NewRegistry()
	s.metrics.MustRegister(s.fleet, s.annals)
	s.registerBackups(s.metrics)
	s.registrar = registrar.New(registrar.Options{Store: s.store, CA: s.ca, Lease: s.opts.RegistrationLease, Clock: s.opts.Clock, Log: s.opts.Log})
	s.registerRegistrations(s.metrics)
	s.signIn = signin.New(signin.Options{Store: s.store, Dial: s.reach.Destinations.Dial, Audit: s.audit, Clock: s.opts.Clock, Log: s.opts.Log})
	s.checks = newCheckLog(s.opts.Clock(), s.fleet.havers)
	s.handler = api.New(api.Options{
		Store: s.store, Planner: s.fleet, Status: s.fleet, Audit: s.audit, Clock: s.opts.Clock, Logger: s.opts.Log,
		Version: s.opts.Version, CAHash: s.ca.CAHash, Metrics: s.metrics,
		Restore: s, Spool: s.opts.Dir, Waves: s.fleet, TicketKeys: book, Sources: s.fleet, Series: s.annals,
		Members: memberSource{s.store}, Registrar: s.registrar, SignIn: s.signIn,
		Logs:   errands{s.hub, s.opts.Clock},
		Tries:  errands{s.hub, s.opts.Clock},
		Checks: s.checks,
		CA:     &authority{ca: s.ca, store: s.store, hub: s.hub, clock: s.opts.Clock, unaware: s.registrar.Unaware},
		Ready:  func(context.Context) error { return s.fleet.ready() },
	})
	return s.fleet.load(ctx)
}

// once is the work that one server of the store does, by the name of its lease.
func (s *server) once() map[string]func(context.Context) error {
	work := map[string]func(context.Context) error{
		leadSweep: func(ctx context.Context) error {
			sweeper{s.store, s.opts.Clock, s.opts.Log}.run(ctx)
			return ctx.Err()
		},
		leadWaves:         s.fleet.driveWaves,
		leadSessions:      s.signIn.Tend,
		leadTickets:       s.fleet.tickets.drive,
		leadCertificates:  s.accepted(s.certificates().Run),
		leadSealing:       s.driveSealing,
		leadSources:       s.accepted(s.sources().Run),
		leadLists:         s.accepted(s.lists().Run),
		leadRegistrations: s.accepted(s.registrar.Tend),
	}
	if s.backups != nil {
		work[leadBackup] = s.backups.run
	}
	return work
}

// serve listens and serves until ctx ends.
func (s *server) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		return fmt.Errorf("listen for API and agents: %w", err)
	}
	keeper := s.certificate(listener.Addr())
	if err := keeper.renew(); err != nil {
		return errors.Join(err, listener.Close())
	}
	config := secrets.ServerTLS(secrets.ServerConfig{
		Certificate: keeper.get, Trust: s.ca.Trust, Now: s.opts.Clock,
	})
	config.NextProtos = []string{"h2", "http/1.1"}
	mux := http.NewServeMux()
	mux.Handle(link.Prefix, s.hub.Handler())
	mux.HandleFunc("POST "+joinPath, s.letIn)
	mux.Handle("/", front(s.handler))
	main := &http.Server{
		Handler: mux, TLSConfig: config, HTTP2: link.HTTP2(), ReadHeaderTimeout: headerPatience,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	api.Limits(main)
	plain, plainURL, err := s.plainServer()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	people, peopleURL, err := s.peopleServer(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	failed := make(chan error, 5)
	go func() {
		if err := s.lost(ctx); err != nil {
			failed <- err
		}
	}()
	go func() { failed <- main.Serve(tls.NewListener(listener, config)) }()
	go func() { failed <- s.fleet.run(ctx) }()
	var led sync.WaitGroup
	for name, work := range s.once() {
		led.Go(func() { s.store.Lead(ctx, name, work) })
	}
	changed := make(chan struct{}, 1)
	announceAgain := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	go s.followKeyFile(ctx, announceAgain)
	own := s.advertised(listener.Addr())
	go s.announce(ctx, own, keeper.get, changed)
	go s.hearOthers(ctx, own)
	go s.followRestored(ctx)
	go s.fleet.followWaves(ctx)
	go s.checks.follow(ctx, s.hub.Reports())
	go s.annals.run(ctx)
	go s.registrar.Follow(ctx)
	go s.signIn.Follow(ctx)
	go s.fleet.tickets.follow(ctx)
	go s.fleet.tickets.watch(ctx)
	go s.followChallenges(ctx)
	go s.followOrders(ctx)
	go s.followAccounts(ctx)
	go s.followSources(ctx)
	go s.followLists(ctx)
	go s.followCA(ctx, func() {
		if err := keeper.renew(); err != nil {
			s.opts.Log.Error("renew the server's certificate", "error", err)
		}
		announceAgain()
	})
	if plain != nil {
		go func() { failed <- plain() }()
	}
	if people != nil {
		go func() { failed <- people() }()
	}
	s.awaitAnnounced(ctx)
	if s.opts.Ready != nil {
		s.opts.Ready(Listening{URL: "https://" + listener.Addr().String(), People: peopleURL, Metrics: plainURL, CAHash: s.ca.CAHash(), TokenFile: s.tokenFileIfThere()})
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.hub.Close()
	cancel()
	led.Wait()
	stop, done := context.WithTimeout(context.Background(), stopPatience)
	defer done()
	if serr := main.Shutdown(stop); serr != nil {
		err = errors.Join(err, main.Close())
	}
	return err
}

// plainServer serves what watches the server, on a listener of its own.
func (s *server) plainServer() (func() error, string, error) {
	if s.opts.MetricsListen == "" {
		return nil, "", nil
	}
	listener, err := net.Listen("tcp", s.opts.MetricsListen)
	if err != nil {
		return nil, "", fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", metricsPage(s.metrics, s.opts.Log))
	health := api.Health(func(context.Context) error { return s.fleet.ready() })
	mux.Handle("/healthz", health)
	mux.Handle("/readyz", health)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: headerPatience, ReadTimeout: headerPatience}
	s.closers = append(s.closers, srv.Close)
	return func() error {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, "http://" + listener.Addr().String(), nil
}

// certificate keeps the server's certificate fresh: it is asked at every handshake.
func (s *server) certificate(at net.Addr) *keeper {
	names := append([]string{"localhost"}, s.opts.Names...)
	addresses := append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, s.opts.Addresses...)
	if a, err := netip.ParseAddrPort(at.String()); err == nil && !a.Addr().IsUnspecified() {
		addresses = append(addresses, a.Addr().Unmap())
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	return &keeper{issue: func() (tls.Certificate, error) { return s.ca.ServerCertificate(s.path(serverFile), names, addresses) }, clock: s.opts.Clock, log: s.opts.Log}
}

// front gives people the console and programs the API, at one address.
func front(handler http.Handler) http.Handler {
	pages := console.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if console.Takes(r) {
			pages.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
}
