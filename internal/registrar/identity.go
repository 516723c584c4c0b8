package registrar

import (
	"context"
	"net/netip"
	"time"

	"weir"
	"weir/internal/secrets"
)

// Identity is what a server is given to prove who it is.
type Identity struct {
	Name string `json:"name"`
	// Certificate is the chain, CA the bundle to believe, both PEM.
	Certificate string `json:"certificate"`
	CA          string `json:"ca"`
	// TokenExpiresAt is when the token ends, and with it all that it let in.
	TokenExpiresAt time.Time `json:"tokenExpiresAt,omitzero"`
}

// Exchange gives a certificate for a token, named by its hash, to a server that asks from an address, under the name
// that it wants. The request is in PEM.
func (r *Registrar) Exchange(_ context.Context, tokenHash, name, csr string, from netip.Addr) (Identity, error) {
	view := r.opts.Store.View()
	token := r.tokenOf(view, tokenHash)
	if token == nil {
		return Identity{}, weir.Errorf(weir.Unauthenticated, "the registration token is not known: it was deleted, or belongs to another control plane; make one with weir token registration")
	}
	if err := r.lasts(token); err != nil {
		return Identity{}, err
	}
	return r.issue(view, token, name, csr, from)
}

// Renew gives a server another certificate, for the key that it has or another one.
func (r *Registrar) Renew(_ context.Context, who Caller, csr string) (Identity, error) {
	view := r.opts.Store.View()
	token, err := r.token(view, who.Registrant)
	if err != nil {
		return Identity{}, err
	}
	return r.issue(view, token, who.Name, csr, who.From)
}

func (r *Registrar) issue(view *weir.Set, token *weir.Object, name, csr string, from netip.Addr) (Identity, error) {
	if err := mayName(token, name, from); err != nil {
		return Identity{}, err
	}
	if err := r.mayHold(view, token, name); err != nil {
		return Identity{}, err
	}
	spec := token.Spec.(*weir.Token)
	cert, err := r.opts.CA.IssueRegistrant([]byte(csr), secrets.Registrant{Token: token.Metadata.Name, TokenID: secrets.TokenID(spec.Hash), Name: name})
	if err != nil {
		return Identity{}, weir.Errorf(weir.Invalid, "%s", err)
	}
	r.opts.Log.Info("gave a server a certificate to register with", "server", name, "token", token.Metadata.Name, "address", from, "serial", secrets.Serial(cert))
	return Identity{Name: name, Certificate: string(r.opts.CA.ChainPEM(cert)), CA: string(r.opts.CA.Trust().PEM()), TokenExpiresAt: spec.ExpiresAt}, nil
}

func (r *Registrar) tokenOf(view *weir.Set, hash string) *weir.Object {
	for o := range view.All("Token") {
		if t := o.Spec.(*weir.Token); t.Registration != nil && t.Hash == hash {
			return o
		}
	}
	return nil
}
