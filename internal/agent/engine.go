package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/plan"
	"weir/internal/secrets"
)

// engine brings one HAProxy to what is wanted. It is used by one goroutine.
type engine struct {
	log     *slog.Logger
	clock   func() time.Time
	options hapctl.Options
	env     haproxy.Env
	// key gives a private key by its reference; keyRefs are those of the node that was rendered last.
	key     func(certificate string, ref weir.SealedRef) (secrets.Secret, error)
	keyRefs map[string]weir.SealedRef

	folder, staging *folder
	quarantine      *quarantine
	process         *hapctl.Process

	// have is what HAProxy was read back to have, want what it was last brought to, good the resources of that.
	have, want haproxy.Config
	good       []ir.Resource
	forms      *goodForms
	assembler  ir.Assembler
	zones      map[string]string // of pools
	// interrupt gives a value when something newer is wanted; waitedSince is when a backend was first waited for.
	interrupt   chan struct{}
	waitedSince map[string]time.Time
	// refusedBinds says why an address is left out.
	refusedBinds map[netip.AddrPort]string
	reloads      reloads
	waiting      []plan.Op
	// stateFile is held while HAProxy is about to read the file of the servers' state.
	stateFile sync.Mutex
}

// reloads counts what the agent did to HAProxy as a whole.
type reloads struct {
	Count, Starts int
	Last          time.Time
	Reasons       []string
}

// outcome is what one pass did.
type outcome struct {
	// Expires is when an override ends next, zero for never.
	Expires time.Time
	// Plan is what was executed, Reloaded says that it was by reload or start.
	Plan     plan.Plan
	Reloaded bool
	// Held are the objects put into quarantine in this pass.
	Held []string
}

// maxRounds bounds how often one pass starts over: each round quarantines something or brings HAProxy closer.
const maxRounds = 100

