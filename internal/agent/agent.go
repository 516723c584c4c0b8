// Package agent runs one load balancer: it takes what the control plane wants, brings a real HAProxy to it at
// run time, reads back what HAProxy has, and reports that. It goes on without the control plane.
//
// The way of a state, and the file that has each step:
//
//	receive            loop.go       one goroutine takes a newer state, HAProxy's end, or time that has come
//	leave out          quarantine.go what HAProxy refused stays in its last good form; hold.go, blame.go find it
//	render             engine.go     converge: the resources become text, maps and certificates for this machine
//	stage and check    stage.go      HAProxy reads them in a folder beside; binds.go tries new addresses
//	save               folder.go     files first
//	plan               engine.go     apply: what HAProxy has against what is wanted
//	execute or load    execute.go    run-time commands; load.go starts and reloads
//	read back          readback.go   what HAProxy has now; looks.go and drift.go find what other hands did, edits.go in
//	                                 files; hands.go remembers it
//	report             report.go     to the control plane; health.go adds the servers' health and the access log's
//	                                 counters, figures.go HAProxy's own
//
// Beside all that ticketkeys.go keeps the TLS ticket keys those of the group, and errandlog.go and errandtry.go do what the control
// plane asks besides.
//
// resume.go finds the HAProxy of an earlier run; good.go and running.go keep what it needs to know then.
package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/systemd"
)

// Options say what an agent runs, where.
type Options struct {
	// Dir is the agent's own folder; an agent that has joined has its identity there.
	Dir string
	// HAProxy is the path of the binary, 3.2 or newer.
	HAProxy string
	// URLs of the control plane.
	URLs []string
	// Version is the agent's own, for people.
	Version string
	Log     *slog.Logger
	Clock   func() time.Time
	// LookEvery is how often HAProxy is read back though nothing new is wanted, to find what others changed; 2 s when
	// zero. Where looking costs much it is rarer.
	LookEvery time.Duration
	// CountEvery is how often HAProxy's counters are read; 5 s when zero. Where reading costs much it is rarer.
	CountEvery time.Duration
	// Patience is how long HAProxy may take for one answer before it is said not to answer; 15 s when zero.
	Patience time.Duration
	// TakeOver names a HAProxy of somebody else to look after; the zero value for one of the agent's own.
	TakeOver TakeOver
	// TicketDir is a folder in memory (tmpfs), of this agent alone, for TLS ticket keys; without one HAProxy draws its
	// own, and clients resume with it alone.
	TicketDir string
	// StopWithAgent ends HAProxy together with the agent; else it serves on and is found again.
	StopWithAgent bool
	// Manager is the service manager that has started the agent, which keeps its socket of log lines open while it starts
	// anew; nil for none.
	Manager *systemd.Manager
}

// control says how HAProxy is run.
func (o Options) control() hapctl.Options {
	return hapctl.Options{
		Path: o.HAProxy, Dir: filepath.Join(o.Dir, haproxyDir), Log: o.Log, Patience: o.Patience, DieWithParent: o.StopWithAgent,
		Foreign: o.foreign(), Master: o.TakeOver.Master,
	}
}

// sharesTickets says that HAProxy, as it is configured on disk, ends TLS with keys from a file, so that it is worth a
// wait to have the newest ones in it.
func (o Options) sharesTickets() bool {
	path := o.TakeOver.Config
	if path == "" {
		path = filepath.Join(o.Dir, haproxyDir, haproxy.ConfigFile)
	}
	text, err := os.ReadFile(path)
	return err == nil && bytes.Contains(text, []byte(haproxy.TicketKeysWord))
}

// foreign says that HAProxy is somebody else's.
func (o Options) foreign() bool { return o.TakeOver.Master != "" || o.TakeOver.Config != "" }

// The folders in Options.Dir.
const (
	linkDir    = "link"    // identity, resources, keys
	haproxyDir = "haproxy" // what HAProxy reads
	checkDir   = "check"   // a candidate that HAProxy is asked about first
	tryDir     = "try"     // a HAProxy that only checks, while it does
)

