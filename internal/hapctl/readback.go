package hapctl

import (
	"context"
	"errors"
	"strings"

	"weir/internal/haproxy"
)

// ask runs a command that shows something and reads what it shows.
func ask[T any](ctx context.Context, c *Client, parse func(string) (T, error), words ...string) (T, error) {
	var none T
	cmd, err := NewCommand(words...)
	if err != nil {
		return none, err
	}
	a, err := c.Do(ctx, cmd)
	if err != nil {
		return none, err
	}
	return parse(a.Text)
}

// ServersState gives what HAProxy has of a backend's servers, or of all servers when backend is "".
func (c *Client) ServersState(ctx context.Context, backend string) ([]haproxy.ServerState, error) {
	words := []string{"show", "servers", "state"}
	if backend != "" {
		words = append(words, backend)
	}
	return ask(ctx, c, haproxy.ParseServersState, words...)
}

// Backends gives the names of all backends, published or not.
func (c *Client) Backends(ctx context.Context) ([]string, error) {
	return ask(ctx, c, haproxy.ParseBackends, "show", "backend")
}

// Map gives the entries of the map of that path, without the "opt@" in front.
func (c *Client) Map(ctx context.Context, path string) ([]haproxy.MapPair, error) {
	return ask(ctx, c, haproxy.ParseMap, "show", "map", path)
}

// CrtList gives the entries of a crt-list.
func (c *Client) CrtList(ctx context.Context, path string) ([]haproxy.CrtListLine, error) {
	return ask(ctx, c, func(text string) ([]haproxy.CrtListLine, error) {
		_, entries, err := haproxy.ParseCrtList(text)
		return entries, err
	}, "show", "ssl", "crt-list", "-n", path)
}

// Cert gives what HAProxy has in memory under a certificate's name; a name with "*" in front asks for the
// uncommitted change to it.
func (c *Client) Cert(ctx context.Context, name string) (haproxy.LiveCert, error) {
	return ask(ctx, c, haproxy.ParseCert, "show", "ssl", "cert", name)
}

// Certs gives the names of all certificates in memory and the open transaction.
func (c *Client) Certs(ctx context.Context) (haproxy.CertNames, error) {
	return ask(ctx, c, haproxy.ParseCerts, "show", "ssl", "cert")
}

// Info gives what the worker says of itself.
func (c *Client) Info(ctx context.Context) (haproxy.Info, error) {
	return ask(ctx, c, haproxy.ParseInfo, "show", "info")
}

// Stat gives the statistics of all frontends, backends and servers.
func (c *Client) Stat(ctx context.Context) ([]haproxy.StatRow, error) {
	return ask(ctx, c, haproxy.ParseStat, "show", "stat")
}

// CheckResults gives what the last check of each server said.
func (c *Client) CheckResults(ctx context.Context) ([]haproxy.CheckResult, error) {
	return ask(ctx, c, haproxy.CheckResults, "show", "stat")
}

// Pulses gives one for each backend that has servers, in HAProxy's order; last are those seen before.
func (c *Client) Pulses(ctx context.Context, last []haproxy.Pulse) ([]haproxy.Pulse, error) {
	return ask(ctx, c, func(text string) ([]haproxy.Pulse, error) { return haproxy.Pulses(text, last) }, "show", "servers", "state")
}

// StatOf gives the statistics of the servers of some backends. One that isn't there any more has none.
func (c *Client) StatOf(ctx context.Context, backends ...string) ([]haproxy.StatRow, error) {
	cmds := make([]Command, len(backends))
	for i, b := range backends {
		var err error
		if cmds[i], err = NewCommand("show", "stat", b, "4", "-1"); err != nil {
			return nil, err
		}
	}
	answers, err := c.DoAll(ctx, cmds...)
	var refused *Refused
	if err != nil && !errors.As(err, &refused) || len(answers) < len(cmds) {
		return nil, err
	}
	var rows []haproxy.StatRow
	for _, a := range answers {
		if !strings.HasPrefix(a.Text, "# ") {
			continue // it says that there is no such proxy
		}
		some, err := haproxy.ParseStat(a.Text)
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
	return rows, nil
}
