package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"weir/internal/drift"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
)

func (e *engine) execute(ctx context.Context, want haproxy.Config, ops []plan.Op) (bool, error) {
	gone := e.figures.removal(ctx, e.process)
	executor := hapctl.Executor{
		Client: e.process.Client(),
		File:   e.folder.text,
		Bound:  func(op plan.Op) time.Duration { return e.patience(want, op) }, Interrupt: e.interrupt,
		Leaving: gone.leaving,
	}
	if len(e.waiting) == 0 {
		executor.Patience = removalPatience // those that have waited before must not hold up what is new
	}
	waiting, err := executor.Execute(ctx, ops)
	e.acted = time.Now()
	if errors.Is(err, hapctl.ErrInterrupted) {
		return false, e.interrupted(ctx, want, ops)
	}
	if err == nil {
		err = executor.Verify(ctx, want, ops)
	}
	if err != nil {
		known := union(want, e.have)
		known.Sections = e.have.Sections
		before, due := e.have, e.due()
		switch seen := e.observeBroken(ctx, known); {
		case seen == nil:
			if strange := aside(drift.Find(before, e.have), ops); len(strange) > 0 {
				e.tellHands(e.hands.take(append(aside(drift.Find(due, e.have), ops), e.hands.files()...), e.clock()))
			}
		case errors.Is(err, hapctl.ErrNoAnswer) && errors.Is(seen, hapctl.ErrNoAnswer):
			return false, err
		default:
			return false, errors.Join(err, seen)
		}
		var op *hapctl.OpError
		if errors.As(err, &op) && op.Op.Owner == "" {
			return false, &blamed{Owner: "", Err: err}
		}
		return false, err
	}
	e.have, e.waiting, e.waitedSince = plan.Apply(plan.Plan{Ops: without(ops, waiting)}, e.have), waiting, nil
	gone.done(without(ops, waiting))
	e.prover.touched(ops)
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
						b.Servers[j].Unproven = !b.Servers[j].Maintenance
					}
				}
			}
		}
	}
	return hapctl.ErrInterrupted
}
