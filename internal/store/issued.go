package store

import (
	"fmt"
	"slices"
	"time"

	"weir"
)

// carryOver keeps what the control plane has made for an object whose wish says nothing of it: chain and key of a
// certificate that is ordered, key and chain of an issuer. A manifest out of a repository has none of them, or those of
// the day when it was exported, and to apply it again must not take away what came since.
func (d *draft) carryOver(undo bool, now time.Time) {
	if d.before == nil {
		return
	}
	switch after := d.after.Spec.(type) {
	case *weir.Certificate:
		before := d.before.Spec.(*weir.Certificate)
		if after.Issuer == "" || after.Key != "" {
			return
		}
		switch {
		case after.Chain.IsZero() && after.KeyRef == nil:
			after.Chain, after.KeyRef = before.Chain, before.KeyRef
		case !undo && superseded(before, after):
			after.Chain, after.KeyRef, after.Revoked = before.Chain, before.KeyRef, before.Revoked
		}
		if !undo && asked(before, now) && (after.RenewAt == nil || after.RenewAt.Before(*before.RenewAt)) {
			after.RenewAt = before.RenewAt
		}
	case *weir.Issuer:
		before := d.before.Spec.(*weir.Issuer)
		if after.Type != before.Type || after.Key != "" {
			return
		}
		if after.KeyRef == nil && after.Chain == "" || !undo && outlived(before, after) {
			after.Chain, after.KeyRef = before.Chain, before.KeyRef
		}
	}
}

// superseded says that a wish has the certificate of before another one was issued, and nothing new to say of it. To
// revoke that one is new, unless it was revoked.
func superseded(before, after *weir.Certificate) bool {
	if before.Issuer == "" || before.KeyRef == nil || after.KeyRef == nil || after.KeyRef.Generation >= before.KeyRef.Generation {
		return false
	}
	return after.Revoked == nil || after.Info != nil && slices.Contains(before.RevokedSerials, after.Info.Serial)
}

// outlived says that a wish has the key of an authority before another one was signed for it. Without a parent nobody
// renews it but people, who may have wanted the former one again.
func outlived(before, after *weir.Issuer) bool {
	return before.CA != nil && before.CA.Parent != "" && before.KeyRef != nil && after.KeyRef != nil && after.KeyRef.Generation < before.KeyRef.Generation
}

// asked says that somebody has asked for another certificate, by a moment that has come: no wish of how it is to be, and
// not to be taken back by a manifest that does not know of it.
func asked(before *weir.Certificate, now time.Time) bool {
	return before.Issuer != "" && before.RenewAt != nil && !before.RenewAt.After(now)
}

// pinIssuers writes down whom a site orders certificates from where its wish leaves that open. issuers gives those there
// are, with the ones of the same change.
func (d *draft) pinIssuers(issuers func() []*weir.Object) {
	site, ok := d.after.Spec.(*weir.Site)
	open := func(l weir.Listener) bool {
		return l.TLS != nil && l.TLS.Certificates.Auto() && l.TLS.Issuer == ""
	}
	if !ok || !slices.ContainsFunc(site.Listeners, open) {
		return
	}
	var before *weir.Site
	if d.before != nil {
		before = d.before.Spec.(*weir.Site)
	}
	site.PinIssuers(before, d.after.Metadata.Role, issuers())
}

// issuersWith gives the issuers of a set as they are after the writes.
func issuersWith(base *weir.Set, writes []weir.Write) (list []*weir.Object) {
	written := map[weir.Ref]*weir.Object{}
	for _, w := range writes {
		if w.Ref().Kind == "Issuer" {
			written[w.Ref()] = w.Put
		}
	}
	for o := range base.All("Issuer") {
		if _, changed := written[o.Ref()]; !changed {
			list = append(list, o)
		}
	}
	for _, o := range written {
		if o == nil {
			continue
		}
		if _, ok := o.Spec.(*weir.Issuer); ok {
			list = append(list, o)
		}
	}
	return list
}

// takenAlong gives the deletions of what goes with an Issuer or a Role: Certificates that sites had ordered, and that none
// wants any more. They would go by themselves, and nobody who made the sites knows of them.
func (s *Store) takenAlong(base *weir.Set, writes []weir.Write) (more []weir.Write) {
	named := map[weir.Ref]bool{}
	var owners []weir.Ref
	for _, w := range writes {
		named[w.Ref()] = true
		if w.Put == nil && (w.Delete.Kind == "Issuer" || w.Delete.Kind == "Role") {
			owners = append(owners, w.Delete)
		}
	}
	if len(owners) == 0 {
		return nil
	}
	without := s.fork(base)
	for _, w := range writes {
		if w.Put == nil {
			without.Delete(w.Delete)
		} else if site, ok := w.Put.Spec.(*weir.Site); ok && site != nil {
			without.Put(w.Put)
		}
	}
	wanted := without.Orders()
	for _, owner := range owners {
		for r := range base.ReferrersOf("Certificate", owner) {
			o := base.Get(r)
			_, ordered := weir.OrderOf(o)
			if _, still := wanted[r.Name]; ordered && !still && !named[r] {
				named[r] = true
				more = append(more, weir.Write{Delete: r, IfMatch: o.Revision})
			}
		}
	}
	return more
}

// revoked: a certificate that was revoked stays so, and neither an undo nor an old export brings it back.
func (d *draft) revoked() {
	after := d.after.Spec.(*weir.Certificate)
	after.RevokedSerials = d.revokedOnce
	var before *weir.Certificate
	if d.before != nil {
		before = d.before.Spec.(*weir.Certificate)
		after.RevokedSerials = slices.Clone(before.RevokedSerials)
	}
	if after.Info == nil {
		return
	}
	known := slices.Contains(after.RevokedSerials, after.Info.Serial)
	switch {
	case after.Revoked != nil && !known:
		after.RevokedSerials = append(after.RevokedSerials, after.Info.Serial)
	case after.Revoked == nil && known && after.Issuer != "" && before != nil && before.Chain == after.Chain:
		after.Revoked = before.Revoked // until another one has come
	case after.Revoked == nil && known:
		d.problems = append(d.problems, weir.Problem{
			Object: d.ref.String(), Path: "spec.chain", Message: fmt.Sprintf("the certificate of serial number %s was revoked and can't come back; give another chain and key", after.Info.Serial),
		})
	}
}
