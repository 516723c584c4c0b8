package api

import "weir"

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
	return s
}
