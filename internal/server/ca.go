package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/store"
)

// The CA is a value of the platform: its key, its certificate, and other CAs that are believed. A change of CA goes
// in three steps. Each is one transaction of the store, so that a server that dies leaves it done or not begun, and
// all servers take it over from there.
//
//	begin     the coming CA lies in a value of its own, its certificate among those believed
//	continue  the coming CA becomes the CA, the old one stays among those believed, without its key
//	finish    the old one is dropped

// authority implements api.CASource.
type authority struct {
	ca    *secrets.CA
	store *store.Store
	hub   *link.Hub
	clock func() time.Time
	// unaware tells which servers that register themselves don't know a CA, of how many.
	unaware func(ca string) (names []string, of int)
}

// casTries is how often a step begins anew when another server was first.
const casTries = 5

// Believed implements api.CASource.
func (a *authority) Believed() []string { return a.ca.Trust().Hashes() }

// caState is what the store holds.
type caState struct {
	text       []byte
	generation int64
	// believed are the CAs, the issuing one first.
	believed []*x509.Certificate
	// coming is the text of the CA that is to issue, nil for none.
	coming           []byte
	comingGeneration int64
	comingCert       *x509.Certificate
}

func (a *authority) read(ctx context.Context) (caState, error) {
	text, generation, err := a.store.Platform(ctx, sharedCA)
	if err != nil {
		return caState{}, err
	}
	st := caState{text: text.Bytes(), generation: generation}
	if st.believed, err = secrets.CACertificates(st.text); err != nil {
		return caState{}, err
	}
	next, generation, err := a.store.Platform(ctx, sharedNextCA)
	if weir.KindOf(err) == weir.NotFound {
		return st, nil
	}
	if err != nil {
		return caState{}, err
	}
	certs, err := secrets.CACertificates(next.Bytes())
	if err != nil {
		return caState{}, err
	}
	st.coming, st.comingGeneration, st.comingCert = next.Bytes(), generation, certs[0]
	return st, nil
}

// phase says how far a change of CA is.
func (st *caState) phase() string {
	switch {
	case st.coming != nil:
		return api.CAAnnounced
	case len(st.believed) > 1:
		return api.CAIssuing
	}
	return api.CASteady
}

// newest is the CA that everybody is to follow.
func (st *caState) newest() *x509.Certificate {
	if st.coming != nil {
		return st.comingCert
	}
	return st.believed[0]
}

// Status implements api.CASource.
func (a *authority) Status(ctx context.Context) (api.CAStatus, error) {
	st, err := a.read(ctx)
	if err != nil {
		return api.CAStatus{}, err
	}
	return a.status(ctx, st)
}

func (a *authority) status(ctx context.Context, st caState) (api.CAStatus, error) {
	newest := secrets.CAHash(st.newest())
	out := api.CAStatus{Phase: st.phase(), Newest: newest}
	trust, err := secrets.NewTrust(st.believed...)
	if err != nil {
		return out, err
	}
	out.Bundle = string(trust.PEM())
	for i, c := range trust.Certificates() {
		out.Authorities = append(out.Authorities, api.Authority{
			CA: secrets.CAHash(c), Name: c.Subject.CommonName, NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Issues: i == 0,
		})
	}
	a.loadBalancers(&out)
	names, of := a.unaware(newest)
	out.Registered = api.CARegistered{Know: of - len(names), Of: of, Unaware: names[:min(len(names), mostUnaware)]}
	return out, a.servers(ctx, &out)
}

// mostUnaware is how many of the servers that register themselves are named.
const mostUnaware = 20

func (a *authority) loadBalancers(out *api.CAStatus) {
	for o := range a.store.View().All("LoadBalancer") {
		one := api.CAFollower{Name: o.Metadata.Name, State: o.Spec.(*weir.LoadBalancer).State}
		if rep, ok := a.hub.Reports().Get(o.Metadata.Name); ok {
			one.Knows, one.Uses = slices.Contains(rep.Believes, out.Newest), rep.Issuer == out.Newest
			one.LastSeen = rep.At
			one.Reachable = a.clock().Sub(rep.At) < heardWithin
		}
		if active(one.State) {
			out.Of++
			if one.Knows {
				out.Know++
			}
			if one.Uses {
				out.Use++
			}
		}
		out.LoadBalancers = append(out.LoadBalancers, one)
	}
	slices.SortFunc(out.LoadBalancers, byName)
}

func active(state weir.LoadBalancerState) bool { return state == weir.Active || state == "" }

func byName(a, b api.CAFollower) int { return strings.Compare(a.Name, b.Name) }

func (a *authority) servers(ctx context.Context, out *api.CAStatus) error {
	members, err := a.store.Members(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		out.Servers = append(out.Servers, api.CAFollower{
			Name: m.Name + " (" + m.URL + ")", Knows: slices.Contains(m.Believes, out.Newest), Uses: m.Issuer == out.Newest, Reachable: true,
		})
	}
	return nil
}

// Change implements api.CASource.
func (a *authority) Change(ctx context.Context, step api.CAStep, force bool) (api.CAChange, error) {
	for try := 1; ; try++ {
		change, err := a.change(ctx, step, force)
		if weir.KindOf(err) != weir.Stale || try == casTries {
			return change, err
		}
	}
}

