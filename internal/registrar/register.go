package registrar

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"weir"
	"weir/internal/discovery"
	"weir/internal/store"
)

// Answer is what a server is told that has registered.
type Answer struct {
	Server string `json:"server"`
	// State is what is kept of it: what it said, or stale while it is kept out for flapping, and Reason why.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Revision is that of the change that wrote the Server last.
	Revision int64 `json:"revision"`
	// Lease is how long the server may be silent, Heartbeat how often it is to be heard.
	Lease     weir.Duration `json:"lease"`
	Heartbeat weir.Duration `json:"heartbeat"`
	// TokenExpiresAt is when the token ends, and with it the registration.
	TokenExpiresAt time.Time `json:"tokenExpiresAt,omitzero"`
	// ManagedBy is who writes the rest of the Server, of which the registration changes its health alone; empty when that
	// is the registration.
	ManagedBy string `json:"managedBy,omitempty"`
}

// holder is what all servers of the store know of who holds a registration; it goes with the lease.
type holder struct {
	Token   string            `json:"token"`
	Key     string            `json:"key"`
	Address netip.Addr        `json:"address"`
	Penalty discovery.Penalty `json:"penalty,omitzero"`
	// Believes are the CAs that it says it believes, so that a change of CA waits for it.
	Believes string `json:"believes,omitempty"`
}

// heard is what this control plane has heard of a server.
type heard struct {
	// What was said last, and what it rested on: the same on the same ground needs no second look.
	sum           [sha256.Size]byte
	who           Caller
	token, object *weir.Object
	lease         store.Registration
	until         time.Time // when it is to be looked at again all the same; zero for never
	answer        Answer
	// penalty outlasts the lease, so that who comes and goes is damped too.
	penalty discovery.Penalty
	writes  allowance
}

// attempts is how often a write is worked out again that others were faster than.
const attempts = 5

// Register takes over what a server says of itself: text, which read decodes, and keeps its registration alive. The
// same again costs next to nothing.
func (r *Registrar) Register(ctx context.Context, who Caller, text []byte, read func() (*weir.Announcement, error)) (Answer, error) {
	sum := sha256.Sum256(text)
	if answer, ok, err := r.again(who, sum); ok || err != nil {
		return answer, err
	}
	said, err := read()
	if err != nil {
		return Answer{}, err
	}
	for range attempts {
		var answer Answer
		if answer, err = r.register(ctx, who, sum, said); weir.KindOf(err) != weir.Stale {
			return answer, err
		}
	}
	return Answer{}, &weir.Error{Kind: weir.Unavailable, Message: "register " + who.Name + ": others write it at the same time; try again", Cause: err}
}

// again answers who says the same as before while all that it rests on is the same.
func (r *Registrar) again(who Caller, sum [sha256.Size]byte) (Answer, bool, error) {
	r.mu.Lock()
	h := r.heard[who.Name]
	same := h != nil && h.sum == sum && h.who == who && (h.until.IsZero() || r.opts.Clock().Before(h.until))
	var before heard
	if same {
		before = *h
	}
	r.mu.Unlock()
	if !same {
		return Answer{}, false, nil
	}
	view := r.opts.Store.View()
	token, err := r.token(view, who.Registrant)
	if err != nil {
		return Answer{}, false, err
	}
	if token != before.token || view.Get(weir.Ref{Kind: "Server", Name: who.Name}) != before.object {
		return Answer{}, false, nil
	}
	switch err := r.leases.Hear(before.lease); weir.KindOf(err) {
	case "":
		return before.answer, true, nil
	case weir.NotFound:
		return Answer{}, false, nil
	default:
		return Answer{}, false, err
	}
}

func (r *Registrar) holds(lease store.Registration, who Caller) bool {
	h, err := holderOf(lease)
	return err == nil && h.Key == who.Key && h.Token == who.Token
}

func holderOf(lease store.Registration) (holder, error) {
	var h holder
	if len(lease.Value) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(lease.Value, &h); err != nil {
		return h, fmt.Errorf("read who holds the registration of %s: %w", lease.Name, err)
	}
	return h, nil
}

