package server

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
)

// settleWithin is how long Wait goes on, once everything is programmed, for what health checks say of new servers:
// agents look every second, and checks are mostly done by then. It bounds what is asked for only to have status
// tell the truth right afterwards; what is still unknown then is told as that.
const settleWithin = 10 * time.Second

// Wait tells how far the fleet is on its way to a revision. It is done when every active load balancer was read back
// to have it and has told of every server that it then has, but for those whose first check takes longer than a few
// seconds: whoever looks after that sees the health of what was just made, and not that of before.
func (f *fleet) Wait(ctx context.Context, revision int64) iter.Seq[api.Progress] {
	return func(yield func(api.Progress) bool) {
		var last string
		var patience <-chan time.Time
		s := settling{fleet: f, done: map[string]bool{}}
		for {
			changed := f.hub.Reports().Changed()
			f.mu.RLock()
			compiled := f.compiled
			f.mu.RUnlock()
			p := f.progress(revision)
			if p.Programmed {
				if patience == nil {
					timer := time.NewTimer(settleWithin)
					defer timer.Stop()
					patience = timer.C
				}
				p.Done = s.over || s.look(&p)
			}
			p.Done = p.Done || slices.ContainsFunc(p.Groups, func(g api.GroupProgress) bool { return g.Halted })
			if raw, err := json.Marshal(p); err == nil && string(raw) != last {
				last = string(raw)
				if !yield(p) {
					return
				}
			}
			if p.Done {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-compiled:
			case <-patience:
				s.over = true
			}
		}
	}
}

func (f *fleet) progress(revision int64) api.Progress {
	status, _ := f.standing()
	p := api.Progress{Revision: revision, Programmed: status.Revision >= revision, Groups: []api.GroupProgress{}}
	for _, g := range status.Groups {
		one := api.GroupProgress{Name: g.Name, Ready: g.Ready, Of: g.Of, Laggards: g.Laggards}
		for _, lb := range g.LoadBalancers {
			if slices.Contains(g.Laggards, lb.Name) && one.Message == "" {
				one.Message = why(lb, f.clock())
			}
		}
		inWaves(&one, &g, revision)
		p.Programmed = p.Programmed && one.Ready == one.Of
		p.Groups = append(p.Groups, one)
	}
	return p
}

// settling remembers of whom everything is known, so that nobody is looked through twice.
type settling struct {
	*fleet
	done map[string]bool
	over bool
}

// look says whether all load balancers have told of their servers, and writes into p who has not.
func (s *settling) look(p *api.Progress) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := true
	for i := range p.Groups {
		g := s.groups[p.Groups[i].Name]
		if g == nil {
			continue
		}
		for _, self := range g.selves {
			if self.State != weir.Active || s.done[self.Name] {
				continue
			}
			rep, heard := s.hub.Reports().Get(self.Name)
			pool := ""
			if heard && s.clock().Sub(rep.At) < heardWithin {
				pool = unsettled(&g.of(self).node, rep.Report, s.clock())
			}
			if pool == "" {
				s.done[self.Name] = true
				continue
			}
			all = false
			if p.Groups[i].Message == "" {
				p.Groups[i].Message = fmt.Sprintf("%s has it; what the checks of pool %s say is awaited", self.Name, pool)
			}
		}
	}
	return all
}

// unsettled names a pool of which a load balancer has not told all servers yet, or whose first checks have only just
// begun, or of which it tells what was before a server was taken out of traffic or put back; empty for none. A pool
// that it refuses, in whole or in part, is not waited for.
func unsettled(node *ir.Node, rep link.Report, now time.Time) string {
	refused := map[string]bool{}
	for id := range rep.Resources.Deviations {
		refused[ir.Owner(id)] = true
	}
	current, _ := node.At(now)
	for _, p := range current.Pools {
		if refused["Pool/"+p.Name] {
			continue
		}
		seen := rep.Servers[p.Name]
		for i := range p.Servers {
			h, ok := seen[p.Servers[i].Name]
			if !ok || h.State == link.StartingUp && now.Sub(h.Since) < settleWithin || stale(&p.Servers[i], h.State) {
				return p.Name
			}
		}
	}
	return ""
}

// stale says that a server was taken out of traffic, or put back, since a load balancer last looked at it.
func stale(s *ir.Server, seen link.Health) bool {
	switch seen {
	case link.Up, link.NoCheck:
		return s.Maintenance || s.Weight == 0
	case link.Drain:
		return !s.Maintenance && s.Weight > 0
	case link.Maint:
		return !s.Maintenance
	}
	return false
}

// why says in a sentence what holds a load balancer up.
func why(lb api.LoadBalancerStatus, now time.Time) string {
	switch {
	case lb.Run == "unknown":
		return lb.Name + " has not been heard of since this server started"
	case !lb.Reachable:
		return fmt.Sprintf("%s has not answered for %s; it serves revision %d", lb.Name, now.Sub(lb.LastSeen).Round(time.Second), lb.Revision)
	case lb.Message != "":
		return lb.Name + ": " + lb.Message
	}
	return fmt.Sprintf("%s is applying; it serves revision %d", lb.Name, lb.Revision)
}
