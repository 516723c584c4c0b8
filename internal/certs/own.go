package certs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"weir"
	"weir/internal/store"
)

// Own is how it stands with the certificate of an authority of Weir's own.
type Own struct {
	// Begin and End are its own; nothing that it signs is good for longer.
	Begin, End time.Time
	// Renew is when the issuer that signs it is to sign another, zero when that is not done: Why then says why not.
	Renew time.Time
	Why   string
}

// ownOf says when an authority's own certificate is renewed: when a third of its life is left, or when what it
// signs for the longest could soon not be signed for as long. An authority that signs itself, or that somebody else
// has signed, is never renewed by itself: who believes it must be told first.
func ownOf(name string, spec *weir.Issuer, set *weir.Set) (Own, error) {
	chain, err := ParseChain(spec.Chain)
	if err != nil {
		return Own{}, fmt.Errorf("the chain of Issuer/%s: %w", name, err)
	}
	own := Own{Begin: chain[0].NotBefore, End: earliestEnd(chain)}
	if spec.CA.Parent == "" {
		own.Why = "it signs itself"
		if string(chain[0].RawIssuer) != string(chain[0].RawSubject) {
			own.Why = "it was signed elsewhere, by " + chain[0].Issuer.CommonName
		}
		return own, nil
	}
	life := own.End.Sub(own.Begin)
	own.Renew = own.End.Add(-max(life/3, min(2*longest(name, spec, set), life*2/3)))
	parent := weir.Find[weir.Issuer](set, "Issuer", spec.CA.Parent)
	if parent == nil || parent.KeyRef == nil {
		own.Renew, own.Why = time.Time{}, fmt.Sprintf("Issuer/%s, which signs it, is not there", spec.CA.Parent)
		return own, nil
	}
	above, err := ParseChain(parent.Chain)
	if err != nil {
		return own, fmt.Errorf("the chain of Issuer/%s: %w", spec.CA.Parent, err)
	}
	if end := earliestEnd(above); end.Before(own.End.Add(life / 12)) {
		own.Renew, own.Why = time.Time{}, fmt.Sprintf("Issuer/%s, which signs it, is itself good until %s and no longer", spec.CA.Parent, moment(end))
	}
	return own, nil
}

// longest is how long the longest certificate is to be good for that an authority signs.
func longest(name string, spec *weir.Issuer, set *weir.Set) time.Duration {
	most := spec.CA.Certificates.D()
	for ref := range set.ReferrersOf("Certificate", weir.Ref{Kind: "Issuer", Name: name}) {
		if c := weir.Find[weir.Certificate](set, ref.Kind, ref.Name); c != nil {
			most = max(most, c.Duration.D())
		}
	}
	return most
}

// OwnProgress says how it stands with the certificate of an authority of Weir's own, for people; ok is false of an
// issuer that is none.
func OwnProgress(name string, spec *weir.Issuer, set *weir.Set, now time.Time) (c weir.Condition, ok bool) {
	if spec.Type != weir.IssuerCA || spec.CA == nil || spec.KeyRef == nil {
		return c, false
	}
	c = weir.Condition{Type: weir.Issued, Status: "True", Reason: "Issued"}
	own, err := ownOf(name, spec, set)
	if err != nil {
		c.Status, c.Reason, c.Message = "False", "Unreadable", err.Error()
		return c, true
	}
	life := own.End.Sub(own.Begin)
	soon := own.End.Add(-max(2*longest(name, spec, set), min(life/4, 365*24*time.Hour)))
	const cure = "make another Issuer, have its chain believed where this one's is, and name it in the issuer of the Certificates"
	switch {
	case !now.Before(own.End):
		c.Status, c.Reason = "False", "Expired"
		c.Message = fmt.Sprintf("its own certificate expired at %s, and all that it signed with it; %s", moment(own.End), cure)
	case !own.Renew.IsZero():
		c.Message = fmt.Sprintf("its own certificate is good until %s; Issuer/%s signs another at %s", moment(own.End), spec.CA.Parent, moment(own.Renew))
	case !now.Before(soon):
		c.Reason = "EndsSoon"
		c.Message = fmt.Sprintf("its own certificate is good until %s, what it signs no longer than that, and it is not renewed by itself, because %s; %s", moment(own.End), own.Why, cure)
	default:
		c.Message = fmt.Sprintf("its own certificate is good until %s; it is not renewed by itself, because %s", moment(own.End), own.Why)
	}
	return c, true
}

// UploadProgress says of a certificate that somebody has uploaded when it ends, for people; ok is false while that is
// far off, and of one without a key.
func UploadProgress(spec *weir.Certificate, now time.Time) (c weir.Condition, ok bool) {
	if spec.Issuer != "" || spec.KeyRef == nil || spec.Info == nil || spec.Revoked != nil {
		return c, false
	}
	begin, end := spec.Info.NotBefore, spec.Info.NotAfter
	const cure = "give this object another chain and key, or take it out of the listeners"
	switch {
	case !now.Before(end):
		return weir.Condition{Type: weir.Issued, Status: "False", Reason: "Expired", Message: fmt.Sprintf("expired at %s, and is shown still where listeners name it; %s", moment(end), cure)}, true
	case !now.Before(end.Add(-min(end.Sub(begin)/3, 30*24*time.Hour))):
		return weir.Condition{Type: weir.Issued, Status: "True", Reason: "EndsSoon", Message: fmt.Sprintf("good until %s, and nobody renews it by itself; %s", moment(end), cure)}, true
	}
	return c, false
}