func (r *Registrar) register(ctx context.Context, who Caller, sum [sha256.Size]byte, said *weir.Announcement) (Answer, error) {
	view, now := r.opts.Store.View(), r.opts.Clock().UTC()
	token, object, err := r.allowed(view, who, said)
	if err != nil {
		return Answer{}, err
	}
	present := view.Get(object.Ref())
	lease, _ := r.leases.Get(who.Name)
	held, err := r.mayTake(lease, who, object)
	if err != nil {
		return Answer{}, err
	}
	penalty := r.penalize(who, held, present, said.State, now)
	object, until := r.entered(present, object, who, said, penalty, now)
	next := holder{Token: who.Token, Key: who.Key, Address: object.Spec.(*weir.Server).Address, Penalty: penalty, Believes: who.Believes}
	if lease, err = r.keep(ctx, who.Name, lease, held, next); err != nil {
		return Answer{}, err
	}
	if err := r.mayWrite(who.Name, present, object, now); err != nil {
		return Answer{}, err
	}
	written, err := r.write(ctx, who, present, object)
	if err != nil {
		return Answer{}, err
	}
	answer := r.answer(token, written)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	h := r.of(who.Name)
	h.sum, h.who, h.token, h.object, h.lease, h.until, h.answer = sum, who, token, written, lease, until, answer
	return answer, nil
}

// allowed holds what a server says against its token, and makes the Server of it. What is an inventory's, or a person's,
// stays as they wrote it.
func (r *Registrar) allowed(view *weir.Set, who Caller, said *weir.Announcement) (token, object *weir.Object, err error) {
	if token, err = r.token(view, who.Registrant); err != nil {
		return nil, nil, err
	}
	if err = mayName(token, who.Name, who.From); err != nil {
		return nil, nil, err
	}
	if err = r.mayHold(view, token, who.Name); err != nil {
		return nil, nil, err
	}
	if object, err = wished(token, who.Name, who.From, said); err != nil {
		return nil, nil, err
	}
	present := view.Get(object.Ref())
	if own(present) {
		return token, object, nil
	}
	if has, says := present.Spec.(*weir.Server).Address, object.Spec.(*weir.Server).Address; has != says {
		return nil, nil, weir.Errorf(weir.Forbidden, "server %s has the address %s, as %s wrote it, and registers with %s; correct the one that is wrong", who.Name, has, writer(present), says)
	}
	return token, present.Clone(), nil
}

func writer(o *weir.Object) string {
	if o.Metadata.ManagedBy == "" {
		return "a person"
	}
	return "the " + o.Metadata.ManagedBy
}

// mayTake says why a server may not hold its registration, or nil: another machine of its name holds it that was heard
// within its lease. A machine that was made anew has another key and the same address.
func (r *Registrar) mayTake(lease store.Registration, who Caller, object *weir.Object) (holder, error) {
	held, err := holderOf(lease)
	if err != nil {
		return held, err
	}
	if address := object.Spec.(*weir.Server).Address; len(lease.Value) > 0 && held.Key != who.Key && held.Address != address {
		return held, weir.Errorf(weir.Conflict, "server %s is registered by another machine, at %s, and this one is at %s: give one of them another name; if the other is gone, its registration ends %s after it was heard last", who.Name, held.Address, address, r.leases.Lease())
	}
	return held, nil
}

// penalize counts a fall, as far as it is one.
func (r *Registrar) penalize(who Caller, held holder, present *weir.Object, says string, now time.Time) discovery.Penalty {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.of(who.Name)
	penalty := h.penalty
	if held.Penalty.At.After(penalty.At) {
		penalty = held.Penalty // of another control plane
	}
	penalty = r.opts.Damping.At(penalty, now)
	if says != weir.RegistrationHealthy && spokenHealthy(present) {
		penalty = r.opts.Damping.Fell(penalty, now)
	}
	h.penalty = penalty
	return penalty
}

