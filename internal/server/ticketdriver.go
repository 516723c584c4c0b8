package server

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/api"
	"weir/internal/store"
	"weir/internal/tickets"
)

// leadTickets is the driving of ticket keys, which one server does.
const leadTickets = "tickets"

// drive rotates all groups' keys when it is time, and begins new ones, until ctx ends.
func (b *ticketBook) drive(ctx context.Context) error {
	for {
		b.mu.Lock()
		news := b.news
		b.mu.Unlock()
		rest := time.NewTimer(b.step(ctx))
		select {
		case <-ctx.Done():
		case <-news:
		case <-rest.C:
		}
		rest.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// step takes each group as far as it can go now, and tells when to look again although nothing has come.
func (b *ticketBook) step(ctx context.Context) time.Duration {
	if b.hub.Held() {
		return ticketsEvery
	}
	b.mu.Lock()
	groups := make(map[string]*ticketGroup, len(b.groups))
	for name, g := range b.groups {
		groups[name] = g
	}
	loaded := b.loaded
	b.mu.Unlock()
	if !loaded {
		return ticketsPace
	}
	now, wait := b.clock(), ticketsEvery
	for name, g := range groups {
		if err := b.stepOne(ctx, name, g, now); err != nil && weir.KindOf(err) != weir.Stale && ctx.Err() == nil {
			b.log.Warn("ticket keys: they stay as they are", "group", name, "error", err)
		}
		for _, due := range []time.Time{g.state.Next(g.settings), g.state.Next(g.settings).Add(g.settings.Hold)} {
			if left := due.Sub(now); left > 0 {
				wait = min(wait, left)
			}
		}
	}
	return wait
}

func (b *ticketBook) stepOne(ctx context.Context, name string, g *ticketGroup, now time.Time) error {
	if b.store.View().Get(weir.Ref{Kind: "LoadBalancerGroup", Name: name}) == nil {
		return b.forget(ctx, name, g)
	}
	if g.settings.Every == 0 {
		return nil // nobody has looked yet who is there
	}
	next, _, err := g.state.Step(now.UTC(), g.members, g.settings, b.random)
	if err != nil {
		return err
	}
	if err := b.write(ctx, name, g.state, next, g.generation); err != nil {
		return err
	}
	if next.Generation() != g.state.Generation() {
		b.log.Info("ticket keys: a new generation", "group", name, "generation", next.Generation(), "lagging", g.state.Lagging(g.members))
	}
	return nil
}

// forget destroys what a deleted group leaves.
func (b *ticketBook) forget(ctx context.Context, name string, g *ticketGroup) error {
	if g.generation > 0 {
		if err := b.store.SetPlatforms(ctx, store.PlatformWrite{Name: store.PrefixTickets + name, Generation: g.generation}); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.groups[name] == g {
		delete(b.groups, name)
	}
	return nil
}

// RenewTicketKeys implements api.TicketSource.
func (b *ticketBook) RenewTicketKeys(ctx context.Context, group, by, reason string) error {
	begun := false
	err := b.edit(ctx, group, func(s tickets.State) tickets.State {
		if begun = len(s.Seeds) > 0; !begun {
			return s
		}
		return s.Hurried()
	})
	if err == nil && !begun {
		err = weir.Errorf(weir.Conflict, "group %s has no ticket keys of its own yet: each of its load balancers has keys that nobody else knows", group)
	}
	if err == nil {
		b.log.Info("ticket keys: somebody renews all of them", "group", group, "by", by, "reason", reason)
	}
	return err
}

// status tells how a group's ticket keys are; nil before that is known.
func (b *ticketBook) status(group string) *api.TicketKeysStatus {
	b.mu.Lock()
	g := b.groups[group]
	loaded := b.loaded
	b.mu.Unlock()
	if g == nil || !loaded || g.settings.Every == 0 {
		return nil
	}
	out := &api.TicketKeysStatus{Every: weir.Duration(g.settings.Every), Generation: g.state.Generation(), Renewing: g.state.Hurry}
	for _, m := range g.members {
		switch {
		case m.Present:
			out.Of++
		case m.Certificate != nil || m.Generation > 0:
			out.Apart = append(out.Apart, m.Name)
		}
	}
	if out.Generation > 0 {
		out.Since, out.Next = g.state.Rotated, g.state.Next(g.settings)
		out.Laggards = g.state.Lagging(g.members)
		out.Has = out.Of - len(out.Laggards)
	}
	out.Message = ticketMessage(out)
	return out
}

var (
	ticketGenerationDesc = prometheus.NewDesc("weir_ticket_keys_generation", "The generation of TLS ticket keys that encrypts in the group, 0 while its load balancers share none.", []string{"group"}, nil)
	ticketDueDesc        = prometheus.NewDesc("weir_ticket_keys_due_timestamp_seconds", "When the next generation of TLS ticket keys is due, in seconds since 1970.", []string{"group"}, nil)
	ticketSinceDesc      = prometheus.NewDesc("weir_ticket_keys_since_timestamp_seconds", "Since when the generation of TLS ticket keys encrypts, in seconds since 1970.", []string{"group"}, nil)
	ticketLaggingDesc    = prometheus.NewDesc("weir_ticket_keys_lagging", "Load balancers that were not read back to have the generation that encrypts.", []string{"group"}, nil)
	ticketApartDesc      = prometheus.NewDesc("weir_ticket_keys_apart", "Load balancers that are away for long, or have TLS ticket keys of their own.", []string{"group"}, nil)
)

// ticketFigures gives how the ticket keys of a group are, and nothing before that is known.
func ticketFigures(group string, k *api.TicketKeysStatus, out chan<- prometheus.Metric) {
	if k == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, group)
	}
	gauge(ticketGenerationDesc, float64(k.Generation))
	gauge(ticketLaggingDesc, float64(len(k.Laggards)))
	gauge(ticketApartDesc, float64(len(k.Apart)))
	if k.Generation > 0 {
		gauge(ticketSinceDesc, float64(k.Since.Unix()))
		gauge(ticketDueDesc, float64(k.Next.Unix()))
	}
}

func ticketMessage(s *api.TicketKeysStatus) string {
	switch {
	case s.Generation == 0 && s.Of == 0:
		return "no load balancer shares keys yet; each draws its own, and clients resume with it alone"
	case s.Generation == 0:
		return "the load balancers have not agreed on a secret yet; until then each has keys of its own, and clients resume with it alone"
	case s.Renewing > 0:
		return fmt.Sprintf("all keys are being renewed: %d more come as fast as the load balancers follow; each client makes one full handshake", s.Renewing)
	case len(s.Laggards) > 0:
		return fmt.Sprintf("%d of %d have generation %d; the others take its tickets still while they are one behind", s.Has, s.Of, s.Generation)
	}
	return fmt.Sprintf("all %d have generation %d", s.Of, s.Generation)
}
