package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// standIn is a control plane that hands out states and keeps what it is told.
type standIn struct {
	states chan link.State
	mu     sync.Mutex
	last   link.Report
	count  int
}

func (s *standIn) Name() string { return "lb1" }

func (s *standIn) Close() error { return nil }

func (s *standIn) Key(string, weir.SealedRef) (secrets.Secret, error) {
	return secrets.Secret{}, fmt.Errorf("no keys here")
}

func (s *standIn) Run(ctx context.Context, sink func(link.State)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case st := <-s.states:
			sink(st)
		}
	}
}

func (s *standIn) Report(r link.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = r
	s.count++
}

func (s *standIn) report() link.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// logBook keeps what is logged.
type logBook struct {
	slog.Handler
	mu      sync.Mutex
	records []slog.Record
}

func newLogBook(t testing.TB) *logBook {
	return &logBook{Handler: slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})}
}

func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }

func (b *logBook) WithAttrs([]slog.Attr) slog.Handler { return b }

func (b *logBook) Handle(ctx context.Context, r slog.Record) error {
	b.mu.Lock()
	b.records = append(b.records, r.Clone())
	b.mu.Unlock()
	return b.Handler.Handle(ctx, r)
}

// lines gives the records of that message from a level on, as the text of their attributes.
func (b *logBook) lines(message string, from slog.Level) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, r := range b.records {
		if r.Message != message || r.Level < from {
			continue
		}
		text := ""
		r.Attrs(func(a slog.Attr) bool {
			text += " " + a.Key + "=" + a.Value.String()
			return true
		})
		out = append(out, text)
	}
	return out
}

// agentBed is a whole agent with a real HAProxy, without a network between it and who wants something of it.
type agentBed struct {
	*bed
	agent    *Agent
	plane    *standIn
	log      *logBook
	revision int64
	newer    chan struct{} // of the state offered last
	end      func()
}

func newAgentBed(t *testing.T, h weirtest.HAProxy, edit ...func(*Options)) *agentBed {
	t.Helper()
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	a := &agentBed{plane: &standIn{states: make(chan link.State)}, log: newLogBook(t)}
	o := Options{Dir: weirtest.TempDir(t), HAProxy: h.Path, Log: slog.New(a.log), Clock: time.Now, StopWithAgent: true}
	for _, f := range edit {
		f(&o)
	}
	if a.agent, err = openBeside(a.plane, o, h.Full, version, newTicketKeeper(openTicketFile(o.TicketDir), o.Log, o.Clock)); err != nil {
		t.Fatal(err)
	}
	a.bed = &bed{t: t, prefix: weirtest.Prefix(t), engine: a.agent.engine}
	a.node = a.newNode()
	a.agent.engine.options.DieWithParent = true
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.agent.Run(ctx) }()
	a.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ends with %v", err)
		}
	})
	t.Cleanup(a.end)
	return a
}

// wish hands the node to the agent, which has dealt with it when this returns.
func (a *agentBed) wish() {
	a.t.Helper()
	a.offer()
	a.await(func(r link.Report) error {
		if r.State != link.Converged || r.Revision != a.revision {
			return fmt.Errorf("revision %d is %s at %d: %s", a.revision, r.State, r.Revision, r.Message)
		}
		return nil
	})
}

// offer hands the node over and does not wait for more.
func (a *agentBed) offer() {
	a.t.Helper()
	a.revision++
	list := slices.Clone(a.node.Resources())
	if a.newer != nil {
		close(a.newer)
	}
	a.newer = make(chan struct{})
	select {
	case a.plane.states <- link.State{Epoch: "e", Revision: a.revision, Hash: link.Hash{byte(a.revision)}, Resources: list, Newer: a.newer}:
	case <-time.After(longWait):
		a.t.Fatal("the agent takes no new state")
	}
}

// await waits until the agent's report is good.
func (a *agentBed) await(good func(link.Report) error) {
	a.t.Helper()
	weirtest.Eventually(a.t, longWait, func() error { return good(a.plane.report()) })
}

// longWait is a bound for a broken agent, no measurement.
const longWait = weirtest.Patience

// elsewhere is a range that no machine has.
var elsewhere = netip.MustParsePrefix("192.0.2.16/28")
