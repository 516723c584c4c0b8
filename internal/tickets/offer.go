package tickets

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Offer is what a member has made of a Task: envelopes of a new secret, or of one that the group has.
type Offer struct {
	Epoch int64  `json:"epoch"`
	Check string `json:"check"`
	// Certificate is the sender's.
	Certificate []byte     `json:"certificate"`
	Envelopes   []Envelope `json:"envelopes"`
}

// ErrTooLate is the kind of error for an offer that the group has no use for any more: another member was first.
var ErrTooLate = errors.New("another load balancer was first, or nobody asks for it any more")

// Accept takes an offer of the member from, proven by the connection. The state that comes of it is to be written in
// place of exactly the one that it came of: of two members that make a secret at the same time the first wins, and
// the other's offer, judged again, is too late.
func (s State) Accept(o Offer, from string, members []Member) (State, error) {
	next, err := s.accept(o, from, newRoster(members))
	if err != nil {
		return s, fmt.Errorf("take the secret of ticket keys of group %s, epoch %d, from load balancer %s: %w", s.Group, o.Epoch, from, err)
	}
	return next, nil
}

func (s State) accept(o Offer, from string, r roster) (State, error) {
	envelopes, err := s.signedBy(o, from, r)
	if err != nil {
		return s, err
	}
	epoch := Epoch{Number: o.Epoch, Check: o.Check}
	at := slices.IndexFunc(s.Epochs, func(e Epoch) bool { return e.Number == o.Epoch })
	switch {
	case at >= 0 && s.Epochs[at].Check == o.Check:
		epoch = s.Epochs[at]
	case at >= 0 || o.Epoch != s.wanted(r):
		return s, ErrTooLate
	case !slices.ContainsFunc(envelopes, func(e Envelope) bool { return e.To == from }):
		return s, errors.New("there is no envelope for the one who made it")
	}
	epoch = epoch.with(envelopes, o.Certificate)
	s.Epochs = slices.Clone(s.Epochs)
	if at < 0 {
		s.Epochs = append(s.Epochs, epoch)
	} else {
		s.Epochs[at] = epoch
	}
	return s, nil
}

// signedBy gives the envelopes that are for members; one that is not signed by the sender refuses the offer.
func (s State) signedBy(o Offer, from string, r roster) ([]Envelope, error) {
	cert, err := x509.ParseCertificate(o.Certificate)
	if err != nil {
		return nil, errors.New("the certificate can't be read")
	}
	if !r.has(from, KeyID(cert)) {
		return nil, errors.New("the certificate is not that of a member of the group")
	}
	var list []Envelope
	for _, e := range o.Envelopes {
		if e.From != from {
			return nil, fmt.Errorf("an envelope says that it is from %s", e.From)
		}
		if err := e.verify(e.context(s.Group, o.Epoch, o.Check), cert); err != nil {
			return nil, err
		}
		// One for somebody who has just been removed would have the group begin a new secret for nothing.
		if len(e.Sealed) > 0 && r.has(e.To, e.ToKey) {
			list = append(list, e)
		}
	}
	return list, nil
}

// with adds envelopes for those that have none that they can open; the others keep theirs.
func (e Epoch) with(envelopes []Envelope, sender []byte) Epoch {
	e.Envelopes = slices.Clone(e.Envelopes)
	for _, v := range envelopes {
		at, known := slices.BinarySearchFunc(e.Envelopes, v, compareEnvelopes)
		if !known {
			e.Envelopes = slices.Insert(e.Envelopes, at, v)
		} else if len(e.Envelopes[at].Sealed) == 0 {
			e.Envelopes[at] = v
		}
	}
	if !slices.ContainsFunc(e.Senders, func(have []byte) bool { return bytes.Equal(have, sender) }) {
		e.Senders = append(slices.Clip(e.Senders), sender)
	}
	return e
}

// sender gives the certificate for a key.
func (e Epoch) sender(keyID string) []byte {
	// The newest: it is believed the longest.
	for _, der := range slices.Backward(e.Senders) {
		if cert, err := x509.ParseCertificate(der); err == nil && KeyID(cert) == keyID {
			return der
		}
	}
	return nil
}
