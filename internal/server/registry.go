package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/store"
)

// registry is the control plane's memory of its load balancers: the LoadBalancer objects.
type registry struct {
	store *store.Store
	audit *secrets.Audit
	clock func() time.Time
	log   *slog.Logger
	// restored tells of the restore that the store comes from.
	restored func() *api.Restored

	mu sync.Mutex
	// newest is when the newest certificate of a load balancer was issued that has been seen here.
	newest map[string]time.Time
}

// Enrol spends a join token for a new load balancer.
func (r *registry) Enrol(ctx context.Context, e link.Enrolment, issue func(name string) (*x509.Certificate, error)) error {
	name, err := r.enrol(ctx, e, issue)
	entry := secrets.AuditEntry{Author: "agent", What: "enrol", Object: "LoadBalancer/" + name, Outcome: "accepted", Remote: e.Address}
	if err != nil {
		entry.Outcome, entry.Reason, entry.Object = "refused", err.Error(), "LoadBalancer/"+e.Name
	}
	if aerr := r.audit.Append(entry); aerr != nil {
		r.log.Error("write audit", "error", aerr)
	}
	return err
}

func (r *registry) enrol(ctx context.Context, e link.Enrolment, issue func(name string) (*x509.Certificate, error)) (string, error) {
	view := r.store.View()
	token := r.joinToken(view, e.TokenHash)
	if token == nil {
		return "", weir.Errorf(weir.Unauthenticated, "the join token is not known; it may have been used already: make a new one with weir token join")
	}
	terms := token.Spec.(*weir.Token)
	if !terms.ExpiresAt.IsZero() && r.clock().After(terms.ExpiresAt) {
		return "", weir.Errorf(weir.Unauthenticated, "the join token ended at %s: make a new one with weir token join", terms.ExpiresAt.UTC().Format(time.RFC3339))
	}
	join := terms.Join
	name := e.Name
	if join.LoadBalancer != "" {
		if name != "" && name != join.LoadBalancer {
			return "", weir.Errorf(weir.Forbidden, "the join token is for load balancer %s, not %s", join.LoadBalancer, name)
		}
		name = join.LoadBalancer
	}
	if err := api.MayEnrol(view, join, name); err != nil {
		return "", err
	}
	spec := &weir.LoadBalancer{Group: join.Group, Zone: join.Zone, LocalRanges: join.LocalRanges, LocalPorts: join.LocalPorts}
	write := weir.Write{Put: &weir.Object{Kind: "LoadBalancer", Metadata: weir.Metadata{Name: name}, Spec: spec}, IfMatch: weir.MustNotExist}
	if old := view.Get(weir.Ref{Kind: "LoadBalancer", Name: name}); old != nil {
		write.IfMatch = old.Revision
		before := old.Spec.(*weir.LoadBalancer)
		spec.State, spec.SourceAddresses, spec.Namespace = before.State, before.SourceAddresses, before.Namespace
		if spec.LocalRanges == nil && spec.LocalPorts == nil {
			spec.LocalRanges, spec.LocalPorts = before.LocalRanges, before.LocalPorts
		}
	}
	cert, err := issue(name)
	if err != nil {
		return "", err
	}
	spec.EnrolledAt = secrets.IssuedAt(cert)
	_, err = r.store.Apply(ctx, store.Request{
		Author: "agent:" + name, Reason: "enrolled with join token " + token.Metadata.Name,
		Writes: []weir.Write{write, {Delete: token.Ref(), IfMatch: token.Revision}},
	})
	return name, err
}

func (r *registry) joinToken(view *weir.Set, hash string) *weir.Object {
	for o := range view.All("Token") {
		if t := o.Spec.(*weir.Token); t.Join != nil && t.Hash == hash {
			return o
		}
	}
	return nil
}

// Renew lets a certificate follow another. One that had run out is shut out by the object itself, so that no
// server of the store takes it a second time.
func (r *registry) Renew(ctx context.Context, name string, shown, next *x509.Certificate) error {
	if err := r.admit(name, shown); err != nil {
		return err
	}
	if r.clock().After(shown.NotAfter) {
		o := r.store.View().Get(weir.Ref{Kind: "LoadBalancer", Name: name})
		if o == nil {
			return r.gone(name)
		}
		renewed := o.Clone()
		renewed.Spec.(*weir.LoadBalancer).EnrolledAt = secrets.IssuedAt(next)
		_, err := r.store.Apply(ctx, store.Request{
			Author: "agent:" + name, Reason: "renewed a certificate that had run out",
			Writes: []weir.Write{{Put: renewed, IfMatch: o.Revision}},
		})
		return err
	}
	return nil
}

// Admit says whether a load balancer exists and the certificate is not from before its last enrolment, nor
// older than one that has been seen.
func (r *registry) Admit(_ context.Context, name string, cert *x509.Certificate) error {
	if err := r.admit(name, cert); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newest == nil {
		r.newest = map[string]time.Time{}
	}
	if seen := r.newest[name]; cert.NotBefore.Before(seen) {
		return weir.Errorf(weir.Forbidden, "the certificate of load balancer %s has been renewed since", name)
	}
	r.newest[name] = cert.NotBefore
	return nil
}

func (r *registry) admit(name string, cert *x509.Certificate) error {
	lb := weir.Find[weir.LoadBalancer](r.store.View(), "LoadBalancer", name)
	if lb == nil {
		return r.gone(name)
	}
	if secrets.IssuedAt(cert).Before(lb.EnrolledAt) {
		return weir.Errorf(weir.Forbidden, "load balancer %s was enrolled anew at %s; this certificate is older", name, lb.EnrolledAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// gone is what an agent is told whose load balancer does not exist.
func (r *registry) gone(name string) error {
	text := fmt.Sprintf("there is no load balancer %s; enrol it with a join token", name)
	if was := r.restored(); was != nil {
		text = fmt.Sprintf("there is no load balancer %s: this control plane was restored from the backup of %s, which does not have it; HAProxy serves on with what it has; to have it back, remove link/agent.crt from the agent's folder and join again: weir token join … --name %s", name, was.BackupAt.UTC().Format(time.RFC3339), name)
	}
	return &weir.Error{Kind: weir.Forbidden, Message: text, Cause: link.ErrUnknown}
}
