package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
)

// How long tokens live.
const (
	maxTokenLife     = 366 * 24 * time.Hour
	defaultTokenLife = 90 * 24 * time.Hour
	joinTokenLife    = time.Hour
)

// registrationToken is the kind of a token with which servers register themselves, as its text says.
const registrationToken = "registration"

// TokenAnswer shows a token's text, this once.
type TokenAnswer struct {
	// Token is the text; only its hash is kept.
	Token  string       `json:"token"`
	Object *weir.Object `json:"object"`
	// Revision is that of the change that keeps the token.
	Revision int64 `json:"revision"`
}

// makeToken makes a token out of a Token object that says whose it is and until when.
func (c *call) makeToken(kind weir.Kind) error {
	if !c.who.Holds(weir.Admin, "") {
		return weir.Errorf(weir.Forbidden, "making tokens takes the right admin, which %s does not have", c.who.Subject)
	}
	req, err := c.request(condition{})
	if err != nil {
		return err
	}
	o, err := c.one(kind)
	if err != nil {
		return err
	}
	if join := o.Spec.(*weir.Token).Join; join != nil && join.LoadBalancer != "" {
		if err := MayEnrol(c.h.opts.Store.View(), join, join.LoadBalancer); err != nil {
			return err
		}
	}
	text, err := c.fillToken(o)
	if err != nil {
		return err
	}
	req.Writes = []weir.Write{{Put: o, IfMatch: weir.MustNotExist}}
	req.Authorize = func(before, after *weir.Object) error { return Allowed(c.who, Write, before, after) }
	res, err := c.done(c.h.opts.Store.Apply(c.r.Context(), req))(false)
	if err != nil {
		return err
	}
	token := o.Spec.(*weir.Token)
	what := "make token"
	switch {
	case token.Join != nil:
		what = "make join token"
	case token.Server != nil:
		what = "make server token"
	case token.Registration != nil:
		what = "make registration token"
	}
	c.audit(secrets.AuditEntry{
		What: what, Object: o.Ref().String(), Outcome: "accepted",
		Reason: "for " + token.Subject + ", until " + token.ExpiresAt.Format(time.RFC3339),
	})
	return c.answer(http.StatusCreated, TokenAnswer{text, shown(res.After.Get(o.Ref())), res.Revision})
}

// MayEnrol says why the terms of a join token let nobody enrol under a name, or nil. It holds where a token is made
// and again where it is spent, so that nobody finds out only on the machine.
func MayEnrol(set *weir.Set, terms *weir.JoinTerms, name string) error {
	if err := weir.CheckName(name); err != nil {
		return weir.Errorf(weir.Invalid, "load balancer name: %s", err)
	}
	if !terms.Replace && set.Get(weir.Ref{Kind: "LoadBalancer", Name: name}) != nil {
		return weir.Errorf(weir.Conflict, "load balancer %s exists: make a join token with --replace to shut its old agent out, or delete it, or take another name", name)
	}
	return nil
}

// fillToken gives the object its expiry and its hash, and returns the text.
func (c *call) fillToken(o *weir.Object) (text string, err error) {
	token := o.Spec.(*weir.Token)
	refused := func(path, message string) error {
		return &weir.Error{Kind: weir.Invalid, Message: "the token can't be made", Problems: []weir.Problem{{Object: o.Ref().String(), Path: path, Message: message}}}
	}
	if token.Hash != "" {
		return "", refused("spec.hash", "is made by the control plane; leave it out")
	}
	now := c.h.opts.Clock().UTC().Truncate(time.Second)
	life, longest := defaultTokenLife, maxTokenLife
	if token.Enrols() {
		life, longest = joinTokenLife, joinTokenLife
	}
	switch {
	case token.ExpiresAt.IsZero():
		token.ExpiresAt = now.Add(life)
	case !token.ExpiresAt.After(now):
		return "", refused("spec.expiresAt", "is in the past")
	case token.ExpiresAt.Sub(now) > longest && token.Enrols():
		return "", refused("spec.expiresAt", "is too far away: a join token lives an hour at most")
	case token.ExpiresAt.Sub(now) > longest:
		return "", refused("spec.expiresAt", "is too far away: a token lives a year at most")
	}
	if token.Registration != nil {
		// Without the CA's hash: it outlives changes of CA.
		text, token.Hash = secrets.NewToken(registrationToken)
		return text, nil
	}
	if !token.Enrols() {
		text, token.Hash = secrets.NewToken("api")
		return text, nil
	}
	if c.h.opts.CAHash == nil {
		return "", weir.Errorf(weir.Unavailable, "join tokens can't be made: the control plane has no CA of its own")
	}
	if text, token.Hash, err = secrets.NewJoinToken(c.h.opts.CAHash()); err != nil {
		return "", err
	}
	return text, nil
}

// keepTokens fills in what is stored of the tokens among the writes, since nobody is shown it; a token that does
// not exist can't be written like other objects.
func (c *call) keepTokens(writes []weir.Write) ([]weir.Write, error) {
	var problems weir.Problems
	view := c.h.opts.Store.View()
	for i, w := range writes {
		if w.Put == nil || w.Put.Kind != "Token" {
			continue
		}
		present := view.Get(w.Ref())
		if err := Allowed(c.who, Write, present, w.Put); err != nil {
			return nil, err
		}
		problem := func(path, message string) {
			problems.Append(weir.Problem{Object: w.Ref().String(), Path: path, Message: message})
		}
		token := *w.Put.Spec.(*weir.Token)
		switch {
		case token.Hash != "":
			problem("spec.hash", "is made by the control plane; leave it out")
		case present == nil:
			problem("", "tokens are made by POST /api/v1/tokens (weir token), which shows the text once; they can't be applied")
		default:
			token.Hash = present.Spec.(*weir.Token).Hash
			put := *w.Put
			put.Spec = &token
			writes[i].Put = &put
		}
	}
	return writes, problems.Err()
}

// sameToken lets nobody make one token into another: a stolen hash, a longer life, somebody else's name.
func sameToken(before, after *weir.Object) error {
	if before == nil || after == nil || before.Kind != "Token" {
		return nil
	}
	was, err := json.Marshal(before.Spec)
	if err != nil {
		return err
	}
	now, err := json.Marshal(after.Spec)
	if err != nil || bytes.Equal(was, now) {
		return err
	}
	return weir.Errorf(weir.Invalid, "%s: a token's subject, expiry and terms can't be changed; make a new one and delete this", before.Ref())
}
