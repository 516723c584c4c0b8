package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"weir"
	"weir/internal/store"
)

const (
	// BegunCookie is the name of the cookie that a browser brings back from an identity provider: without it nobody can
	// sign in here with what they were given there.
	BegunCookie = "__Host-weir-signin"
	// within is how long somebody may take at the provider.
	within = 10 * time.Minute
	// purpose is what the cookie is sealed for.
	purpose = "sign-in"
	// longestPlace is the longest address of ours to come back to, longestCode the longest code of a provider, in bytes.
	longestPlace = 1024
	longestCode  = 4096
)

// begun is what a browser keeps, sealed, while it is at the provider.
type begun struct {
	Provider string    `json:"provider"`
	Issuer   string    `json:"issuer"`
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Redirect string    `json:"redirect"`
	To       string    `json:"to"`
	Until    time.Time `json:"until"`
}

// Begin says where a browser goes to sign in with a provider, and what it is to keep until it comes back to host; to is the
// place of ours that it goes to then.
func (d *Desk) Begin(ctx context.Context, name, host, to string) (address string, keep *http.Cookie, err error) {
	if u, err := url.Parse("https://" + host); err != nil || u.Host != host || u.Hostname() == "" || strings.ContainsAny(host, "/?#@\\ ") {
		return "", nil, weir.Errorf(weir.Invalid, "sign in: the request names no host to come back to")
	}
	p, err := d.provider(ctx, name)
	if err != nil {
		return "", nil, err
	}
	b := begun{
		Provider: name, Issuer: p.spec.Issuer, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Redirect: "https://" + host + "/signin/" + name + "/callback", To: place(to), Until: d.opts.Clock().Add(within),
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return "", nil, err
	}
	text, err := d.opts.Store.SealPassing(purpose, raw)
	if err != nil {
		return "", nil, err
	}
	config := oauth2.Config{ClientID: p.spec.ClientID, Endpoint: p.endpoint, RedirectURL: b.Redirect, Scopes: scopes(p.spec)}
	// Lax, because the browser comes back from pages of the provider.
	return config.AuthCodeURL(b.State, oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier)), cookie(BegunCookie, text, within, http.SameSiteLaxMode), nil
}

func scopes(spec *weir.IdentityProvider) []string {
	list := []string{oidc.ScopeOpenID}
	for _, s := range spec.Scopes {
		if s != oidc.ScopeOpenID {
			list = append(list, s)
		}
	}
	return list
}

// Forgotten is the cookie that lets a browser forget that it has begun to sign in.
func Forgotten() *http.Cookie { return cookie(BegunCookie, "", -time.Second, http.SameSiteLaxMode) }

// place gives an address of our own pages, whatever was asked for.
func place(to string) string {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }
	u, err := url.Parse(to)
	if err != nil || len(to) > longestPlace || strings.ContainsFunc(to, odd) || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") ||
		u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "/"
	}
	if first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(u.Path), "/"), "/"); first == "signin" || first == "api" {
		return "/"
	}
	return to
}

// Finish lets somebody in who comes back from a provider with a request: it gives who it is, the session's cookie, and the
// place of ours to go to. who is told as far as it is known where there is an error, too.
func (d *Desk) Finish(r *http.Request, name string) (who store.Session, keep *http.Cookie, to string, err error) {
	b, err := d.returned(r, name)
	if err != nil {
		return who, nil, "", err
	}
	ctx, query := r.Context(), r.URL.Query()
	p, err := d.provider(ctx, name)
	switch {
	case err != nil:
		return who, nil, "", err
	case p.spec.Issuer != b.Issuer:
		return who, nil, "", again("the identity provider was changed meanwhile")
	case query.Has("iss") && query.Get("iss") != b.Issuer, p.names && !query.Has("iss"):
		return who, nil, "", again("the answer is another identity provider's")
	}
	// No more at once than are exchanged: what is spent lies in the store for a while.
	select {
	case d.exchanges <- struct{}{}:
		defer func() { <-d.exchanges }()
	case <-ctx.Done():
		return who, nil, "", weir.Errorf(weir.Unavailable, "the client went away")
	}
	// From here on it is used up, whatever becomes of it.
	sum := sha256.Sum256([]byte(b.State))
	switch err := d.sessions.Spend(ctx, hex.EncodeToString(sum[:]), 2*within); {
	case weir.KindOf(err) == weir.Conflict:
		return who, nil, "", again("this answer was used already")
	case err != nil:
		return who, nil, "", err
	}
	code := query.Get("code")
	switch {
	case query.Has("error"):
		return who, nil, "", declined(query.Get("error"))
	case len(query["code"]) != 1 || code == "" || len(code) > longestCode:
		return who, nil, "", again("the identity provider gave no code")
	}
	text, err := d.exchange(ctx, p, name, code, b.Redirect, b.Verifier)
	if err != nil {
		return who, nil, "", err
	}
	// Before the Grants are looked at, so that they are at least as new.
	revision := d.opts.Store.Revision()
	if who, err = d.believe(ctx, p, name, text, b.Nonce); err != nil {
		return who, nil, "", unproven(name, err)
	}
	who.Revision = revision
	if !Granted(d.granted(), who) {
		return who, nil, "", NoGrant(who.Subject)
	}
	keep, err = d.Open(ctx, who)
	return who, keep, b.To, err
}

// returned gives what the browser kept, if its answer belongs to it.
func (d *Desk) returned(r *http.Request, name string) (begun, error) {
	var b begun
	kept, err := r.Cookie(BegunCookie)
	if err != nil {
		return b, again("it was not begun in this browser")
	}
	raw, err := d.opts.Store.OpenPassing(purpose, kept.Value)
	switch {
	case weir.KindOf(err) == weir.Invalid:
		return b, again("it was not begun in this browser")
	case err != nil:
		return b, err
	}
	if err := json.Unmarshal(raw.Bytes(), &b); err != nil {
		return b, err
	}
	switch query := r.URL.Query(); {
	case b.Provider != name || len(query["state"]) != 1 || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(b.State)) != 1:
		return b, again("the answer belongs to another one that was begun")
	case !d.opts.Clock().Before(b.Until):
		return b, again("it took too long")
	}
	return b, nil
}

// again is the error of a sign-in that may be begun anew.
func again(why string) error {
	return weir.Errorf(weir.Unauthenticated, "you are not signed in: %s; begin again", why)
}

// unproven is the error of a provider's answer that proves nothing; the cause is for the log.
func unproven(name string, cause error) error {
	return &weir.Error{Kind: weir.Unauthenticated, Message: "you are not signed in: what " + name + " answers proves nothing; begin again, and if that does not help, ask an admin, whom the server's log tells why", Cause: cause}
}

// declined says in our words what a provider says no with; what it says besides may be anybody's.
func declined(code string) error {
	switch code {
	case "access_denied":
		return again("the identity provider was told to say nothing")
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return again("the identity provider wants you to do something there first")
	case "temporarily_unavailable", "server_error":
		return again("the identity provider is in trouble")
	case "invalid_scope", "unauthorized_client", "invalid_request", "unsupported_response_type":
		return weir.Errorf(weir.Unauthenticated, "you are not signed in: the identity provider does not take the request (%s); an admin must see whether the client, its redirect URI and its scopes are registered there", code)
	}
	return again("the identity provider refuses")
}
