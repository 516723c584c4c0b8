package compile

import (
	"reflect"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// syncCertificates brings the groups that were worked out with the certificates before to these, when nothing but
// chains and keys differs: thousands of sites need not be looked at again for a hundred of them. Else it leaves the
// groups to be worked out again when they are asked for.
func (c *Compiler) syncCertificates(before *weir.Stamp, set *weir.Set) {
	old, now := c.certificates, make([]*weir.Object, 0, set.Len("Certificate"))
	for o := range set.All("Certificate") {
		now = append(now, o)
	}
	c.certificates = now
	renewed, ok := renewals(old, now)
	if !ok {
		return
	}
	for name, g := range c.groups {
		if g.stamps[certificateAt] == before {
			c.groups[name] = g.renewed(renewed, set.Stamp("Certificate"))
		}
	}
}

// renewals gives those of the certificates that are others than before; ok is false when some came, went, or changed in
// more than chain and key.
func renewals(before, now []*weir.Object) (renewed []*weir.Object, ok bool) {
	if len(before) != len(now) {
		return nil, false
	}
	for i, o := range now {
		if o == before[i] {
			continue
		}
		if !onlyRenewed(before[i], o) {
			return nil, false
		}
		renewed = append(renewed, o)
	}
	return renewed, true
}

// renewed gives the group with certificates that were renewed in the place of the former ones.
func (g *group) renewed(list []*weir.Object, stamp *weir.Stamp) *group {
	next := *g
	next.stamps[certificateAt] = stamp
	cloned := false // nodes that were given out keep the list
	for _, o := range list {
		name := o.Metadata.Name
		i, shown := slices.BinarySearchFunc(next.node.Certificates, name, func(c ir.Certificate, name string) int { return strings.Compare(c.Name, name) })
		if !shown {
			continue
		}
		if !cloned {
			next.node.Certificates, cloned = slices.Clone(g.node.Certificates), true
		}
		next.node.Certificates[i] = certificate(name, o.Spec.(*weir.Certificate))
	}
	return &next
}

// onlyRenewed says that two certificates of a name are the same but for the chain, what is read out of it, and which key
// it is. Whatever else a certificate has may decide whether and where it is shown.
func onlyRenewed(old, now *weir.Object) bool {
	a, b := *old.Spec.(*weir.Certificate), *now.Spec.(*weir.Certificate)
	if (a.KeyRef == nil) != (b.KeyRef == nil) || (a.Info == nil) != (b.Info == nil) {
		return false
	}
	for _, c := range []*weir.Certificate{&a, &b} {
		c.Chain, c.KeyRef, c.Info = weir.Chain{}, nil, nil
	}
	return reflect.DeepEqual(old.Metadata, now.Metadata) && reflect.DeepEqual(a, b)
}

// sameCertificate says that two certificates are the same, far faster than by reflection.
func sameCertificate(a, b *ir.Certificate) bool {
	return a.Name == b.Name && a.Chain == b.Chain && slices.Equal(a.Names, b.Names) && (a.Key == b.Key || a.Key != nil && b.Key != nil && *a.Key == *b.Key)
}
