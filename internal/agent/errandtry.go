package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/secrets"
)

const (
	// maxTries is how many checks are tried at once or wait for that; one HAProxy runs at a time.
	maxTries = 4
	// maxTried is how many servers one try checks.
	maxTried = 16
	// tryWithin is how long first checks may take, starting HAProxy included, and tryPace how often they are looked at.
	tryWithin = 20 * time.Second
	tryPace   = 20 * time.Millisecond
)

// tryErrand runs the check of a pool's servers once, from this machine; see link.TryErrand.
func (a *Agent) tryErrand(ctx context.Context, body json.RawMessage, say func(any) error) error {
	var ask link.TryAsk
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields() // a check that is not the pool's own would be no answer
	if err := in.Decode(&ask); err != nil {
		return fmt.Errorf("its agent does not understand all of the pool; upgrade it: %w", err)
	}
	switch {
	case len(ask.Node.Pools) != 1 || len(ask.Node.Pools[0].Servers) == 0:
		return errors.New("one pool with servers must be named")
	case len(ask.Node.Pools[0].Servers) > maxTried:
		return fmt.Errorf("%d servers are checked at once at most", maxTried)
	case ask.Node.Pools[0].Check.Type == "none":
		return errors.New("the pool has no check")
	}
	if n := a.errands.tries.Add(1); n > maxTries {
		a.errands.tries.Add(-1)
		return fmt.Errorf("%w: %d checks are tried there already; try again in a moment", link.ErrBusy, maxTries)
	}
	defer a.errands.tries.Add(-1)
	select {
	case a.errands.trying <- struct{}{}:
		defer func() { <-a.errands.trying }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	results, err := a.try(ctx, ask.Node)
	if err != nil {
		return err
	}
	for i := range ask.Node.Pools[0].Servers {
		if err := say(results[i]); err != nil {
			return err
		}
	}
	return nil
}

// try runs a HAProxy that checks, in a folder of its own, until all first checks are over or the time is. Nothing of both
// is left.
func (a *Agent) try(ctx context.Context, node ir.Node) (results []link.TryAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	env := haproxy.Env{Version: a.engine.env.Version}
	env.User, env.Group = account(os.Geteuid() == 0, node.Tuning.User, node.Tuning.Group)
	c := haproxy.Try(node, env)
	dir := filepath.Join(a.opts.Dir, tryDir)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // there may be a key in it
	place, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	refs := map[string]weir.SealedRef{}
	for _, one := range node.Certificates {
		if one.Key != nil {
			refs[one.Name] = *one.Key
		}
	}
	keys := func(certificate string, _ weir.Chain, _ string) (secrets.Secret, error) {
		key, err := a.client.Key(certificate, refs[certificate])
		if err != nil {
			err = fmt.Errorf("this load balancer has no key of Certificate/%s yet, as nothing that it serves uses it: %w", certificate, err)
		}
		return key, err
	}
	if err := place.save(c, keys); err != nil {
		return nil, err
	}
	options := a.opts.control()
	options.Dir, options.Foreign, options.Master, options.Log = dir, false, "", a.log
	err = hapctl.Aside(ctx, options, func(ctx context.Context, client *hapctl.Client) error {
		results, err = watchTry(ctx, client, &node.Pools[0])
		return err
	})
	return results, err
}

// watchTry waits until each server was checked once.
func watchTry(ctx context.Context, client *hapctl.Client, pool *ir.Pool) ([]link.TryAnswer, error) {
	pace := time.NewTicker(tryPace)
	defer pace.Stop()
	results := make([]link.TryAnswer, len(pool.Servers))
	for i := range results {
		results[i] = link.TryAnswer{Server: pool.Servers[i].Name, Said: fmt.Sprintf("the check was not over after %s", tryWithin)}
	}
	for {
		seen, err := client.CheckResults(ctx)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return results, nil
		case err != nil:
			return nil, err
		}
		left := len(results)
		for i := range results {
			for _, r := range seen {
				if haproxy.BaseName(r.Server) == results[i].Server && r.Status != "" {
					if results[i].Status == "" {
						results[i] = link.TryAnswer{Server: results[i].Server, Passed: r.Passed(), Status: r.Status, Code: r.Code, TookMs: r.Took, Said: r.Said}
					}
					left--
				}
			}
		}
		if left == 0 {
			return results, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return results, nil
			}
			return nil, context.Cause(ctx)
		case <-pace.C:
		}
	}
}
