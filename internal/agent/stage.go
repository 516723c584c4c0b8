package agent

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
	"weir/internal/secrets"
)

// risky says that a plan could bring something to disk that a HAProxy which starts anew refuses.
func risky(p plan.Plan) bool {
	return len(p.Reload) > 0 || slices.ContainsFunc(p.Ops, func(op plan.Op) bool {
		switch op.Kind {
		case plan.NewCert, plan.SetCert, plan.NewCA, plan.SetCA, plan.MapSwap:
			return true
		case plan.MapAdd, plan.MapSet:
			return strings.Contains(op.Path, "regex")
		}
		return false
	})
}

// check lets HAProxy read the whole configuration in a folder beside.
func (e *engine) check(ctx context.Context, want haproxy.Config) error {
	if err := e.staging.save(want.Here(), e.keys); err != nil {
		return e.unkept(err)
	}
	defer e.staging.forget()
	return hapctl.Check(ctx, e.options.Path, e.staging.dir, haproxy.ConfigFile)
}

// unkept says what it means that files can't be written.
func (e *engine) unkept(err error) error {
	switch {
	case !ofMachine(err):
		return err
	case e.process == nil:
		return fmt.Errorf("the configuration can't be kept on disk, and HAProxy is not started without: %w", err)
	}
	return fmt.Errorf("the new configuration can't be kept on disk; HAProxy goes on with the one before: %w", err)
}

// keys gives the key of a certificate of the node that was rendered last. One whose last good form stands in
// has its key in its own file still.
func (e *engine) keys(certificate, chain, path string) (secrets.Secret, error) {
	key, err := e.key(certificate, e.keyRefs[certificate])
	if err == nil {
		return key, nil
	}
	if have, rerr := os.ReadFile(e.folder.path(path)); rerr == nil {
		if rest, ok := strings.CutPrefix(string(have), withNewline(chain)); ok && rest != "" {
			return secrets.NewSecret([]byte(rest)), nil
		}
	}
	return secrets.Secret{}, err
}
