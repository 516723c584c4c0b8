package api

import (
	"slices"

	"weir"
)

// Verb is what somebody wants to do with an object.
type Verb string

// The verbs. Whether a write creates, changes or deletes is told by before and after.
const (
	Read  Verb = "read"
	Write Verb = "write"
)

// Caller is who asks, and what was granted to them.
type Caller struct {
	// Subject comes from the credential and is the author of what they change.
	Subject string
	// Groups are those that an identity provider says they are in, as Grants name them.
	Groups []string
	Grants []weir.Grant
}

// is says whether a Grant's or a Token's subject means the caller.
func (c Caller) is(subject string) bool {
	return subject == c.Subject || slices.Contains(c.Groups, subject)
}

// Holds says whether the caller has at least a right on a role's objects; "" asks for the platform's, which only
// a grant on "*" gives.
func (c Caller) Holds(need weir.Right, role string) bool {
	for _, g := range c.Grants {
		if (g.Role == "*" || g.Role == role && role != "") && g.Right.Covers(need) {
			return true
		}
	}
	return false
}

// Allowed says why the caller may not do something to an object, or nil. before is nil for an object to be made,
// after for one to be deleted; for reading both are looked at as far as they are there. What is asked must be
// allowed on both sides, so that nobody can take an object from a role or give it to one.
func Allowed(c Caller, verb Verb, before, after *weir.Object) error {
	if before == nil && after == nil {
		return weir.Errorf(weir.Forbidden, "there is nothing to %s", verb)
	}
	for _, o := range []*weir.Object{before, after} {
		if o == nil {
			continue
		}
		if err := allowed(c, verb, o); err != nil {
			return err
		}
	}
	return nil
}

func allowed(c Caller, verb Verb, o *weir.Object) error {
	kind, ok := weir.KindByName(o.Kind)
	if !ok {
		return weir.Errorf(weir.Forbidden, "%s: nobody has rights on an unknown kind", o.Ref())
	}
	switch verb {
	case Read:
		return mayRead(c, kind, o)
	case Write:
		return mayWrite(c, kind, o)
	}
	return weir.Errorf(weir.Forbidden, "%q is no verb", verb)
}

// mayRead: a role's objects take viewer on it. What belongs to no role is there to be referred to, so everybody
// with any right reads it; but who has which rights and credentials is shown only to those who may see all, and
// to those whom they are about, and so is a secret that belongs to no role.
func mayRead(c Caller, kind weir.Kind, o *weir.Object) error {
	role := o.Metadata.Role
	if c.Holds(weir.Viewer, role) {
		return nil
	}
	if role != "" {
		return lacks(c, weir.Viewer, o, role)
	}
	switch spec := o.Spec.(type) {
	case *weir.Grant:
		if c.is(spec.Subject) {
			return nil
		}
	case *weir.Token:
		if spec.Subject == c.Subject {
			return nil
		}
	case *weir.Secret, *weir.Change:
	default:
		if len(c.Grants) > 0 && !kind.ReadOnly {
			return nil
		}
	}
	return lacks(c, weir.Viewer, o, "*")
}

// MayList says why a caller can see no object of a kind whatever there is, or nil. role limits the question to one
// role's objects; empty asks for all. It looks at grants alone, so that a refusal tells nothing of what exists: an
// empty list means that there is nothing the caller may see, a refusal that they may see nothing.
func MayList(c Caller, kind weir.Kind, role string) error {
	own := kind.Name == "Grant" || kind.Name == "Token" // everybody sees what is about themselves
	switch {
	case role != "" && !kind.Platform && !c.Holds(weir.Viewer, role):
		return weir.Errorf(weir.Forbidden, "listing %s of role %q takes the right viewer on it, which %s does not have; an admin gives it with a Grant", kind.Plural, shorten(role), c.Subject)
	case len(c.Grants) == 0 && !own:
		return weir.Errorf(weir.Forbidden, "listing %s takes at least the right viewer on some role, which %s does not have; an admin gives it with a Grant", kind.Plural, c.Subject)
	}
	return nil
}

// mayWrite: the kind says which right it takes on the object's role; what has no role is the admin's.
func mayWrite(c Caller, kind weir.Kind, o *weir.Object) error {
	role := o.Metadata.Role
	switch {
	case kind.ReadOnly:
		return weir.Errorf(weir.Forbidden, "%s: a %s is made by Weir itself and can't be written", o.Ref(), kind.Name)
	case kind.Platform || role == "":
		if !c.Holds(weir.Admin, "") {
			return lacks(c, weir.Admin, o, "*")
		}
	case raw(o) && !c.Holds(weir.Admin, ""):
		return weir.Errorf(weir.Forbidden, "%s: a raw Logic holds whatever HAProxy takes, files and all, so that writing it takes the right admin on all roles, which %s does not have; ask an admin, or write it without raw", o.Ref(), c.Subject)
	case !c.Holds(kind.Write, role):
		return lacks(c, kind.Write, o, role)
	}
	return nil
}

// raw says that nobody but HAProxy reads what an object holds.
func raw(o *weir.Object) bool {
	l, ok := o.Spec.(*weir.Logic)
	return ok && l.Raw
}

func lacks(c Caller, need weir.Right, o *weir.Object, role string) error {
	return weir.Errorf(weir.Forbidden, "%s: this takes the right %s on role %q, which %s does not have; an admin gives it with a Grant", o.Ref(), need, role, c.Subject)
}
