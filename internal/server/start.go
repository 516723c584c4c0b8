package server

import (
	"context"
	"fmt"
	"os"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
)

// The bounds of the audit files.
const (
	auditBytes = 64 << 20
	auditKeep  = 10
)

func (s *server) openKeys(context.Context) error {
	if err := os.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	var err error
	switch {
	case s.opts.SealingKeyFile != "":
		s.keyring, err = readKeyFile(s.opts.SealingKeyFile)
	case s.opts.SealingKey != "":
		s.keyring, err = secrets.ParseKeyring(s.opts.SealingKey)
	default:
		s.keyring, err = secrets.OpenOrCreateKeyring(s.path(keyFile))
	}
	if err != nil {
		return err
	}
	if s.audit, err = secrets.OpenAudit(s.path(auditFile), auditBytes, auditKeep, s.opts.Clock); err != nil {
		return err
	}
	s.closers = append(s.closers, s.audit.Close)
	return nil
}

func (s *server) openStore(ctx context.Context) error {
	if err := s.notLost(); err != nil {
		return err
	}
	var err error
	s.store, err = store.Open(ctx, s.storeOptions())
	if err == nil {
		s.closers = append(s.closers, s.store.Close)
	}
	return err
}

func (s *server) storeOptions() store.Options {
	return store.Options{
		Dir: s.path(storeDir), Cluster: s.opts.Cluster, Logger: s.opts.Log, Clock: s.opts.Clock, Keyring: s.keyring,
		Check: weir.Check, Prepare: s.prepare, Peers: s.peers(),
	}
}

// prepare completes what only the control plane writes.
func (s *server) prepare(o *weir.Object) []weir.Problem {
	if s.store == nil {
		return nil
	}
	if issuer, ok := o.Spec.(*weir.Issuer); ok {
		return s.prepareIssuer(o.Ref(), issuer)
	}
	if source, ok := o.Spec.(*weir.DiscoverySource); ok {
		return s.prepareSource(o.Ref(), source)
	}
	lb, ok := o.Spec.(*weir.LoadBalancer)
	if !ok {
		return nil
	}
	// An old export must not let certificates back in that a new enrolment has shut out.
	if before := weir.Find[weir.LoadBalancer](s.store.View(), "LoadBalancer", o.Metadata.Name); before != nil && lb.EnrolledAt.Before(before.EnrolledAt) {
		lb.EnrolledAt = before.EnrolledAt
	}
	return nil
}

// firstStart makes the first admin's token, once in the life of a store.
func (s *server) firstStart(ctx context.Context) error {
	if s.store.Revision() > 0 {
		return nil
	}
	text, hash := secrets.NewToken("admin")
	if err := secrets.WriteFile(s.path(tokenFile), []byte(text+"\n"), 0o600); err != nil {
		return err
	}
	object := func(kind, name string, spec weir.Spec) weir.Write {
		return weir.Write{Put: &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name}, Spec: spec}, IfMatch: weir.MustNotExist}
	}
	_, err := s.store.Apply(ctx, store.Request{
		Author: firstAuthor, Reason: "first start",
		Writes: []weir.Write{
			object("Token", "first-admin", &weir.Token{Subject: "admin", Hash: hash}),
			object("Grant", "admin", &weir.Grant{Subject: "admin", Role: "*", Right: weir.Admin}),
		},
	})
	if weir.KindOf(err) == weir.Stale || weir.KindOf(err) == weir.Conflict {
		// Another server of the store was first, and wrote the token that counts.
		return os.Remove(s.path(tokenFile))
	}
	if err == nil {
		s.opts.Log.Info("first start: the admin's token is in a file", "file", s.path(tokenFile))
	}
	return err
}
