package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
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
	// judged are the resources of which it is known whether this agent understands them; halfKnown says what it does not
	// understand of those that it can't do without.
	judged    []*ir.Resource
	halfKnown map[string]string
	process   *hapctl.Process
	host      *host // nil for a HAProxy of the agent's own
	resumed   bool  // whether one runs already was found out
	// early gives, once, the HAProxy that was started when the agent began; nil when nobody tried.
	early  <-chan early
	rest   rest
	prover *prover
	// figures are nil where nobody counts.
	figures *figures
	tickets *ticketKeeper // nil where nobody keeps TLS ticket keys

	// have is what HAProxy was read back to have, want what it was last brought to, good the resources of that.
	have, want haproxy.Config
	good       []*ir.Resource
	forms      *goodForms
	assembler  ir.Assembler
	renderer   haproxy.Renderer
	zones      map[string]string // of pools
	// interrupt gives a value or is closed when something newer is wanted; waitedSince is when a backend was first waited for.
	interrupt   <-chan struct{}
	waitedSince map[string]time.Time
	// refusedBinds says why an address is left out.
	refusedBinds map[spot]refusal
	// noNamespace says why the one in env.NoNamespace can't be entered.
	noNamespace refusal
	reloads     reloads
	ended       link.EndReport
	waiting     []plan.Op
	acted       time.Time // when run-time commands were last sent
	unnoted     *running  // which text runs, as long as that is not on disk
	// mode says what becomes of what other hands did; hands remembers that, worker is the process that was met last, and
	// lost says that the one before ended without this agent.
	mode   weir.DriftMode
	hands  hands
	worker worker
	lost   bool
	beside int // files that HAProxy counts when it starts, besides checks; 0 when that is not known
	// stateFile is held while HAProxy is about to read the file of the servers' state.
	stateFile sync.Mutex
}

// outcome is what one pass did.
type outcome struct {
	// Expires is when an override ends next, zero for never.
	Expires time.Time
	// Plan is what was executed. Started and Reloaded say that HAProxy was, which reads everything from its files.
	Plan              plan.Plan
	Started, Reloaded bool
	// Held are the objects put into quarantine in this pass.
	Held []string
}

// idle says that a pass found everything as it should be.
func (o outcome) idle() bool {
	return !o.Started && !o.Reloaded && o.Plan.Empty() && len(o.Held) == 0
}

// maxRounds bounds how often one pass starts over: each round quarantines something or brings HAProxy closer.
const maxRounds = 100

// converge brings HAProxy to the resources; what it refuses is put into quarantine, and the rest ships.
func (e *engine) converge(ctx context.Context, all []*ir.Resource) (outcome, error) {
	var out outcome
	var last error
	for range maxRounds {
		if err := e.releasePassed(all); err != nil {
			return out, err
		}
		list, err := e.effective(all)
		if err != nil {
			return out, err
		}
		node, err := e.assembler.Assemble(list)
		if err != nil {
			return out, err
		}
		node, out.Expires = node.At(e.clock())
		e.mode = node.Group.Drift
		e.forgetBinds(node)
		e.refuseSources(node)
		want := e.render(node)
		if freed, err := e.releaseFiles(want); freed || err != nil {
			if err != nil {
				return out, err
			}
			continue
		}
		done, err := e.apply(ctx, want, &out)
		if err == nil && done {
			e.have = plan.Settle(e.have, e.target(want))
			e.want, e.good, e.zones = want, list, zonesOf(node)
			e.reckon()
			if err := e.forms.keep(list); err != nil {
				e.log.Warn("a refused object may have no good form after a restart", "error", err)
			}
			e.note()
			if len(e.waiting) == 0 && e.host == nil {
				e.rest.settle(want, e.clock())
			}
			e.prove(ctx, &node, &want)
			// A key that nobody needs any more is nowhere: neither where HAProxy reads it, nor where it was asked about it.
			return out, errors.Join(e.folder.sweep(want), e.staging.sweep(want))
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
	e.env.User, e.env.Group = account(e.startedByRoot(), node.Tuning.User, node.Tuning.Group)
	e.env.TicketKeys = e.tickets.name()
	for _, c := range node.Certificates {
		if c.Key != nil {
			e.keyRefs[c.Name] = *c.Key
		}
	}
	return e.renderer.Render(node, e.env)
}

// startedByRoot says whether HAProxy begins as root.
func (e *engine) startedByRoot() bool {
	if e.host != nil {
		return e.host.uid() == 0
	}
	return os.Geteuid() == 0
}

// apply makes one step towards want: false means that it must be looked at again, since something was learnt
// on the way.
func (e *engine) apply(ctx context.Context, want haproxy.Config, out *outcome) (bool, error) {
	target := e.target(want)
	p := plan.Diff(e.have, target)
	if e.giveUp(p) {
		target = e.target(want)
		p = plan.Diff(e.have, target)
	}
	if learnt, err := e.lookBefore(ctx, p); err != nil || learnt {
		return false, err
	}
	starting := e.process == nil
	if (starting || len(p.Reload) > 0 || risky(p)) && e.leaveNamespace(want) {
		return false, nil
	}
	if starting && e.host != nil {
		return false, e.join(ctx, want, out)
	}
	if starting {
		e.folder.doubt()
	}
	// What is on disk already would be started without being asked about, too; if HAProxy refuses it now, it says why.
	if starting && !e.folder.holds(want) || !starting && risky(p) {
		if err := e.checkStep(ctx, want, p); err != nil {
			return false, err
		}
	}
	if !starting && !p.Empty() {
		if err := e.enoughFiles(want); err != nil {
			return false, err
		}
	}
	if starting || len(p.Reload) > 0 {
		if e.refuseBinds(ctx, want) {
			return false, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
	if len(p.Reload) > 0 && !starting {
		e.lookFiles(true) // before they are written anew
		e.folder.doubt()
	}
	e.rewriteEdited()
	if starting || !p.Empty() {
		e.rest.stir()
	}
	if err := e.folder.save(want, e.keys); err != nil {
		return false, e.unkept(err)
	}
	switch {
	case starting:
		out.Started = true
		return false, e.start(ctx, want)
	case len(p.Reload) > 0:
		out.Plan.Reload, out.Reloaded = p.Reload, true
		return false, e.reload(ctx, want, target, p.Reload)
	case len(p.Ops) > 0:
		if news := e.news(p.Ops); len(out.Plan.Ops) == 0 {
			out.Plan.Ops = slices.Clip(news)
		} else {
			out.Plan.Ops = append(out.Plan.Ops, news...)
		}
		return e.execute(ctx, target, p.Ops)
	}
	e.waiting = nil
	return true, nil
}

// maintained says that the load balancer's object asks to be left alone.
func (e *engine) maintained(list []*ir.Resource) bool {
	for _, r := range list {
		if r.ID == "self" {
			var self ir.Self
			return json.Unmarshal(r.Body, &self) == nil && self.State == weir.Maintenance && (e.process != nil || e.host != nil)
		}
	}
	return false
}
