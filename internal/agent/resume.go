package agent

import (
	"context"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

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