func (a *authority) change(ctx context.Context, step api.CAStep, force bool) (api.CAChange, error) {
	st, err := a.read(ctx)
	if err != nil {
		return api.CAChange{}, err
	}
	before, err := a.status(ctx, st)
	if err != nil {
		return api.CAChange{}, err
	}
	writes, err := a.step(&st, step)
	if err != nil {
		return api.CAChange{}, err
	}
	out := api.CAChange{CAStatus: before}
	if len(writes) == 0 {
		return out, nil
	}
	blocked := behind(step, before)
	if len(blocked) > 0 && !force {
		return out, &weir.Error{Kind: weir.Conflict, Message: refusalText(step, len(blocked)), Problems: blocked}
	}
	for _, p := range blocked {
		out.ShutOut = append(out.ShutOut, p.Object)
	}
	if err := a.store.SetPlatforms(ctx, writes...); err != nil {
		return out, err
	}
	if st, err = a.read(ctx); err != nil {
		return out, err
	}
	out.Changed = true
	out.CAStatus, err = a.status(ctx, st)
	return out, err
}

// step gives what a step writes, nothing when it was taken already.
func (a *authority) step(st *caState, step api.CAStep) ([]store.PlatformWrite, error) {
	ca := func(text []byte, believed ...*x509.Certificate) (store.PlatformWrite, error) {
		text, err := secrets.WithTrust(text, believed...)
		return store.PlatformWrite{Name: sharedCA, Generation: st.generation, Value: text}, err
	}
	next := store.PlatformWrite{Name: sharedNextCA, Generation: st.comingGeneration}
	phase := st.phase()
	switch {
	case step == api.CABegin && phase == api.CASteady:
		text, err := secrets.NewCA(a.clock())
		if err != nil {
			return nil, err
		}
		certs, err := secrets.CACertificates(text)
		if err != nil {
			return nil, err
		}
		next.Value = text
		now, err := ca(st.text, certs...)
		return []store.PlatformWrite{now, next}, err
	case step == api.CABegin && phase == api.CAIssuing:
		return nil, weir.Errorf(weir.Conflict, "the change of CA before is not finished, %s is still believed: weir ca rotate --finish", secrets.CAHash(st.believed[1]))
	case step == api.CAContinue && phase == api.CAAnnounced:
		now, err := ca(st.coming, st.believed[0])
		return []store.PlatformWrite{now, next}, err
	case step == api.CAContinue && phase == api.CASteady:
		return nil, weir.Errorf(weir.Conflict, "no change of CA is under way; weir ca rotate begins one")
	case step == api.CAFinish && phase == api.CAIssuing:
		now, err := ca(st.text)
		return []store.PlatformWrite{now}, err
	case step == api.CAFinish && phase == api.CAAnnounced:
		return nil, weir.Errorf(weir.Conflict, "the new CA does not issue yet: weir ca rotate --continue; or --cancel throws it away")
	case step == api.CACancel && phase == api.CAAnnounced:
		now, err := ca(st.text)
		return []store.PlatformWrite{now, next}, err
	case step == api.CACancel && phase == api.CAIssuing:
		return nil, weir.Errorf(weir.Conflict, "the new CA issues already, the old one's key is gone: weir ca rotate --finish, and rotate again if the new one has to go, too")
	}
	return nil, nil
}

// behind names who is not far enough for a step. Load balancers that are not Active hold nothing up.
func behind(step api.CAStep, s api.CAStatus) []weir.Problem {
	var list []weir.Problem
	look := func(object string, f api.CAFollower) {
		var message string
		switch {
		case step == api.CAContinue && !f.Knows:
			message = "has not told that it believes the new CA"
		case step == api.CAFinish && !f.Uses:
			message = "does not show a certificate of the new CA"
		default:
			return
		}
		switch {
		case f.Reachable:
		case f.LastSeen.IsZero():
			message += "; nothing was heard of it"
		default:
			message += "; it was last heard at " + f.LastSeen.UTC().Format(time.RFC3339)
		}
		list = append(list, weir.Problem{Object: object, Message: message})
	}
	for _, lb := range s.LoadBalancers {
		if active(lb.State) {
			look("LoadBalancer/"+lb.Name, lb)
		}
	}
	for _, server := range s.Servers {
		look("server "+server.Name, server)
	}
	if n := s.Registered.Of - s.Registered.Know; step == api.CAContinue && n > 0 {
		list = append(list, weir.Problem{
			Object:  api.AllRegistered,
			Message: fmt.Sprintf("%d of %d have not told that they believe the new CA, such as %s; they learn it within half a minute, and one that is shut out needs its hash in its file", n, s.Registered.Of, strings.Join(s.Registered.Unaware, ", ")),
		})
	}
	return list
}

func refusalText(step api.CAStep, n int) string {
	what := "have not learnt the new CA yet"
	if step == api.CAFinish {
		what = "still use the old CA"
	}
	return fmt.Sprintf("%d load balancers or servers %s; nothing was changed. Wait for them (weir ca status), set a load balancer that is away for long to Maintenance, or shut them out with --force: an agent shut out must join again", n, what)
}
