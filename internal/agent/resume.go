package agent

import (
	"context"
	"errors"
	"fmt"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// resume attaches to the HAProxy that an earlier run left serving, if there is one. After hapctl.ErrNoAnswer it is to
// be tried again: one that hangs must neither be started beside nor taken for one that has nothing.
func (e *engine) resume(ctx context.Context, all []*ir.Resource) error {
	if e.resumed {
		return nil
	}
	err := e.adopt(ctx)
	if err == nil {
		err = e.attach(ctx)
	}
	if err == nil && e.process != nil {
		err = e.readRunning(ctx, all)
	}
	e.resumed = !errors.Is(err, hapctl.ErrNoAnswer) && ctx.Err() == nil
	return err
}

func (e *engine) attach(ctx context.Context) error {
	if e.process != nil || e.host != nil && (e.host.away || e.host.record.Taken.IsZero()) {
		return nil
	}
	process, err := hapctl.Attach(ctx, e.options)
	switch {
	case err == nil:
		e.process = process
		e.tickets.runs(process)
		if info, ierr := process.Client().Info(ctx); ierr == nil {
			if e.lost {
				e.strange(fmt.Sprintf("HAProxy ended and was started by another hand: worker %d → %d", e.worker.pid, info.Pid), info)
			}
			e.meet(info)
		}
		e.lost = false
	case !errors.Is(err, hapctl.ErrNotRunning):
		return err
	}
	return nil
}

// readRunning takes for had what a HAProxy has that another agent brought to where it is.
func (e *engine) readRunning(ctx context.Context, all []*ir.Resource) error {
	list, err := e.effective(all)
	if err != nil {
		return err
	}
	node, err := ir.Assemble(list)
	if err != nil {
		return err
	}
	node, _ = node.At(e.clock())
	// An open transaction would refuse every later change of a certificate.
	if err := e.process.Client().AbortCert(ctx); err != nil {
		return err
	}
	running := e.runningSections(ctx)
	known := union(e.render(node), haproxy.Named(running))
	known.Sections = running
	if err := e.observeBroken(ctx, known); err != nil {
		return err
	}
	if node.Group.Drift == weir.DriftReport {
		e.recallHands(e.have)
	}
	return nil
}
