package store

import (
	"weir"
	"weir/internal/secrets"
)

// passingKind is what values are sealed for that others keep for a while.
const passingKind = "Passing"

// SealPassing seals what leaves the control plane and is to come back soon, as in a browser's cookie; every server of the
// store opens it, for the same purpose alone.
func (s *Store) SealPassing(purpose string, value []byte) (string, error) {
	ring, err := s.sealer()
	if err != nil {
		return "", err
	}
	sealed, err := ring.Seal(passingKind, purpose, 0, value)
	if err != nil {
		return "", err
	}
	text, err := sealed.MarshalText()
	return string(text), err
}

// OpenPassing opens what SealPassing gave for a purpose; the error is weir.Invalid for anything else.
func (s *Store) OpenPassing(purpose, text string) (secrets.Secret, error) {
	if s.keyring() == nil {
		return secrets.Secret{}, weir.Errorf(weir.Unavailable, "the server has no sealing key")
	}
	var sealed secrets.Sealed
	err := sealed.UnmarshalText([]byte(text))
	var value secrets.Secret
	if err == nil {
		value, err = s.keyring().Open(passingKind, purpose, 0, sealed)
	}
	if err != nil {
		return secrets.Secret{}, &weir.Error{Kind: weir.Invalid, Message: "it is nothing that this control plane has sealed", Cause: err}
	}
	return value, nil
}
