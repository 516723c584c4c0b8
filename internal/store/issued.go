package store

import (
	"fmt"
	"slices"

	"weir"
)

// carryOver keeps what the control plane has made for an object whose wish says nothing of it: chain and key of a
// certificate that is ordered, key and chain of an issuer. A manifest out of a repository has none of them, and to
// apply it again must not take them away.
func (d *draft) carryOver() {
	if d.before == nil {
		return
	}
	switch after := d.after.Spec.(type) {
	case *weir.Certificate:
		before := d.before.Spec.(*weir.Certificate)
		if after.Issuer != "" && after.Chain == "" && after.Key == "" && after.KeyRef == nil {
			after.Chain, after.KeyRef = before.Chain, before.KeyRef
		}
	case *weir.Issuer:
		before := d.before.Spec.(*weir.Issuer)
		if after.Type == before.Type && after.Key == "" && after.KeyRef == nil && after.Chain == "" {
			after.Chain, after.KeyRef = before.Chain, before.KeyRef
		}
	}
}

// revoked: a certificate that was revoked stays so, and neither an undo nor an old export brings it back.
func (d *draft) revoked() {
	after := d.after.Spec.(*weir.Certificate)
	after.RevokedSerials = nil
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
	case after.Revoked == nil && known && after.Issuer != "" && before.Chain == after.Chain:
		after.Revoked = before.Revoked // until another one has come
	case after.Revoked == nil && known:
		d.problems = append(d.problems, weir.Problem{
			Object: d.ref.String(), Path: "spec.chain", Message: fmt.Sprintf("the certificate of serial number %s was revoked and can't come back; give another chain and key", after.Info.Serial),
		})
	}
}
