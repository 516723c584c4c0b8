package hapctl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"weir/internal/haproxy"
	"weir/internal/plan"
)

// Verify reads back what operations have touched and tells the first thing that is not as wanted, nil when
// all is. Removals that still wait are not looked at.
func (c *Client) Verify(ctx context.Context, want haproxy.Config, ops []plan.Op) error {
	part := touched(want, ops)
	for _, name := range part.gone {
		if states, err := c.ServersState(ctx, name); err == nil && slices.ContainsFunc(states, func(s haproxy.ServerState) bool { return !s.Maint() }) {
			return fmt.Errorf("read back: backend %s still has servers that take traffic", name)
		}
	}
	for _, b := range part.config.Backends {
		states, err := c.ServersState(ctx, b.Name)
		if err != nil {
			return fmt.Errorf("read back: %w", err)
		}
		if err := sameServers(b, states); err != nil {
			return err
		}
	}
	o := observer{Client: c, known: part.config}
	for _, step := range []func(context.Context) error{o.maps, o.certificates, o.lists} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("read back: %w", err)
		}
	}
	o.seen.Backends = part.config.Backends
	o.seen.Version = part.config.Version
	if left := plan.Diff(o.seen, part.config); !left.Empty() {
		return fmt.Errorf("read back: HAProxy does not have what it was told: %s", firstOf(left))
	}
	return nil
}

func firstOf(p plan.Plan) string {
	if len(p.Reload) > 0 {
		return p.Reload[0].String()
	}
	return "missing " + p.Ops[0].String()
}

func sameServers(b haproxy.Backend, states []haproxy.ServerState) error {
	have := make(map[string]haproxy.ServerState, len(states))
	for _, s := range states {
		have[s.Server] = s
	}
	for _, s := range b.Servers {
		st, ok := have[s.Name]
		switch {
		case !ok:
			return fmt.Errorf("read back: server %s/%s is not there", b.Name, s.Name)
		case addressOf(st, s.Address) != s.Address, st.Weight != s.Weight, st.Maint() != s.Maintenance:
			return fmt.Errorf("read back: server %s/%s has address %s, weight %d, maintenance %t; wanted %s, %d, %t",
				b.Name, s.Name, addressOf(st, s.Address), st.Weight, st.Maint(), s.Address, s.Weight, s.Maintenance)
		}
		delete(have, s.Name)
	}
	for name, st := range have {
		if !st.Maint() {
			return fmt.Errorf("read back: server %s/%s takes traffic and nobody asked for it", b.Name, name)
		}
	}
	return nil
}

// part is what of a configuration some operations touch.
type part struct {
	config haproxy.Config
	gone   []string
}

func touched(want haproxy.Config, ops []plan.Op) part {
	backends, paths := map[string]bool{}, map[string]bool{}
	for _, op := range ops {
		backends[op.Backend] = true
		paths[op.Path] = true
	}
	delete(backends, "")
	p := part{config: haproxy.Config{Version: want.Version}}
	for name := range backends {
		if b := findBackend(want, name); b != nil {
			p.config.Backends = append(p.config.Backends, *b)
		} else {
			p.gone = append(p.gone, name)
		}
	}
	slices.SortFunc(p.config.Backends, func(a, b haproxy.Backend) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range want.Maps {
		if paths[m.Path] {
			p.config.Maps = append(p.config.Maps, m)
		}
	}
	for _, l := range want.CrtLists {
		if paths[l.Path] {
			p.config.CrtLists = append(p.config.CrtLists, l)
		}
	}
	for _, cert := range want.Certs {
		if paths[cert.Path] {
			p.config.Certs = append(p.config.Certs, cert)
		}
	}
	return p
}
