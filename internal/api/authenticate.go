package api

import (
	"net/http"
	"strings"
	"time"

	"weir"
	"weir/internal/secrets"
)

// credential is what a request proved to have. It is judged again while a stream lasts.
type credential struct {
	// hash is that of a token, session the ID of a session; one of them is empty.
	hash, session string
}

// authenticate finds out who asks. A client certificate counts for nothing here: agents have no rights.
func (h *Handler) authenticate(r *http.Request) (credential, Caller, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		if cred, caller, ok, err := h.bySession(r); ok {
			return cred, caller, err
		}
		return credential{}, Caller{}, unauthenticated("a credential is required: send \"Authorization: Bearer weir_…\"")
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return credential{}, Caller{}, unauthenticated("exactly one Authorization header of the form \"Bearer weir_…\" is understood")
	}
	text = strings.TrimSpace(text)
	hash, err := secrets.HashToken(text)
	if err != nil {
		return credential{}, Caller{}, unauthenticated("the credential is no token: it has a typing mistake or was cut")
	}
	cred := credential{hash: hash}
	caller, err := h.judge(cred, h.opts.Clock())
	return cred, caller, err
}

// judge says whose a credential is at a moment, with the rights of that moment.
func (h *Handler) judge(cred credential, now time.Time) (Caller, error) {
	if cred.session != "" {
		return h.judgeSession(cred.session, now)
	}
	o := h.people.token(cred.hash)
	if o == nil {
		return Caller{}, unauthenticated("the token is not known: it was revoked, or belongs to another control plane")
	}
	token := o.Spec.(*weir.Token)
	if !token.ExpiresAt.IsZero() && !now.Before(token.ExpiresAt) {
		return Caller{}, unauthenticated("the token has run out; ask an admin for another")
	}
	if token.Enrols() {
		return Caller{}, unauthenticated("a join token only lets a machine in; it is no credential here")
	}
	if !token.Acts() {
		return Caller{}, unauthenticated("a registration token only lets servers register (weir register); it is no credential here")
	}
	return h.people.caller(token.Subject), nil
}

func unauthenticated(message string) error { return weir.Errorf(weir.Unauthenticated, "%s", message) }