// converge brings HAProxy to the resources; what it refuses is put into quarantine, and the rest ships.
func (e *engine) converge(ctx context.Context, all []ir.Resource) (outcome, error) {
	var out outcome
	var last error
	for range maxRounds {
		list, err := e.quarantine.effective(all)
		if err != nil {
			return out, err
		}
		node, err := e.assembler.Assemble(list)
		if err != nil {
			return out, err
		}
		node, out.Expires = node.At(e.clock())
		want := e.render(node)
		done, err := e.apply(ctx, want, &out)
		if err == nil && done {
			e.want, e.good, e.zones = want, list, zonesOf(node)
			if err := e.forms.keep(list); err != nil {
				e.log.Warn("a refused object may have no good form after a restart", "error", err)
			}
			return out, e.folder.sweep(want)
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil || errors.Is(err, hapctl.ErrInterrupted) {
			return out, err
		}
		owners, held := e.hold(ctx, err, all, list, want)
		if !held {
			return out, err
		}
		out.Held = append(out.Held, owners...)
		last = err
	}
	return out, fmt.Errorf("converge: HAProxy refuses one thing after the other, last: %w", last)
}

// render decides what HAProxy is told, on this machine.
func (e *engine) render(node ir.Node) haproxy.Config {
	e.env.User, e.env.Group = account(node.Tuning.User, node.Tuning.Group)
	for _, c := range node.Certificates {
		if c.Key != nil {
			e.keyRefs[c.Name] = *c.Key
		}
	}
	return haproxy.Render(node, e.env)
}

// apply makes one step towards want: false means that it must be looked at again, since something was learnt
// on the way.
func (e *engine) apply(ctx context.Context, want haproxy.Config, out *outcome) (bool, error) {
	p := plan.Diff(e.have, want)
	starting := e.process == nil
	if risky(p) || starting {
		if err := e.check(ctx, want); err != nil {
			return false, err
		}
	}
	if starting || len(p.Reload) > 0 {
		if e.refuseBinds(want) {
			return false, nil
		}
	}
	if starting || len(p.Reload) > 0 {
		e.folder.doubt()
	}
	if err := e.folder.save(want, e.keys); err != nil {
		return false, err
	}
	switch {
	case starting:
		out.Reloaded = true
		return false, e.start(ctx, want)
	case len(p.Reload) > 0:
		out.Plan.Reload, out.Reloaded = p.Reload, true
		return false, e.reload(ctx, want, p.Reload)
	case len(p.Ops) > 0:
		out.Plan.Ops = append(out.Plan.Ops, e.news(p.Ops)...)
		return e.execute(ctx, want, p.Ops)
	}
	e.waiting = nil
	return true, nil
}

// risky says that a plan could bring something to disk that a HAProxy which starts anew refuses.
func risky(p plan.Plan) bool {
	return len(p.Reload) > 0 || slices.ContainsFunc(p.Ops, func(op plan.Op) bool {
		switch op.Kind {
		case plan.NewCert, plan.SetCert, plan.NewCA, plan.SetCA, plan.MapSwap:
			return true
		case plan.MapAdd, plan.MapSet:
			return strings.Contains(op.Path, "regex")
		}
		return false
	})
}

// check lets HAProxy read the whole configuration in a folder beside.
func (e *engine) check(ctx context.Context, want haproxy.Config) error {
	if err := e.staging.save(want, e.keys); err != nil {
		return err
	}
	return hapctl.Check(ctx, e.options.Path, e.staging.dir, haproxy.ConfigFile)
}

// refuseBinds tries the addresses that HAProxy doesn't listen at yet, since one that can't be bound would
// close all its listeners for two seconds. It says whether the list of those to leave out has changed.
func (e *engine) refuseBinds(want haproxy.Config) bool {
	var ours []netip.AddrPort
	if e.process != nil {
		for _, b := range e.have.Binds() {
			ours = append(ours, b.AddrPort)
		}
	}
	changed := false
	for _, b := range want.Binds() {
		if err := hapctl.TestBind(b.AddrPort, ours); err != nil {
			e.refusedBinds[b.AddrPort] = err.Error()
			e.env.Unbindable[b.AddrPort] = true
			e.log.Warn("address left out", "address", b.AddrPort, "owner", b.Owner, "error", err)
			changed = true
		}
	}
	return changed
}

// retryBinds tries again what was left out; true means that some can be bound now.
func (e *engine) retryBinds() bool {
	changed := false
	for a := range e.refusedBinds {
		if hapctl.TestBind(a, nil) == nil {
			delete(e.refusedBinds, a)
			delete(e.env.Unbindable, a)
			changed = true
		}
	}
	return changed
}

func (e *engine) start(ctx context.Context, want haproxy.Config) error {
	e.stateFile.Lock()
	defer e.stateFile.Unlock()
	if text, err := os.ReadFile(e.folder.path(haproxy.StateFile)); err == nil {
		if err := e.carry(string(text), want); err != nil {
			return err
		}
	}
	process, err := hapctl.Start(ctx, e.options)
	if err != nil {
		return err
	}
	e.process = process
	e.reloads.Starts++
	return e.loaded(ctx, want)
}

func (e *engine) reload(ctx context.Context, want haproxy.Config, reasons []plan.Reason) error {
	e.stateFile.Lock()
	defer e.stateFile.Unlock()
	// Without this every checked server would come up at once, dead ones too.
	text, err := e.process.Client().ServersStateText(ctx)
	if err == nil {
		err = e.carry(text, want)
	}
	if err != nil {
		return err
	}
	if _, err := e.process.Reload(ctx); err != nil {
		return errors.Join(err, e.restore())
	}
	e.reloads.Count++
	e.reloads.Last = e.clock()
	e.reloads.Reasons = nil
	for _, r := range reasons {
		e.reloads.Reasons = append(e.reloads.Reasons, r.String())
	}
	return e.loaded(ctx, want)
}

// carry writes what is known of the servers for a HAProxy that reads want. What can't be read is no loss: every
// server then waits for its first check.
func (e *engine) carry(text string, want haproxy.Config) error {
	carried, err := haproxy.CarryState(text, e.have, want)
	if err != nil {
		e.log.Debug("servers' state is left out", "error", err)
		carried = ""
	}
	return secrets.WriteFile(e.folder.path(haproxy.StateFile), []byte(carried), 0o600)
}

// restore puts the files of what HAProxy runs with back on disk.
func (e *engine) restore() error {
	if len(e.want.Sections) == 0 {
		return nil
	}
	return e.folder.save(e.want, e.keys)
}

// loaded reads back what HAProxy has after it has read its files, and notes which text that was.
func (e *engine) loaded(ctx context.Context, want haproxy.Config) error {
	if err := e.observe(ctx, want); err != nil {
		return err
	}
	info, err := e.process.Client().Info(ctx)
	if err != nil {
		return err
	}
	return e.note(running{Worker: info.Pid, Sections: want.Sections})
}

// observe takes what HAProxy has for true.
func (e *engine) observe(ctx context.Context, known haproxy.Config) error {
	seen, err := e.process.Client().Observe(ctx, known)
	if err != nil {
		return err
	}
	e.have = seen
	return nil
}

// observeBroken is observe after something that was not brought to its end. plan.Diff believes that a server which
// is enabled is up; those that are not, which may be new ones that nobody waited for to the end, are given to it
// as in maintenance: it enables them and waits for them before it takes away who serves in their place.
func (e *engine) observeBroken(ctx context.Context, known haproxy.Config) error {
	if err := e.observe(ctx, known); err != nil {
		return err
	}
	if plan.Diff(e.have, known).Empty() {
		return nil
	}
	states, err := e.process.Client().ServersState(ctx, "")
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	down := map[[2]string]bool{}
	for _, st := range states {
		down[[2]string{st.Backend, st.Server}] = st.Op == haproxy.OpStopped
	}
	for i := range e.have.Backends {
		b := &e.have.Backends[i]
		for j := range b.Servers {
			s := &b.Servers[j]
			s.Maintenance = s.Maintenance || s.Check && down[[2]string{b.Name, s.Name}]
		}
	}
	return nil
}

func (e *engine) execute(ctx context.Context, want haproxy.Config, ops []plan.Op) (bool, error) {
	executor := hapctl.Executor{
		Client: e.process.Client(),
		File:   func(path string) ([]byte, error) { return os.ReadFile(e.folder.path(path)) },
		Bound:  func(op plan.Op) time.Duration { return e.patience(want, op) }, Interrupt: e.interrupt,
	}
	if len(e.waiting) == 0 {
		executor.Patience = removalPatience // those that have waited before must not hold up what is new
	}
	waiting, err := executor.Execute(ctx, ops)
	if errors.Is(err, hapctl.ErrInterrupted) {
		return false, e.interrupted(ctx, want, ops)
	}
	if err == nil {
		err = executor.Verify(ctx, want, ops)
	}
	if err != nil {
		known := union(want, e.have)
		known.Sections = e.have.Sections
		if seen := e.observeBroken(ctx, known); seen != nil {
			return false, errors.Join(err, seen)
		}
		var op *hapctl.OpError
		if errors.As(err, &op) && op.Op.Owner == "" {
			return false, &blamed{Owner: "", Err: err}
		}
		return false, err
	}
	e.have, e.waiting, e.waitedSince = plan.Apply(plan.Plan{Ops: without(ops, waiting)}, e.have), waiting, nil
	return true, nil
}

// removalPatience is how long removals wait for connections to end before everything else goes on.
const removalPatience = 100 * time.Millisecond

// news leaves out the removals that were tried before and wait still, with what goes before them.
func (e *engine) news(ops []plan.Op) []plan.Op {
	if len(e.waiting) == 0 {
		return ops
	}
	before := map[plan.Kind]plan.Kind{plan.DisableServer: plan.RemoveServer, plan.UnpublishBackend: plan.RemoveBackend}
	return slices.DeleteFunc(slices.Clone(ops), func(op plan.Op) bool {
		return slices.ContainsFunc(e.waiting, func(w plan.Op) bool {
			return (w.Kind == op.Kind || w.Kind == before[op.Kind]) && w.Backend == op.Backend && w.Server == op.Server
		})
	})
}

// without gives the operations that have been carried out: all but those that wait.
func without(ops, waiting []plan.Op) []plan.Op {
	if len(waiting) == 0 {
		return ops
	}
	return slices.DeleteFunc(slices.Clone(ops), func(op plan.Op) bool {
		return slices.ContainsFunc(waiting, func(w plan.Op) bool {
			return w.Kind == op.Kind && w.Backend == op.Backend && w.Server == op.Server
		})
	})
}

// bound is how long the first check of the servers that are waited for may take.
func bound(want haproxy.Config, op plan.Op) time.Duration {
	longest := time.Duration(0)
	for _, b := range want.Backends {
		if b.Name != op.Backend {
			continue
		}
		for _, s := range b.Servers {
			if slices.Contains(op.Servers, s.Name) {
				longest = max(longest, hapctl.CheckBound(s.Options))
			}
		}
	}
	return longest
}

// patience is how long the servers of an operation may still be waited for, interruptions counted in.
func (e *engine) patience(want haproxy.Config, op plan.Op) time.Duration {
	if e.waitedSince == nil {
		e.waitedSince = map[string]time.Time{}
	}
	since, ok := e.waitedSince[op.Backend]
	if !ok {
		since = time.Now()
		e.waitedSince[op.Backend] = since
	}
	return bound(want, op) - time.Since(since)
}

// interrupted takes for have what was done before the wait; the servers that were waited for are planned for
// anew, as plan.Diff has it.
func (e *engine) interrupted(ctx context.Context, want haproxy.Config, ops []plan.Op) error {
	known := union(want, e.have)
	known.Sections = e.have.Sections
	if err := e.observe(ctx, known); err != nil {
		return err
	}
	for _, op := range ops {
		if op.Kind != plan.WaitUp {
			continue
		}
		for i := range e.have.Backends {
			if b := &e.have.Backends[i]; b.Name == op.Backend {
				b.Servers = slices.Clone(b.Servers)
				for j := range b.Servers {
					if slices.Contains(op.Servers, b.Servers[j].Name) {
						b.Servers[j].Maintenance = true
					}
				}
			}
		}
	}
	return hapctl.ErrInterrupted
}

// resume attaches to the HAProxy that an earlier run left serving, if there is one.
func (e *engine) resume(ctx context.Context, all []ir.Resource) error {
	process, err := hapctl.Attach(ctx, e.options)
	if err != nil {
		return nil //nolint:nilerr // none is there: it is started
	}
	e.process = process
	list, err := e.quarantine.effective(all)
	if err != nil {
		return err
	}
	node, err := ir.Assemble(list)
	if err != nil {
		return err
	}
	node, _ = node.At(e.clock())
	// An open transaction would refuse every later change of a certificate.
	if err := process.Client().AbortCert(ctx); err != nil {
		return err
	}
	running := e.runningSections(ctx)
	known := union(e.render(node), haproxy.Named(running))
	known.Sections = running
	return e.observeBroken(ctx, known)
}

// keys gives the key of a certificate of the node that was rendered last. One whose last good form stands in
// has its key in its own file still.
func (e *engine) keys(certificate, chain, path string) (secrets.Secret, error) {
	key, err := e.key(certificate, e.keyRefs[certificate])
	if err == nil {
		return key, nil
	}
	if have, rerr := os.ReadFile(e.folder.path(path)); rerr == nil {
		if rest, ok := strings.CutPrefix(string(have), withNewline(chain)); ok && rest != "" {
			return secrets.NewSecret([]byte(rest)), nil
		}
	}
	return secrets.Secret{}, err
}

func (e *engine) runningPath() string { return filepath.Join(e.folder.dir, "running.json") }

// spare names what HAProxy keeps until its next reload although nobody asks for it.
func (e *engine) spare() []string { return plan.Spare(e.have, e.want) }