// Join enrols with a join token, unless the agent has an identity already.
// It gives the load balancer's name.
func Join(ctx context.Context, o Options, join link.Join) (string, error) {
	return link.Enrol(ctx, link.Options{URLs: o.URLs, Dir: filepath.Join(o.Dir, linkDir), Log: o.Log}, join)
}

// Joined says whether the folder has an identity.
func Joined(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, linkDir, "agent.crt"))
	return err == nil
}

// plane is the way to the control plane and the memory of what it wanted: a *link.Client.
type plane interface {
	Name() string
	Key(certificate string, ref weir.SealedRef) (secrets.Secret, error)
	Run(ctx context.Context, sink func(link.State)) error
	Report(r link.Report)
	Close() error
}

// Agent is one load balancer's agent.
type Agent struct {
	opts     Options
	log      *slog.Logger
	client   plane
	receiver *accesslog.Receiver
	traffic  traffic
	machine  machineWatch
	engine   *engine
	figures  *figures
	tickets  *ticketKeeper
	errands  *errandState
	started  time.Time
	haproxy  string // its version
	failing  bool   // the last pass did
	waited   string // what was said last of a HAProxy of somebody else that is not looked after
	// stateless says that the servers' state could not be kept the last time; it is the health watch's.
	stateless bool

	states chan delivery
	moved  *moved
	report reporter
}

// Open reads the folder and opens the log receiver. A HAProxy whose files rest there is started meanwhile; nothing
// else is yet.
func Open(ctx context.Context, o Options) (*Agent, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var a *Agent
	first, asked := make(chan early, 1), make(chan told, 1)
	options := link.Options{URLs: o.URLs, Dir: filepath.Join(o.Dir, linkDir), Log: o.Log, Now: o.Clock}
	keeper := newTicketKeeper(openTicketFile(o.TicketDir), o.Log, o.Clock)
	options.Tickets = keeper.brief
	options.Errands = map[string]link.Errander{
		link.TryErrand: func(ctx context.Context, body json.RawMessage, say func(any) error) error {
			return a.tryErrand(ctx, body, say)
		},
		link.LogErrand: func(ctx context.Context, body json.RawMessage, say func(any) error) error {
			return a.logErrand(ctx, body, say)
		},
	}
	options.Locked = func(any bool) {
		if any && o.sharesTickets() {
			keeper.catchUp(ctx, options)
		}
		if any && !o.foreign() {
			firstOfAll(ctx, o.control(), first)
		} else {
			first <- early{} // what the files hold is nobody's wish any more
		}
		go func() { asked <- askVersion(ctx, o.HAProxy) }() // while the journal is read
	}
	certs := newSettler(filepath.Join(o.Dir, haproxyDir))
	options.Sweeping = certs.sync
	client, err := link.Open(options)
	if err != nil {
		return nil, err
	}
	said := <-asked
	if said.err != nil {
		return nil, errors.Join(said.err, client.Close())
	}
	keeper.self, keeper.answer = client.Self, client.Answer
	a, err = openBeside(client, o, said.full, said.version, keeper)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	a.engine.early, a.engine.folder.settler = first, certs
	return a, nil
}

// told is what a HAProxy says of its version.
type told struct {
	full    string
	version haproxy.Version
	err     error
}

// askVersion refuses a HAProxy that is too old.
func askVersion(ctx context.Context, path string) (t told) {
	if t.full, t.err = hapctl.Version(ctx, path); t.err != nil {
		return t
	}
	t.version, t.err = haproxy.ParseVersion(t.full)
	if t.err == nil && !t.version.AtLeast(haproxy.Oldest.Major, haproxy.Oldest.Minor) {
		t.err = fmt.Errorf("%s is HAProxy %s; the oldest that Weir runs is %s", path, t.full, haproxy.Oldest)
	}
	return t
}

// openBeside opens all but the link.
func openBeside(client plane, o Options, full string, version haproxy.Version, keeper *ticketKeeper) (*Agent, error) {
	a := &Agent{opts: o, log: o.Log.With("loadbalancer", client.Name()), client: client, started: o.Clock(), haproxy: full, states: make(chan delivery), moved: newMoved(), tickets: keeper, errands: newErrandState()}
	a.report.report.Tickets = keeper.told()
	keeper.log, keeper.changed = a.log, a.ticketsChanged
	return a, a.open(version)
}

