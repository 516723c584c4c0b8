package api

import (
	"slices"

	"weir"
)

// shown gives an object as people may see it: what is stored of a token is no one's business, and of secrets
// only the reference stays. The store's object is not touched.
func shown(o *weir.Object) *weir.Object {
	if o == nil {
		return nil
	}
	c := *o
	switch spec := o.Spec.(type) {
	case *weir.Token:
		t := *spec
		t.Hash = ""
		c.Spec = &t
	case *weir.Certificate:
		if spec.Key != "" {
			t := *spec
			t.Key = ""
			c.Spec = &t
		}
	case *weir.Secret:
		if spec.Data != "" {
			t := *spec
			t.Data = ""
			c.Spec = &t
		}
	}
	return &c
}

// withStatus is shown, with what is so.
func (c *call) withStatus(o *weir.Object) *weir.Object {
	s := shown(o)
	s.Status = c.h.opts.Status.Status(o)
	if s.Status != nil && s.Status.Issuer != nil {
		s.Status.Issuer = c.ofOwn(s.Status.Issuer)
	}
	if s.Status != nil && s.Status.Source != nil && !c.who.Holds(weir.Viewer, o.Spec.(*weir.DiscoverySource).Role) {
		s.Status.Source = counted(s.Status.Source)
	}
	return s
}

// counted is a source's status without the names of servers, for who may not see these: everybody may see a source.
func counted(s *weir.SourceStatus) *weir.SourceStatus {
	own := *s
	own.Left, own.DampedServers, own.Error = nil, nil, ""
	if own.Doubt != nil {
		doubt := *own.Doubt
		doubt.Names = nil
		own.Doubt = &doubt
	}
	return &own
}

// ofOwn leaves out of an issuer's status what it says of certificates that the caller may not see: everybody may see
// an Issuer without a role.
func (c *call) ofOwn(s *weir.IssuerStatus) *weir.IssuerStatus {
	view, own := c.h.opts.Store.View(), *s
	if own.NextName != "" && !c.sees(view, "Certificate/"+own.NextName) {
		own.NextName = ""
	}
	if own.FailedName != "" && !c.sees(view, "Certificate/"+own.FailedName) {
		own.FailedName, own.Error = "", ""
	}
	if !c.who.Holds(weir.Viewer, "") {
		own.Budgets = slices.Clone(own.Budgets)
		for i := range own.Budgets {
			own.Budgets[i].By = "" // a domain or name, of whichever role
		}
	}
	return &own
}
