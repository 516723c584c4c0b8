package server

import (
	"context"
	"fmt"
	"time"

	"weir"
	"weir/internal/certs"
)

// keyPatience is how long a key may take to be read from the store.
const keyPatience = 5 * time.Second

// prepareIssuer makes the key of an issuer that comes without one, and the certificate of an authority, and says what
// is wrong with those that are given.
func (s *server) prepareIssuer(ref weir.Ref, spec *weir.Issuer) []weir.Problem {
	problem := func(path, format string, args ...any) []weir.Problem {
		return []weir.Problem{{Object: ref.String(), Path: "spec." + path, Message: fmt.Sprintf(format, args...)}}
	}
	switch {
	case spec.KeyRef != nil:
		return nil
	case spec.Type == weir.IssuerACME && spec.Key != "":
		if _, err := certs.ParseKey(spec.Key); err != nil {
			return problem("key", "%s", err)
		}
		return nil
	case spec.Type == weir.IssuerACME:
		key, err := certs.NewKey("ecdsa-256")
		if err == nil {
			spec.Key, err = certs.EncodeKey(key)
		}
		if err != nil {
			return problem("key", "%s", err)
		}
		return nil
	case spec.Key != "":
		if _, err := certs.OpenAuthority(spec.Chain, spec.Key); err != nil {
			return problem("chain", "%s", err)
		}
		return nil
	}
	var parent *certs.Authority
	var err error
	if name := spec.CA.Parent; name != "" {
		ctx, cancel := context.WithTimeout(context.Background(), keyPatience)
		defer cancel()
		if parent, err = s.openIssuer(ctx, name); err != nil {
			return problem("ca.parent", "%s; an authority must be there before those that it signs: apply it first", err)
		}
	}
	made, err := certs.NewAuthority(*spec.CA, parent, s.opts.Clock())
	if err == nil {
		spec.Chain, spec.Key, err = made.Encode()
	}
	if err != nil {
		return problem("ca", "%s", err)
	}
	return nil
}

// openIssuer opens an authority of Weir's own.
func (s *server) openIssuer(ctx context.Context, name string) (*certs.Authority, error) {
	ref := weir.Ref{Kind: "Issuer", Name: name}
	spec := weir.Find[weir.Issuer](s.store.View(), ref.Kind, name)
	if spec == nil || spec.KeyRef == nil {
		return nil, fmt.Errorf("%s is not there", ref)
	}
	key, err := s.store.Secret(ctx, ref, spec.KeyRef.Generation)
	if err != nil {
		return nil, err
	}
	return certs.OpenAuthority(spec.Chain, key.Text())
}