func (a *Agent) open(version haproxy.Version) error {
	var owned *host
	if a.opts.foreign() {
		var err error
		if owned, err = openHost(a.opts); err != nil {
			return err
		}
	}
	live, err := openFolder(filepath.Join(a.opts.Dir, haproxyDir))
	if err != nil {
		return err
	}
	staging, err := openFolder(filepath.Join(a.opts.Dir, checkDir))
	if err != nil {
		return err
	}
	staging.aside = true
	if err := os.RemoveAll(filepath.Join(a.opts.Dir, tryDir)); err != nil {
		a.log.Warn("what is left of a check that was tried when the agent was killed stays", "error", err)
	}
	if err := secrets.RemoveHalves(a.opts.Dir, live.dir, live.path("certs"), live.path("maps")); err != nil {
		a.log.Warn("what was being written when the agent was killed stays", "error", err)
	}
	for _, f := range []*folder{live, staging} {
		if err := placeholder(f); err != nil {
			return err
		}
	}
	held, err := openQuarantine(filepath.Join(a.opts.Dir, "quarantine.json"), a.haproxy, a.opts.Clock, a.log)
	if err != nil {
		return err
	}
	forms, err := openGoodForms(filepath.Join(a.opts.Dir, "good.jsonl"))
	if err != nil {
		return err
	}
	receiver, place, err := listenLog(filepath.Join(a.opts.Dir, "log.json"), a.opts.Manager, a.log)
	if err != nil {
		return err
	}
	a.receiver = receiver
	a.resumeCounts()
	if a.opts.foreign() {
		live.config, live.displace = owned.want.Config, owned.keepDisplaced
		if live.dir, err = filepath.Abs(live.dir); err != nil {
			return err
		}
	}
	a.figures = openFigures(filepath.Join(a.opts.Dir, "counters.json"), a.log, a.opts.Clock)
	control := a.opts.control()
	control.Log = a.log
	a.engine = &engine{
		log: a.log, clock: a.opts.Clock, key: a.client.Key, keyRefs: map[string]weir.SealedRef{},
		options: control, host: owned,
		env:    haproxy.Env{Version: version, Log: place, Unbindable: map[netip.AddrPort]bool{}, UnbindableUDP: map[netip.AddrPort]bool{}},
		folder: live, staging: staging, quarantine: held, halfKnown: map[string]string{}, refusedBinds: map[spot]refusal{},
		forms: forms, good: forms.resources(), figures: a.figures, prover: newProver(), tickets: a.tickets,
	}
	if owned != nil {
		a.engine.env.Home = live.dir
	}
	return nil
}

// Name is the load balancer's.
func (a *Agent) Name() string { return a.client.Name() }

// Counts are the access log's counters since the agent began.
func (a *Agent) Counts() accesslog.Counts { return a.receiver.Snapshot() }

// Run serves until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	linked := make(chan error, 1)
	go func() {
		linked <- a.client.Run(ctx, func(s link.State) {
			d := delivery{s, make(chan struct{})}
			select {
			case a.states <- d:
			case <-ctx.Done():
				return
			}
			select {
			case <-d.done:
			case <-ctx.Done():
			}
		})
	}()
	var watches sync.WaitGroup
	watches.Go(func() { a.watchHealth(ctx) })
	watches.Go(func() { a.watchFigures(ctx) })
	watches.Go(func() { a.tickets.run(ctx) })
	a.loop(ctx)
	cancel()
	watches.Wait()
	err := <-linked
	if a.engine.early != nil { // nobody has wanted anything yet
		if aerr := a.engine.adopt(context.WithoutCancel(ctx)); aerr != nil {
			a.log.Warn("an agent that starts anew would reload, since it can't be kept which text runs", "error", aerr)
		}
	}
	if a.opts.StopWithAgent && a.engine.process != nil {
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer done()
		if serr := a.engine.process.Stop(stop); serr != nil && !errors.Is(serr, hapctl.ErrKilled) {
			err = errors.Join(err, serr)
		}
	}
	err = errors.Join(err, a.receiver.Close(), a.client.Close())
	a.keepCounts()
	return err
}
