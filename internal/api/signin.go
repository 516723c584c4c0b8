package api

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/url"

	"weir"
	"weir/internal/secrets"
	"weir/internal/signin"
)

var toParam = param{name: "to", kind: "string", doc: "The path of this host to come back to; / when left out, or when it leads elsewhere."}

// providers are the ways to sign in besides a token.
func (h *Handler) providers() []SignInProvider {
	list := []SignInProvider{}
	if h.opts.SignIn == nil {
		return list
	}
	for o := range h.opts.Store.View().All("IdentityProvider") {
		name := o.Metadata.Name
		list = append(list, SignInProvider{Name: name, Title: cmp.Or(o.Spec.(*weir.IdentityProvider).Title, name), URL: "/signin/" + name})
	}
	return list
}

// toProvider sends a browser to an identity provider.
func (c *call) toProvider() error {
	if c.h.opts.SignIn == nil {
		return weir.Errorf(weir.Unavailable, "this server makes no sessions")
	}
	address, keep, err := c.h.opts.SignIn.Begin(c.r.Context(), c.r.PathValue("provider"), c.r.Host, c.text("to"))
	if err != nil {
		return c.backToSignIn(err)
	}
	http.SetCookie(c.w, keep)
	return c.redirect(address)
}

// fromProvider lets somebody in who comes back from an identity provider, or says on the page why not.
func (c *call) fromProvider() error {
	if c.h.opts.SignIn == nil {
		return weir.Errorf(weir.Unavailable, "this server makes no sessions")
	}
	http.SetCookie(c.w, signin.Forgotten())
	now, from := c.h.opts.Clock(), remotePrefix(c.r)
	if !c.h.signIns.may(from, now) {
		return c.backToSignIn(tooManyTries())
	}
	who, keep, to, err := c.h.opts.SignIn.Finish(c.r, c.r.PathValue("provider"))
	c.who.Subject = who.Subject
	if err != nil {
		c.h.signIns.take(from, now) // whatever it was: it may have cost the store and the provider something
		return c.backToSignIn(err)
	}
	if before, err := signin.Held(c.r); err == nil && before != "" {
		_ = c.h.opts.SignIn.Close(c.r.Context(), before) // else it ends by itself
	}
	http.SetCookie(c.w, keep)
	c.audit(secrets.AuditEntry{What: "sign in", Object: "IdentityProvider/" + who.Provider, Outcome: "accepted"})
	return c.redirect(to)
}

// backToSignIn tells a person why they are not signed in: a browser that goes from page to page shows no problem.
func (c *call) backToSignIn(err error) error {
	c.auditRefusal(err)
	c.h.opts.Logger.LogAttrs(c.r.Context(), slog.LevelInfo, "api: not signed in", slog.String("request", c.id), slog.String("subject", c.who.Subject), slog.Any("error", err))
	return c.redirect("/signin?" + url.Values{"problem": {problemOf(err, "").Detail}}.Encode())
}

func (c *call) redirect(to string) error {
	head := c.w.Header()
	head.Set("Location", to)
	head.Set("Referrer-Policy", "no-referrer")
	c.w.WriteHeader(http.StatusFound)
	return nil
}