func spokenHealthy(o *weir.Object) bool {
	return o != nil && o.Spec.(*weir.Server).Registered() == weir.RegistrationHealthy
}

// of gives what was heard of a server; r.mu is held.
func (r *Registrar) of(name string) *heard {
	h := r.heard[name]
	if h == nil {
		h = &heard{}
		r.heard[name] = h
	}
	return h
}

// entered fills in the registration, and says when it is to be looked at again: when one that is kept out for flapping may
// come back.
func (r *Registrar) entered(present, object *weir.Object, who Caller, said *weir.Announcement, penalty discovery.Penalty, now time.Time) (*weir.Object, time.Time) {
	is := &weir.Registration{State: said.State, Since: now.Truncate(time.Millisecond), By: weir.ByRegistration + who.Token, Reason: said.Reason}
	var until time.Time
	if said.State == weir.RegistrationHealthy && penalty.Out {
		until = r.opts.Damping.Until(penalty)
		// Stale, and not withdrawn: a pool that would be empty for it takes it in all the same.
		is.State = weir.RegistrationStale
		is.Reason = "it says that it is healthy, and went from that to something else too often: kept out until " + until.UTC().Format("15:04:05") + " UTC"
	}
	if present != nil {
		if was := present.Spec.(*weir.Server).Registration; was != nil && was.State == is.State && was.By == is.By {
			is.Since = was.Since
		}
	}
	object.Spec.(*weir.Server).Registration = is
	return object, until
}

// keep puts the holder's key, or notes that the holder was heard, and gives the registration.
func (r *Registrar) keep(ctx context.Context, name string, lease store.Registration, held, next holder) (store.Registration, error) {
	if len(lease.Value) > 0 && held == next {
		err := r.leases.Hear(lease)
		if weir.KindOf(err) != weir.NotFound {
			return lease, err
		}
		lease = store.Registration{}
	}
	value, err := json.Marshal(next)
	if err != nil {
		return lease, err
	}
	return r.leases.Put(ctx, name, value, lease)
}

func (r *Registrar) answer(token, o *weir.Object) Answer {
	is := o.Spec.(*weir.Server).Registration
	a := Answer{
		Server: o.Metadata.Name, State: is.State, Reason: is.Reason, Revision: o.Revision,
		Lease: weir.Duration(r.leases.Lease()), Heartbeat: weir.Duration(r.leases.Lease() / 3), TokenExpiresAt: token.Spec.(*weir.Token).ExpiresAt,
	}
	if !own(o) {
		if a.ManagedBy = o.Metadata.ManagedBy; a.ManagedBy == "" {
			a.ManagedBy = "a person"
		}
	}
	return a
}

// write makes the change, if there is any, and gives the Server as it is kept.
func (r *Registrar) write(ctx context.Context, who Caller, present, object *weir.Object) (*weir.Object, error) {
	w := weir.Write{Put: object, IfMatch: weir.MustNotExist}
	if present != nil {
		w.IfMatch = present.Revision
	}
	is := object.Spec.(*weir.Server).Registration
	reason := fmt.Sprintf("registered with token %s: %s", who.Token, is.State)
	if is.Reason != "" {
		reason += ": " + is.Reason
	}
	res, err := r.opts.Store.Apply(ctx, store.Request{Author: author(who.Name), Reason: reason, Writes: []weir.Write{w}, Registers: true})
	if err != nil {
		return nil, err
	}
	written := res.After.Get(object.Ref())
	if written == nil {
		return nil, errors.New("register: the store lost the server")
	}
	return written, nil
}

// forget drops what was heard of servers that are neither registered nor damped, when there is much of it; r.mu is held.
func (r *Registrar) forget(now time.Time) {
	if len(r.heard) < 2*r.leases.Len()+1000 {
		return
	}
	for name, h := range r.heard {
		if _, held := r.leases.Get(name); !held && r.opts.Damping.At(h.penalty, now).Count == 0 {
			delete(r.heard, name)
		}
	}
}
