package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

	"weir"
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
			return haproxy.OfRegexes(op.Path)
		}
		return false
	})
}

// checkStep lets HAProxy read what a plan leads to in a folder beside. Before run-time commands it need not read the
// certificates that it shows already, nor those that any HAProxy takes, which takes it a second for five thousand; what it then
// refuses it is asked about whole, so that its words are about the lines that there will be.
func (e *engine) checkStep(ctx context.Context, want haproxy.Config, p plan.Plan) error {
	if e.process == nil || len(p.Reload) > 0 {
		return e.check(ctx, want)
	}
	p.Ops = e.doubtful(&want, p.Ops)
	if !risky(p) || e.check(ctx, newlyShown(want, p.Ops)) == nil {
		return nil
	}
	return e.check(ctx, want)
}

// doubtful leaves out the operations that bring certificates which any HAProxy takes. What HAProxy was asked about of the
// ones before goes, with their keys.
func (e *engine) doubtful(want *haproxy.Config, ops []plan.Op) []plan.Op {
	certs := make(map[string]*haproxy.Cert, len(want.Certs))
	for i := range want.Certs {
		if c := &want.Certs[i]; !c.Authority {
			certs[c.Path] = c
		}
	}
	fine := map[string]bool{}
	var signers usual
	for _, op := range ops {
		if c := certs[op.Path]; c != nil && op.Kind == plan.SetCert {
			key, err := e.keys(c.Certificate, c.Chain, c.Path)
			fine[op.Path] = err == nil && signers.pair(c.Chain, key.Bytes())
			if fine[op.Path] {
				e.staging.drop(op.Path)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(ops), func(op plan.Op) bool {
		return (op.Kind == plan.NewCert || op.Kind == plan.SetCert) && fine[op.Path] || op.Kind == plan.AddCrt && fine[op.File]
	})
}

// newlyShown leaves out the certificates that are in lists already and that no operation is about.
func newlyShown(want haproxy.Config, ops []plan.Op) haproxy.Config {
	touched, left := map[string]bool{haproxy.PlaceholderCert: true}, map[string]bool{}
	for _, op := range ops {
		switch op.Kind {
		case plan.NewCert, plan.SetCert:
			touched[op.Path] = true
		case plan.AddCrt:
			touched[op.File] = true
		}
	}
	want.CrtLists = slices.Clone(want.CrtLists)
	for i := range want.CrtLists {
		l := &want.CrtLists[i]
		l.Entries = slices.DeleteFunc(slices.Clone(l.Entries), func(e haproxy.CrtEntry) bool {
			left[e.File] = left[e.File] || !touched[e.File]
			return !touched[e.File]
		})
	}
	want.Certs = slices.DeleteFunc(slices.Clone(want.Certs), func(c haproxy.Cert) bool { return left[c.Path] })
	return want
}

// check lets HAProxy read a whole configuration in the folder beside.
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
func (e *engine) keys(certificate string, chain weir.Chain, path string) (secrets.Secret, error) {
	key, err := e.key(certificate, e.keyRefs[certificate])
	if err == nil {
		return key, nil
	}
	if have, rerr := os.ReadFile(e.folder.path(path)); rerr == nil {
		if rest, ok := bytes.CutPrefix(have, appendChain(nil, chain)); ok && bytes.HasSuffix(bytes.TrimSpace(rest), []byte("-----")) {
			return secrets.NewSecret(rest), nil // it is whole: a crash may have cut it off
		}
	}
	return secrets.Secret{}, err
}
