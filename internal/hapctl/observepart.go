package hapctl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"weir/internal/haproxy"
	"weir/internal/plan"
)

// ObservePart is Observe for the backends, maps, lists and certificates that known names, and for nothing else: what it
// costs is what these cost. A backend that isn't there is left out.
func (c *Client) ObservePart(ctx context.Context, known haproxy.Config) (haproxy.Config, error) {
	o := observer{Client: c, known: known, seen: haproxy.Config{Version: known.Version, Sections: known.Sections}}
	steps := []func(context.Context) error{o.someServers, o.maps, o.certificates, o.lists}
	if len(known.Certs) == 0 {
		steps = []func(context.Context) error{o.someServers, o.maps, o.lists}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return haproxy.Config{}, fmt.Errorf("read back a part: %w", err)
		}
	}
	return o.seen, nil
}

// someServers reads the known backends one by one, all in two batches.
func (o *observer) someServers(ctx context.Context) error {
	if len(o.known.Backends) == 0 {
		return nil
	}
	states, stats := make([]Command, len(o.known.Backends)), make([]Command, len(o.known.Backends))
	for i := range o.known.Backends {
		var err error
		if states[i], err = NewCommand("show", "servers", "state", o.known.Backends[i].Name); err != nil {
			return err
		}
		// 2 and 4 are backends and servers.
		if stats[i], err = NewCommand("show", "stat", o.known.Backends[i].Name, "6", "-1"); err != nil {
			return err
		}
	}
	told, err := o.DoAll(ctx, states...)
	if err = onlyRefused(err, len(told), len(states)); err != nil {
		return err
	}
	for i, k := range o.known.Backends {
		if !strings.HasPrefix(told[i].Text, "1\n") {
			continue // it says that there is no such backend
		}
		list, err := haproxy.ParseServersState(told[i].Text)
		if err != nil {
			return err
		}
		k.Servers = serversOf(list, k.Servers)
		o.seen.Backends = append(o.seen.Backends, k)
	}
	told, err = o.DoAll(ctx, stats...)
	if err = onlyRefused(err, len(told), len(stats)); err != nil {
		return err
	}
	take := o.bounds()
	for _, a := range told {
		if !strings.HasPrefix(a.Text, "# ") {
			continue // it has gone meanwhile
		}
		if err := haproxy.Limits(a.Text, take); err != nil {
			return err
		}
	}
	return nil
}

// onlyRefused passes over the commands that were refused, as long as all were answered.
func onlyRefused(err error, answers, commands int) error {
	var refused *Refused
	if err == nil || errors.As(err, &refused) && answers == commands && !errors.Is(err, ErrStaleWorker) && !errors.Is(err, ErrNoAnswer) {
		return nil
	}
	return err
}

// Touched gives what of a configuration some operations are about: the backends, maps, lists and certificates that
// they name.
func Touched(have haproxy.Config, ops []plan.Op) haproxy.Config { return touched(have, ops).config }
