package api

import (
	"net/http"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/signin"
	"weir/internal/store"
)

// SignInRequest is a token to be exchanged for a session.
type SignInRequest struct {
	Token string `json:"token"`
}

// SessionAnswer tells a browser whether somebody is signed in there.
type SessionAnswer struct {
	SignedIn bool `json:"signedIn"`
	// Why says why the session that the browser still has counts no more.
	Why string `json:"why,omitempty"`
	// Me is what whoami says, ExpiresAt when the session ends.
	Me        *WhoAmI   `json:"me,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// Providers are the ways to sign in besides a token.
	Providers []SignInProvider `json:"providers"`
}

// SignInProvider is an identity provider that people sign in with.
type SignInProvider struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// URL is where the browser goes; the query parameter to says where it comes back to.
	URL string `json:"url"`
}

// bySession finds out who asks by the session's cookie; ok is false without one.
func (h *Handler) bySession(r *http.Request) (cred credential, who Caller, ok bool, err error) {
	if h.opts.SignIn == nil {
		return cred, who, false, nil
	}
	cred.session, err = signin.Held(r)
	if err != nil || cred.session == "" {
		return cred, who, err != nil, err
	}
	if err := signin.SameOrigin(r); err != nil {
		return cred, who, true, err
	}
	now, from := h.opts.Clock(), remotePrefix(r)
	// Whoever comes with sessions that nobody knows has them looked for a few times at once.
	if _, err = h.opts.SignIn.Find(r.Context(), cred.session, h.unknown.may(from, now)); err != nil {
		if weir.KindOf(err) == weir.Unauthenticated {
			h.unknown.take(from, now)
		}
		return cred, who, true, err
	}
	who, err = h.judge(cred, now)
	return cred, who, true, err
}

// judgeSession says whose a session is at a moment, with the rights of that moment.
func (h *Handler) judgeSession(id string, now time.Time) (Caller, error) {
	s, err := h.opts.SignIn.Session(id)
	if err != nil {
		return Caller{}, err
	}
	if err := h.opts.SignIn.Judge(h.opts.Store.View(), s, now); err != nil {
		return Caller{}, err
	}
	who := h.people.caller(s.Subject, s.Groups...)
	if len(who.Grants) == 0 {
		return Caller{}, signin.NoGrant(s.Subject)
	}
	return who, nil
}

// session tells who is signed in. That nobody is is no error.
func (c *call) session() error {
	answer := SessionAnswer{Providers: c.h.providers()}
	cred, who, held, err := c.h.bySession(c.r)
	switch kind := weir.KindOf(err); {
	case !held:
	case kind == weir.Unauthenticated:
		answer.Why = problemOf(err, "").Detail
		http.SetCookie(c.w, signin.Cleared())
	case kind == weir.Forbidden:
		answer.Why = problemOf(err, "").Detail
	case err != nil:
		return err
	default:
		c.cred, c.who = cred, who
		me, err := c.me()
		if err != nil {
			return err
		}
		answer.SignedIn, answer.Me, answer.ExpiresAt = true, &me, me.ExpiresAt
	}
	return c.answer(http.StatusOK, answer)
}

// signIn exchanges a token for a session. Who fails often waits: it costs more to answer than to ask.
func (c *call) signIn() error {
	if c.h.opts.SignIn == nil {
		return weir.Errorf(weir.Unavailable, "this server makes no sessions")
	}
	if err := signin.FromBrowserElsewhere(c.r); err != nil {
		return err
	}
	now, from := c.h.opts.Clock(), remotePrefix(c.r)
	if !c.h.signIns.may(from, now) {
		c.w.Header().Set("Retry-After", "10")
		return tooManyTries()
	}
	if err := c.signedIn(now); err != nil {
		if weir.KindOf(err) != weir.Unavailable { // which is no fault of whoever asks
			c.h.signIns.take(from, now)
		}
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func tooManyTries() error {
	return weir.Errorf(tooMany, "too many tries to sign in failed from this address; wait ten seconds")
}

func (c *call) signedIn(now time.Time) error {
	var req SignInRequest
	asJSON, err := c.bodyType()
	if err != nil {
		return err
	}
	text, err := c.body(maxSignInBody, objectWithin)
	if err != nil {
		return err
	}
	if err := c.small(text, asJSON, &req); err != nil {
		return err
	}
	hash, err := secrets.HashToken(req.Token)
	if err != nil {
		return unauthenticated("this is no token: it has a typing mistake or was cut")
	}
	revision := c.h.opts.Store.Revision()
	if c.who, err = c.h.judge(credential{hash: hash}, now); err != nil {
		return err
	}
	if len(c.who.Grants) == 0 {
		return signin.NoGrant(c.who.Subject)
	}
	token := c.h.people.token(hash)
	if token == nil {
		return unauthenticated("the token was revoked just now")
	}
	cookie, err := c.h.opts.SignIn.Open(c.r.Context(), store.Session{
		Subject: c.who.Subject, Token: token.Metadata.Name, TokenHash: hash, Ends: token.Spec.(*weir.Token).ExpiresAt, Revision: revision,
	})
	if err != nil {
		return err
	}
	if before, err := signin.Held(c.r); err == nil && before != "" {
		_ = c.h.opts.SignIn.Close(c.r.Context(), before) // else it ends by itself
	}
	http.SetCookie(c.w, cookie)
	c.audit(secrets.AuditEntry{What: "sign in", Object: "Token/" + token.Metadata.Name, Outcome: "accepted"})
	return nil
}

// signOut ends the session of the browser that asks.
func (c *call) signOut() error {
	http.SetCookie(c.w, signin.Cleared())
	id, err := signin.Held(c.r)
	if c.h.opts.SignIn != nil && err == nil && id != "" {
		if err := signin.SameOrigin(c.r); err != nil {
			c.w.Header().Del("Set-Cookie")
			return err
		}
		if err := c.signedOut(id); err != nil {
			return err
		}
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// signedOut ends a session on all servers. One that nobody here knows may be another server's, of a moment ago: for whoever
// comes with many such the store is not asked.
func (c *call) signedOut(id string) error {
	s, err := c.h.opts.SignIn.Session(id)
	if err != nil {
		if _, may := c.h.unknown.take(remotePrefix(c.r), c.h.opts.Clock()); !may {
			return nil
		}
		return c.h.opts.SignIn.Close(c.r.Context(), id)
	}
	if err := c.h.opts.SignIn.Close(c.r.Context(), id); err != nil {
		return err
	}
	c.who.Subject = s.Subject
	c.audit(secrets.AuditEntry{What: "sign out", Outcome: "accepted"})
	return nil
}

// maxSignInBody is the longest body with a token, in bytes.
const maxSignInBody = 4 << 10
