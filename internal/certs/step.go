package certs

import (
	"context"
	"crypto"
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
		spec := weir.Find[weir.Certificate](k.opts.Store.View(), "Certificate", name)
		if spec == nil || spec.Issuer == "" {
			return nil // drop looks after it
		}
		r := k.record(name)
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
			err = k.tell(ctx, name, spec, i, r)
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

// order begins an order, if the limits allow it.
func (k *Keeper) order(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, i *issuer, r *Record, why string) error {
	request := acme.Request{Names: spec.Names, Challenge: acme.ChallengeType(about.ACME.Challenge), Profile: about.ACME.Profile}
	purpose := acme.Fresh
	if spec.Info != nil && slices.Equal(sorted(spec.Info.Names), spec.Names) {
		purpose = acme.Renewing
		if leaf, err := ParseChain(spec.Chain); err == nil && r.Serial == spec.Info.Serial && r.Issuer == spec.Issuer && spec.Revoked == nil {
			if request.Replaces, err = acme.CertID(leaf[0]); err == nil && request.Replaces != "" {
				purpose = acme.Replacing
			}
		}
	}
	known, err := i.client.Account(ctx)
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	// Spent before it is ordered: a crash between the two must not let more be ordered than may be.
	now := k.opts.Clock()
	r.Of, r.Waits, r.WaitsTo = Digest(spec, about), "", time.Time{}
	err = k.change(ctx, spec.Issuer, i, func(a *account) bool {
		when, why := a.Budget.Next(now, i.limits, spec.Names, purpose)
		if when.After(now) {
			r.Waits, r.WaitsTo = why, when
			return false
		}
		a.Known, a.Budget = &known, a.Budget.Spend(now, i.limits, spec.Names, purpose)
		return true
	})
	if err != nil {
		return err
	}
	if r.Waits != "" {
		return k.save(ctx, name, r)
	}
	key, err := NewKey(spec.KeyType)
	if err == nil {
		r.Key, err = EncodeKey(key)
	}
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	o, err := i.client.Begin(ctx, request)
	if err != nil {
		return k.fail(ctx, name, spec, about, r, err)
	}
	r.Order, r.OrderedOf, r.Why, r.Failure = &o, spec.Issuer, why, ""
	k.opts.Log.Info("a certificate is ordered", "certificate", name, "issuer", spec.Issuer, "because", why, "names", len(spec.Names))
	return k.save(ctx, name, r)
}

// goOn does the next step of an order.
func (k *Keeper) goOn(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, i *issuer, r *Record) error {
	o := *r.Order
	switch {
	case o.State == acme.Done:
		return k.issued(ctx, name, spec, about, r, o.Chain, r.Key, r.Why)
	case o.Finished():
		if err := k.withdraw(ctx, name, i, o); err != nil {
			return err
		}
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
	before := o.State
	o, err = i.client.Advance(ctx, o, key)
	if ctx.Err() != nil && o.State == before {
		return nil
	}
	if r.Failure = ""; err != nil {
		r.Failure = err.Error()
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
	if err := k.answer(ctx, answersOf(o), nil); err != nil {
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
func (k *Keeper) withdraw(ctx context.Context, name string, i *issuer, o acme.Order) error {
	if o.Challenge == acme.HTTP01 {
		return k.answer(ctx, nil, answersOf(o))
	}
	for _, c := range o.Challenges() {
		if i.solver == nil {
			break
		}
		if err := i.solver.Clean(ctx, recordOf(c)); err != nil {
			k.opts.Log.Warn("a challenge's record stays in the DNS", "certificate", name, "record", c.Record, "error", err)
		}
	}
	return nil
}

// answersOf are what load balancers are to answer for an order.
func answersOf(o acme.Order) []Challenge {
	var list []Challenge
	for _, c := range o.Challenges() {
		list = append(list, Challenge{Name: c.Name, Token: c.Token, Answer: c.KeyAuthorization})
	}
	return list
}

// answer lets load balancers answer challenges, and others no longer.
func (k *Keeper) answer(ctx context.Context, more, less []Challenge) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(k.answered), func(c Challenge) bool {
		return slices.ContainsFunc(less, func(o Challenge) bool { return o.Token == c.Token })
	})
	for _, c := range more {
		if !slices.ContainsFunc(list, func(o Challenge) bool { return o.Token == c.Token }) {
			list = append(list, c)
		}
	}
	if err := k.opts.Answerer.Answer(ctx, list); err != nil {
		return err
	}
	k.answered = list
	return nil
}

// abandon gives up an order that is under way.
func (k *Keeper) abandon(ctx context.Context, name string, r *Record, why string) error {
	i, _, err := k.open(ctx, r.OrderedOf)
	if err != nil || i.client == nil || r.Order.Finished() {
		r.Order, r.Key = nil, ""
		return k.save(ctx, name, r)
	}
	o := r.Order.Abandon(why)
	if o, err = i.client.Advance(ctx, o, nil); err != nil {
		k.opts.Log.Info("an order that was given up lapses at the authority", "certificate", name, "error", err)
	}
	if err := k.withdraw(ctx, name, i, o); err != nil {
		return err
	}
	r.Order, r.Key = nil, ""
	return k.save(ctx, name, r)
}

// issued puts a certificate in the place of the one before.
func (k *Keeper) issued(ctx context.Context, name string, spec *weir.Certificate, about *weir.Issuer, r *Record, chain, key, why string) error {
	o := k.opts.Store.View().Get(weir.Ref{Kind: "Certificate", Name: name})
	if o == nil {
		return nil
	}
	next := o.Clone()
	cert := next.Spec.(*weir.Certificate)
	cert.Chain, cert.Key, cert.KeyRef, cert.Revoked = chain, key, nil, nil
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
		if err := k.withdraw(ctx, name, i, *r.Order); err != nil {
			return err
		}
	}
	after := weir.Find[weir.Certificate](result.After, "Certificate", name)
	fresh := &Record{Serial: serialOf(after), Issuer: spec.Issuer, At: k.opts.Clock(), Asked: spec.RenewAt, Told: r.Told}
	k.opts.Log.Info("a certificate was issued", "certificate", name, "issuer", spec.Issuer, "serial", fresh.Serial, "until", after.Info.NotAfter, "because", why)
	return k.save(ctx, name, fresh)
}

// tell has the authority take a certificate back.
func (k *Keeper) tell(ctx context.Context, name string, spec *weir.Certificate, i *issuer, r *Record) error {
	chain, err := ParseChain(spec.Chain)
	if err == nil {
		err = i.client.Revoke(ctx, chain[0], acme.Reasons[spec.Revoked.Reason])
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return k.unheard(ctx, name, r, tellOf(spec), err)
	}
	r.Told, r.Asking, r.Failure = append(r.Told, spec.Info.Serial), acme.Retries{}, ""
	k.opts.Log.Info("the authority knows that a certificate is revoked", "certificate", name, "serial", spec.Info.Serial)
	return k.save(ctx, name, r)
}

// ask has the authority say when a certificate is to be renewed.
func (k *Keeper) ask(ctx context.Context, name string, spec *weir.Certificate, i *issuer, r *Record) error {
	chain, err := ParseChain(spec.Chain)
	if err != nil {
		return k.unheard(ctx, name, r, askOf(spec), err)
	}
	info, err := i.client.RenewalInfo(ctx, chain[0])
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
