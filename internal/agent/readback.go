package agent

import (
	"context"
	"fmt"

	"weir/internal/haproxy"
	"weir/internal/plan"
)

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
// as unproven: it waits for them before it takes away who serves in their place.
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
			s.Unproven = !s.Maintenance && s.Check && down[[2]string{b.Name, s.Name}]
		}
	}
	return nil
}

// spare names what HAProxy keeps until its next reload although nobody asks for it.
func (e *engine) spare() []string { return plan.Spare(e.have, e.want) }