// ownWork begins the names of the work at issuers among that at certificates.
const ownWork = "Issuer/"

// authorities begins to renew what is due of the authorities of Weir's own, and gives when the next is.
func (k *Keeper) authorities(ctx context.Context, set *weir.Set, now time.Time) (next time.Time) {
	for o := range set.All("Issuer") {
		name, spec := o.Metadata.Name, o.Spec.(*weir.Issuer)
		if spec.Type != weir.IssuerCA || spec.CA.Parent == "" || spec.KeyRef == nil {
			continue
		}
		own, err := ownOf(name, spec, set)
		if err != nil || own.Renew.IsZero() {
			continue // status says why
		}
		k.mu.Lock()
		at := later(own.Renew, k.own[name].Next(now, name, spec.KeyRef.Fingerprint))
		k.mu.Unlock()
		if !at.After(now) && k.begin(ctx, nobody, ownWork+name, k.renewOwn) {
			continue
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// renewOwn has the issuer above sign another certificate for an authority, with another key. What was signed before
// brings the former one along.
func (k *Keeper) renewOwn(ctx context.Context, work string) error {
	name := strings.TrimPrefix(work, ownWork)
	o := k.opts.Store.View().Get(weir.Ref{Kind: "Issuer", Name: name})
	if o == nil {
		return nil
	}
	spec := o.Spec.(*weir.Issuer)
	err := k.signOwn(ctx, o, spec)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil || weir.KindOf(err) == weir.Stale {
		delete(k.own, name)
	} else {
		k.own[name] = k.own[name].Failed(k.opts.Clock(), spec.KeyRef.Fingerprint, nil)
	}
	return err
}

func (k *Keeper) signOwn(ctx context.Context, o *weir.Object, spec *weir.Issuer) error {
	above, _, err := k.open(ctx, spec.CA.Parent)
	if err != nil {
		return err
	}
	if above.authority == nil {
		return fmt.Errorf("sign its certificate: Issuer/%s signs no authorities", spec.CA.Parent)
	}
	made, err := NewAuthority(*spec.CA, above.authority, k.opts.Clock())
	if err != nil {
		return err
	}
	next := o.Clone()
	issuer := next.Spec.(*weir.Issuer)
	if issuer.Chain, issuer.Key, err = made.Encode(); err != nil {
		return err
	}
	issuer.KeyRef = nil
	if _, err := k.opts.Store.Apply(ctx, store.Request{
		Author: author, Reason: fmt.Sprintf("Issuer/%s has signed another certificate of the authority's own", spec.CA.Parent),
		Writes: []weir.Write{{Put: next, IfMatch: o.Revision}},
	}); err != nil {
		return err
	}
	k.opts.Log.Info("an authority's own certificate was renewed", "issuer", o.Metadata.Name, "by", spec.CA.Parent, "until", made.End())
	return nil
}

// forgetIssuers begins to take away what is kept of the accounts of issuers that are gone, once nobody goes on with an
// order of theirs.
func (k *Keeper) forgetIssuers(ctx context.Context, set *weir.Set) {
	k.mu.Lock()
	var gone []string
	for name := range k.accounts {
		if set.Get(weir.Ref{Kind: "Issuer", Name: name}) == nil {
			gone = append(gone, name)
		}
	}
	k.mu.Unlock()
	for _, name := range gone {
		k.begin(ctx, nobody, ownWork+name, k.forgetIssuer)
	}
}

func (k *Keeper) forgetIssuer(ctx context.Context, work string) error {
	name := strings.TrimPrefix(work, ownWork)
	k.mu.Lock()
	for _, r := range k.records {
		if r.Order != nil && r.OrderedOf == name {
			k.mu.Unlock()
			return nil
		}
	}
	k.mu.Unlock()
	_, generation, err := k.opts.Store.Platform(ctx, accountPrefix+name)
	if err == nil {
		err = k.opts.Store.SetPlatform(ctx, accountPrefix+name, nil, generation)
	}
	if err != nil && weir.KindOf(err) != weir.NotFound {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.accounts, name)
	delete(k.issuers, name)
	return nil
}

// noGain says why another certificate of an authority of Weir's own would be none better than the present one; empty
// when it would.
func noGain(spec *weir.Certificate, a *Authority, issuer string, duration time.Duration, now time.Time) string {
	if spec.Info == nil || spec.Revoked != nil {
		return ""
	}
	end, life := now.Add(duration), spec.Info.NotAfter.Sub(spec.Info.NotBefore)
	if a.End().Before(end) {
		end = a.End()
	}
	if end.Sub(spec.Info.NotAfter) >= life/12 || !now.Before(spec.Info.NotAfter) {
		return ""
	}
	return fmt.Sprintf("Issuer/%s is itself good until %s and has none that lasts longer", issuer, moment(a.End()))
}

// waitForAuthority is how often it is looked whether an authority gives longer ones by now; at once when it changes.
const waitForAuthority = 6 * time.Hour

// waitForName is how often it is looked whether a name is another role's still.
const waitForName = 5 * time.Minute
