package registrar

import (
	"context"
	"time"

	"weir"
)

// Withdraw ends a server's registration, as it asks: it takes no more traffic, and is not waited for.
func (r *Registrar) Withdraw(ctx context.Context, who Caller, reason string) (Answer, error) {
	if reason == "" {
		reason = "its agent has ended"
	}
	for range attempts {
		answer, err := r.withdraw(ctx, who, reason)
		if weir.KindOf(err) != weir.Stale {
			return answer, err
		}
	}
	return Answer{}, weir.Errorf(weir.Unavailable, "withdraw %s: others write it at the same time; try again", who.Name)
}

func (r *Registrar) withdraw(ctx context.Context, who Caller, reason string) (Answer, error) {
	view, now := r.opts.Store.View(), r.opts.Clock().UTC()
	token, err := r.token(view, who.Registrant)
	if err != nil {
		return Answer{}, err
	}
	if err := mayName(token, who.Name, who.From); err != nil {
		return Answer{}, err
	}
	present := view.Get(weir.Ref{Kind: "Server", Name: who.Name})
	if present == nil || present.Spec.(*weir.Server).Registration == nil || present.Spec.(*weir.Server).Registration.By != weir.ByRegistration+who.Token {
		return Answer{}, weir.Errorf(weir.NotFound, "server %s is not registered with token %s", who.Name, who.Token)
	}
	lease, held := r.leases.Get(who.Name)
	if held && !r.holds(lease, who) {
		return Answer{}, weir.Errorf(weir.Conflict, "server %s is registered by another machine", who.Name)
	}
	// The word first: the name is another machine's to take once the key is dropped.
	var was holder
	if held {
		if was, err = holderOf(lease); err != nil {
			return Answer{}, err
		}
	}
	r.penalize(who, was, present, weir.RegistrationWithdrawn, now)
	object := present.Clone()
	is := &weir.Registration{State: weir.RegistrationWithdrawn, Since: now.Truncate(time.Millisecond), By: weir.ByRegistration + who.Token, Reason: reason}
	if before := present.Spec.(*weir.Server).Registration; before.State == is.State {
		is.Since = before.Since
	}
	object.Spec.(*weir.Server).Registration = is
	written, err := r.write(ctx, who, present, object)
	if err != nil {
		return Answer{}, err
	}
	if held {
		_, err = r.leases.Drop(ctx, lease)
	}
	return r.answer(token, written), err
}
