package certs

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/acme"
	"weir/internal/dns01"
	"weir/internal/store"
)

// step does what is due for a certificate, until something must be waited for.
func (k *Keeper) step(ctx context.Context, name string) error {
	for ctx.Err() == nil {
		set := k.opts.Store.View()
		spec := weir.Find[weir.Certificate](set, "Certificate", name)
		if spec == nil || spec.Issuer == "" {
			return nil // drop looks after it
		}
		r := k.forgiving(set, name, weir.Find[weir.Issuer](set, "Issuer", spec.Issuer))
		i, about, err := k.open(ctx, spec.Issuer)
		if err != nil {
			return k.fail(ctx, name, spec, about, r, err)
		}
		task, at, why := Due(name, spec, about, r, k.opts.Clock())
		if task == Nothing || at.After(k.opts.Clock()) {
			return nil
		}
		switch task {
		case Abandon:
			err = k.abandon(ctx, name, r, "something else is wanted by now")
		case GoOn:
			err = k.goOn(ctx, name, spec, about, i, r)
		case Tell:
			err = k.tell(ctx, name, spec, about, i, r)
		case AskAbout:
			err = k.ask(ctx, name, spec, i, r)
		case Order:
			if i.authority != nil {
				err = k.sign(ctx, name, spec, about, i, r, why)
			} else {
				err = k.order(ctx, name, spec, about, i, r, why)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fail notes what keeps a certificate from being ordered; it is tried again after a while, and at once when the
// certificate or its issuer changes.
func (k *Keeper) fail(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, r *Record, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	if about == nil {
		if about = weir.Find[weir.Issuer](k.opts.Store.View(), "Issuer", spec.Issuer); about == nil {
			return err
		}
	}
	if r.Order != nil {
		k.answers.drop(answersOf(*r.Order))
	}
	var told *acme.Error
	errors.As(err, &told)
	r.Of = Digest(spec, about)
	r.Retries = r.Retries.Failed(k.opts.Clock(), r.Of, told)
	r.Failure, r.Order, r.Key = err.Error(), nil, ""
	k.opts.Log.Warn("a certificate can't be had", "certificate", name, "issuer", spec.Issuer, "failures", r.Retries.Failures, "error", err)
	return k.save(ctx, name, r)
}

// sign has an authority of Weir's own give a certificate.
func (k *Keeper) sign(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, i *issuer, r *Record, why string) error {
	key, err := NewKey(spec.KeyType)
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	duration := about.CA.Certificates.D()
	if spec.Duration != 0 {
		duration = spec.Duration.D()
	}
	if none := noGain(spec, i.authority, spec.Issuer, duration, k.opts.Clock()); none != "" && why == tooOld {
		now := k.opts.Clock()
		r.Of = Digest(spec, about)
		r.wait(now, none, now.Add(waitForAuthority))
		return k.save(ctx, name, r)
	}
	chain, err := i.authority.Issue(spec.Names, key.Public(), duration, k.opts.Clock())
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	text, err := EncodeKey(key)
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	return k.issued(ctx, name, spec, about, r, chain, text, why)
}

// ofOthers says which name has become another role's since the certificate was wished for, "" for none: the load balancers
// that serve it would prove it all the same.
func (k *Keeper) ofOthers(certificate string, spec *weir.Certificate) string {
	view := k.opts.Store.View()
	object := view.Get(weir.Ref{Kind: "Certificate", Name: certificate})
	if object == nil {
		return ""
	}
	for _, name := range spec.Names {
		if site, held := view.HeldByOthers(object.Metadata.Role, name); held {
			return fmt.Sprintf("%q is a name of %s now, and their roles differ; take it out of names, or an admin lists it in the hostnames of role %s", name, site, object.Metadata.Role)
		}
	}
	return ""
}

// order begins an order, if the limits allow it.
func (k *Keeper) order(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, i *issuer, r *Record, why string) error {
	request := acme.Request{Names: spec.Names, Challenge: acme.ChallengeType(about.ACME.Challenge), Profile: about.ACME.Profile}
	purpose := acme.Fresh
	if spec.Info != nil && sameNames(spec.Info.Names, spec.Names) {
		purpose = acme.Renewing
		if leaf, err := ParseChain(spec.Chain.String()); err == nil && r.Serial == spec.Info.Serial && r.Issuer == spec.Issuer && spec.Revoked == nil {
			if request.Replaces, err = acme.CertID(leaf[0]); err == nil && request.Replaces != "" {
				purpose = acme.Replacing
			}
		}
	}
	now := k.opts.Clock()
	r.Of = Digest(spec, about)
	r.wait(now, "", time.Time{})
	if why := k.ofOthers(name, spec); why != "" {
		r.wait(now, why, now.Add(waitForName))
		return k.save(ctx, name, r)
	}
	if when, why := i.budget().Next(now, i.limits, spec.Names, purpose); when.After(now) {
		r.wait(now, why, when)
		return k.save(ctx, name, r)
	}
	key, err := NewKey(spec.KeyType)
	if err == nil {
		r.Key, err = EncodeKey(key)
	}
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	var o acme.Order
	err = k.speak(i, func() (err error) {
		o, err = k.place(ctx, spec.Issuer, i, request, purpose)
		return err
	})
	var late *notNow
	var told *acme.Error
	switch {
	case errors.As(err, &late):
		r.wait(now, late.why, late.until)
		r.Key = ""
		return k.save(ctx, name, r)
	case errors.As(err, &told):
		return k.fail(ctx, name, spec, about, r, err)
	case err != nil:
		return err
	}
	r.Order, r.OrderedOf, r.Why, r.Failure = &o, spec.Issuer, why, ""
	k.opts.Log.Info("a certificate is ordered", "certificate", name, "issuer", spec.Issuer, "because", why, "names", len(spec.Names))
	return k.save(ctx, name, r)
}

// notNow is why an order was not placed: others have spent what the limits allow.
type notNow struct {
	why   string
	until time.Time
}

func (n *notNow) Error() string { return n.why }

// place orders, and spends of the budget what that takes: before it is ordered, since a crash between the two must not
// let more be ordered than may be.
func (k *Keeper) place(ctx context.Context, issuer string, i *issuer, request acme.Request, purpose acme.Purpose) (acme.Order, error) {
	known, err := i.client.Account(ctx)
	if err != nil {
		return acme.Order{}, err
	}
	now := k.opts.Clock()
	var late *notNow
	err = k.change(ctx, issuer, i, func(a *account) bool {
		if when, why := a.Budget.Next(now, i.limits, request.Names, purpose); when.After(now) {
			late = &notNow{why, when}
			return false
		}
		a.Known, a.Of, a.Budget = &known, i.of, a.Budget.Spend(now, i.limits, request.Names, purpose)
		return true
	})
	if err == nil && late != nil {
		err = late
	}
	if err != nil {
		return acme.Order{}, err
	}
	return i.client.Begin(ctx, request)
}

// goOn does the next step of an order.
func (k *Keeper) goOn(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, i *issuer, r *Record) error {
	o := *r.Order
	switch {
	case o.State == acme.Done:
		return k.issued(ctx, name, spec, about, r, o.Chain, r.Key, r.Why)
	case o.Finished():
		k.withdraw(ctx, name, i, o)
		if o.Failure != nil && len(o.Failure.Names) > 0 {
			var names []string
			for _, n := range o.Failure.Names {
				names = append(names, n.Name)
			}
			if err := k.change(ctx, spec.Issuer, i, func(a *account) bool { a.Budget = a.Budget.Fail(k.opts.Clock(), i.limits, names); return true }); err != nil {
				return err
			}
		}
		return k.fail(ctx, name, spec, about, r, o.Failure)
	case o.State == acme.Presenting:
		if err := k.present(ctx, name, about, i, o); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			o = o.Abandon(err.Error())
		} else {
			o = o.Presented()
		}
		r.Order = &o
		return k.save(ctx, name, r)
	}
	var key crypto.Signer
	key, err := ParseKey(r.Key)
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	before, asked := o.State, false
	err = k.speak(i, func() (err error) { asked = true; o, err = i.client.Advance(ctx, o, key); return err })
	if ctx.Err() != nil && o.State == before {
		return nil
	}
	if r.Failure = ""; err != nil {
		r.Failure = err.Error()
	}
	if left := (*acme.Error)(nil); !asked && errors.As(err, &left) {
		o.Next = left.NotBefore
	}
	r.Order = &o
	return k.save(ctx, name, r)
}

// present has the world see the answers to an order's challenges.
func (k *Keeper) present(ctx context.Context, name string, about *weir.Issuer, i *issuer, o acme.Order) error {
	challenges := o.Challenges()
	if about.ACME.Challenge == weir.DNS01 {
		ctx, cancel := context.WithTimeout(ctx, about.ACME.DNS.Timeout.D())
		defer cancel()
		for _, c := range challenges {
			if err := i.solver.Present(ctx, recordOf(c)); err != nil {
				return err
			}
		}
		for _, c := range challenges {
			if err := i.solver.Wait(ctx, recordOf(c)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := k.answers.add(ctx, answersOf(o)); err != nil {
		return err
	}
	var tokens []string
	for _, c := range challenges {
		tokens = append(tokens, c.Token)
	}
	late := time.Now().Add(k.opts.Patience)
	for {
		missing := k.opts.Answerer.Missing(tokens)
		if len(missing) == 0 {
			return nil
		}
		if time.Now().After(late) {
			return fmt.Errorf("the authority was not told to look, since after %s: %s", k.opts.Patience, strings.Join(missing[:min(len(missing), 3)], "; "))
		}
		if !k.pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func recordOf(c acme.Challenge) dns01.Record { return dns01.Record{Name: c.Name, Value: c.Value} }

// withdraw takes the answers away again. What can't be taken away does no harm.
func (k *Keeper) withdraw(ctx context.Context, name string, i *issuer, o acme.Order) {
	if o.Challenge == acme.HTTP01 {
		k.answers.drop(answersOf(o))
		return
	}
	for _, c := range o.Challenges() {
		if i.solver == nil {
			break
		}
		if err := i.solver.Clean(ctx, recordOf(c)); err != nil {
			k.opts.Log.Warn("a challenge's record stays in the DNS", "certificate", name, "record", c.Record, "error", err)
		}
	}
}

// abandon gives up an order that is under way.
func (k *Keeper) abandon(ctx context.Context, name string, r *Record, why string) error {
	i, _, err := k.open(ctx, r.OrderedOf)
	if err != nil || i.client == nil || r.Order.Finished() {
		k.answers.drop(answersOf(*r.Order))
		r.Order, r.Key = nil, ""
		return k.save(ctx, name, r)
	}
	o := r.Order.Abandon(why)
	err = k.speak(i, func() (err error) { o, err = i.client.Advance(ctx, o, nil); return err })
	if err != nil {
		k.opts.Log.Info("an order that was given up lapses at the authority", "certificate", name, "error", err)
	}
	k.withdraw(ctx, name, i, o)
	r.Order, r.Key = nil, ""
	return k.save(ctx, name, r)
}

// issued puts a certificate in the place of the one before.
func (k *Keeper) issued(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, r *Record, chain, key, why string) error {
	o := k.opts.Store.View().Get(weir.Ref{Kind: "Certificate", Name: name})
	if o == nil {
		return nil
	}
	// It may have been revoked since, or given up: what is replaced is what is there now.
	now := o.Spec.(*weir.Certificate)
	if Digest(now, about) != Digest(spec, about) || givenUp(now) {
		return nil // looked at again
	}
	spec = now
	next := o.Clone()
	cert := next.Spec.(*weir.Certificate)
	cert.Chain, cert.Key, cert.KeyRef, cert.Revoked = weir.NewChain(chain), key, nil, nil
	result, err := k.opts.Store.Apply(ctx, store.Request{
		Author: author, Reason: fmt.Sprintf("Issuer/%s has given a certificate: %s", spec.Issuer, why),
		Writes: []weir.Write{{Put: next, IfMatch: o.Revision}},
	})
	switch weir.KindOf(err) {
	case weir.Stale:
		return nil // somebody has changed it meanwhile: looked at again, with the same chain at hand
	case weir.Invalid:
		return k.fail(ctx, name, spec, about, r, fmt.Errorf("what Issuer/%s gave can't be used: %w", spec.Issuer, err))
	}
	if err != nil {
		return err
	}
	if i, _, err := k.open(ctx, spec.Issuer); err == nil && r.Order != nil {
		k.withdraw(ctx, name, i, *r.Order)
	}
	after := weir.Find[weir.Certificate](result.After, "Certificate", name)
	fresh := &Record{Serial: serialOf(after), Issuer: spec.Issuer, At: k.opts.Clock(), Asked: spec.RenewAt, Told: r.Told, Untold: r.Untold, Unwanted: r.Unwanted}
	if was := untoldOf(spec); was.Serial != "" && was.Serial == toTell(spec, about, r, k.opts.Clock()) {
		fresh.Untold = append(slices.Clone(r.Untold), was)
	}
	k.opts.Log.Info("a certificate was issued", "certificate", name, "issuer", spec.Issuer, "serial", fresh.Serial, "until", after.Info.NotAfter, "because", why)
	return k.save(ctx, name, fresh)
}

// tell has the authority take a certificate back, the one that is there or one of before.
func (k *Keeper) tell(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, i *issuer, r *Record) error {
	u := untoldOf(spec)
	if serial := toTell(spec, about, r, k.opts.Clock()); u.Serial != serial {
		u = r.Untold[0]
	}
	var err error
	if u.Issuer != spec.Issuer {
		i, _, err = k.open(ctx, u.Issuer)
	}
	known := k.opts.Clock().Before(u.End) && err == nil && i.client != nil
	if known {
		var chain []*x509.Certificate
		if chain, err = ParseChain(u.Leaf); err == nil {
			err = k.speak(i, func() error { return i.client.Revoke(ctx, chain[0], acme.Reasons[u.Reason]) })
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return k.unheard(ctx, name, r, tellOf(u.Serial), err)
		}
		k.opts.Log.Info("the authority knows that a certificate is revoked", "certificate", name, "serial", u.Serial)
	}
	r.Told, r.Asking = append(slices.Clone(r.Told), u.Serial), acme.Retries{}
	r.Untold = slices.DeleteFunc(slices.Clone(r.Untold), func(o Untold) bool { return o.Serial == u.Serial })
	return k.save(ctx, name, r)
}

// untoldOf is the certificate that is there, if it is revoked.
func untoldOf(spec *weir.Certificate) Untold {
	if spec.Revoked == nil || spec.Info == nil {
		return Untold{}
	}
	leaf, _, _ := strings.Cut(spec.Chain.String(), pemEnd)
	return Untold{Serial: spec.Info.Serial, Leaf: leaf + pemEnd, Issuer: spec.Issuer, Reason: spec.Revoked.Reason, End: spec.Info.NotAfter}
}

const pemEnd = "-----END CERTIFICATE-----\n"

// ask has the authority say when a certificate is to be renewed.
func (k *Keeper) ask(ctx context.Context, name string, spec *weir.Certificate, i *issuer, r *Record) error {
	chain, err := ParseChain(spec.Chain.String())
	if err != nil {
		return k.unheard(ctx, name, r, askOf(spec), err)
	}
	var info acme.RenewalInfo
	err = k.speak(i, func() (err error) { info, err = i.client.RenewalInfo(ctx, chain[0]); return err })
	var told *acme.Error
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.As(err, &told) && (told.Type == acme.TypeUnsupported || told.Type == acme.TypeNotFound):
		info = acme.RenewalInfo{AskAgain: k.opts.Clock().Add(24 * time.Hour)}
	case err != nil:
		return k.unheard(ctx, name, r, askOf(spec), err)
	}
	r.Renewal, r.RenewalOf, r.Asking = &info, spec.Info.Serial, acme.Retries{}
	if r.Serial == "" {
		r.Serial, r.Issuer = spec.Info.Serial, spec.Issuer
	}
	return k.save(ctx, name, r)
}

// unheard notes that the authority could not be asked or told something.
func (k *Keeper) unheard(ctx context.Context, name string, r *Record, what string, err error) error {
	var told *acme.Error
	errors.As(err, &told)
	r.Asking = r.Asking.Failed(k.opts.Clock(), what, told)
	k.opts.Log.Warn("the authority could not be asked", "certificate", name, "about", what, "error", err)
	return k.save(ctx, name, r)
}
