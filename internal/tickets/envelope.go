package tickets

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Secret is the group's, of one epoch: members have it, the control plane never does.
type Secret struct {
	Epoch int64
	// Check tells secrets of one epoch apart and reveals nothing of them.
	Check string
	value hidden
}

func newSecret(group string, epoch int64, value hidden) (Secret, error) {
	if len(value.view()) != randomSize {
		return Secret{}, fmt.Errorf("the secret has %d bytes, not %d", len(value.view()), randomSize)
	}
	sum, err := hkdf.Key(sha256.New, value.view(), nil, label("weir ticket secret's check", group, strconv.FormatInt(epoch, 10)), 16)
	return Secret{epoch, base64.RawURLEncoding.EncodeToString(sum), value}, err
}

// Envelope is a secret on its way from one member to another; only the other one can open it.
type Envelope struct {
	To string `json:"to"`
	// ToKey and FromKey name the keys, as KeyID does.
	ToKey   string    `json:"toKey"`
	From    string    `json:"from"`
	FromKey string    `json:"fromKey"`
	Made    time.Time `json:"made"`
	Sealed  []byte    `json:"sealed"`
	// Signature is the sender's, so that nobody without a member's key can hand on a secret of their own making.
	Signature []byte `json:"signature"`
}

// KeyID names the public key of a certificate.
func KeyID(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Believe verifies a certificate at a time and gives the name of the load balancer that it is for.
type Believe func(cert *x509.Certificate, at time.Time) (name string, err error)

// Me is a member itself.
type Me struct {
	Group, Name string
	// Key is the one that the member was enrolled with, or has renewed its certificate with; an ECDSA P-256 key.
	Key crypto.Signer
	// Certificate is the one for Key.
	Certificate *x509.Certificate
	// Believe judges the others' certificates.
	Believe Believe
}

// context is what an envelope is bound to, all of it known to both ends.
func (e Envelope) context(group string, epoch int64, check string) []byte {
	return []byte(label("weir ticket secret", group, strconv.FormatInt(epoch, 10), check, e.From, e.FromKey, e.To, e.ToKey))
}

// signed is what the sender signs.
func (e Envelope) signed(context []byte) []byte {
	sum := sha256.Sum256([]byte(label("weir ticket envelope", string(context), e.Made.UTC().Format(time.RFC3339Nano), string(e.Sealed))))
	return sum[:]
}

// verify holds the signature against the sender's certificate.
func (e Envelope) verify(context []byte, sender *x509.Certificate) error {
	key, ok := sender.PublicKey.(*ecdsa.PublicKey)
	if !ok || e.FromKey != KeyID(sender) || !ecdsa.VerifyASN1(key, e.signed(context), e.Signature) {
		return fmt.Errorf("the envelope is not signed by %s", e.From)
	}
	return nil
}

var suiteKDF, suiteAEAD = hpke.HKDFSHA256(), hpke.AES256GCM()

// wrap makes the envelope of a secret for a recipient.
func (m Me) wrap(s Secret, to Recipient, now time.Time, random io.Reader) (Envelope, error) {
	cert, err := m.recipient(to, now)
	if err != nil {
		return Envelope{}, err
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return Envelope{}, errors.New("the key is not an ECDSA one")
	}
	dh, err := public.ECDH()
	if err != nil {
		return Envelope{}, err
	}
	key, err := hpke.NewDHKEMPublicKey(dh)
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{To: to.Name, ToKey: KeyID(cert), From: m.Name, FromKey: KeyID(m.Certificate), Made: now}
	context := e.context(m.Group, s.Epoch, s.Check)
	if e.Sealed, err = hpke.Seal(key, suiteKDF, suiteAEAD, context, s.value.view()); err != nil {
		return Envelope{}, err
	}
	e.Signature, err = m.Key.Sign(random, e.signed(context), crypto.SHA256)
	return e, err
}

// recipient gives the certificate that a recipient has, once it is known to be that load balancer's.
func (m Me) recipient(to Recipient, now time.Time) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(to.Certificate)
	if err != nil {
		return nil, errors.New("its certificate can't be read")
	}
	name, err := m.Believe(cert, now)
	if err != nil {
		return nil, err
	}
	if name != to.Name {
		return nil, fmt.Errorf("the certificate shown for it is that of load balancer %s", name)
	}
	return cert, nil
}

// Open gives the secret that this member was handed. An error means that another member must wrap it anew: a sender
// whose certificate is believed no more, or another key than the one it is for.
func (m Me) Open(g Given) (Secret, error) {
	s, err := m.open(g)
	if err != nil {
		return Secret{}, fmt.Errorf("open the secret of ticket keys of group %s, epoch %d, from load balancer %s: %w", m.Group, g.Epoch, g.Envelope.From, err)
	}
	return s, nil
}

// Read gives the secrets that a brief hands this member. Unopened names the epochs of those that it can't open, for
// State.Unopened; the error says why.
func (m Me) Read(b Brief) (held []Secret, unopened []int64, err error) {
	var errs []error
	for _, g := range b.Given {
		s, err := m.Open(g)
		if err != nil {
			unopened, errs = append(unopened, g.Epoch), append(errs, err)
			continue
		}
		held = append(held, s)
	}
	return held, unopened, errors.Join(errs...)
}

func (m Me) open(g Given) (Secret, error) {
	e := g.Envelope
	if e.To != m.Name || e.ToKey != KeyID(m.Certificate) {
		return Secret{}, errors.New("it is for another load balancer or key than this one")
	}
	sender, err := m.sender(g)
	if err != nil {
		return Secret{}, err
	}
	context := e.context(m.Group, g.Epoch, g.Check)
	if err := e.verify(context, sender); err != nil {
		return Secret{}, err
	}
	exchanger, err := exchanger(m.Key)
	if err != nil {
		return Secret{}, err
	}
	value, err := hpke.Open(exchanger, suiteKDF, suiteAEAD, context, e.Sealed)
	if err != nil {
		return Secret{}, errors.New("it was sealed for something else")
	}
	s, err := newSecret(m.Group, g.Epoch, hide(value))
	if err == nil && s.Check != g.Check {
		err = errors.New("it is another secret than the one that the group has agreed on")
	}
	return s, err
}

// sender gives the certificate of who made an envelope. It was to be valid then: a secret may be older than the
// certificates of its day. A member's own envelopes need no certificate, because its key is at hand.
func (m Me) sender(g Given) (*x509.Certificate, error) {
	if g.Envelope.From == m.Name && g.Envelope.FromKey == KeyID(m.Certificate) {
		return m.Certificate, nil
	}
	cert, err := x509.ParseCertificate(g.Sender)
	if err != nil {
		return nil, errors.New("the sender's certificate can't be read")
	}
	name, err := m.Believe(cert, g.Envelope.Made)
	if err != nil {
		return nil, err
	}
	if name != g.Envelope.From {
		return nil, fmt.Errorf("the sender's certificate is that of load balancer %s", name)
	}
	return cert, nil
}

func exchanger(key crypto.Signer) (hpke.PrivateKey, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key of this load balancer is a %T, not an ECDSA one", key)
	}
	dh, err := private.ECDH()
	if err != nil {
		return nil, err
	}
	return hpke.NewDHKEMPrivateKey(dh)
}

// Do carries out what the control plane asks this member for: it makes a secret, or takes the one held, and wraps it.
// A recipient that is not who it is said to be is left out and told in the error; the offer holds the others. The
// secret made counts once a Brief shows that the group has agreed on it.
func (m Me) Do(t Task, held []Secret, now time.Time, random io.Reader) (Offer, error) {
	s, err := m.secretFor(t, held, random)
	if err != nil {
		return Offer{}, fmt.Errorf("hand on the secret of ticket keys of group %s, epoch %d: %w", m.Group, t.Epoch, err)
	}
	o := Offer{Epoch: t.Epoch, Check: s.Check, Certificate: m.Certificate.Raw}
	var errs []error
	for _, to := range t.For {
		e, err := m.wrap(s, to, now, random)
		if err != nil {
			errs = append(errs, fmt.Errorf("hand on the secret of ticket keys of group %s, epoch %d, to load balancer %s: %w", m.Group, t.Epoch, to.Name, err))
			continue
		}
		o.Envelopes = append(o.Envelopes, e)
	}
	return o, errors.Join(errs...)
}

func (m Me) secretFor(t Task, held []Secret, random io.Reader) (Secret, error) {
	if t.Make {
		value, err := draw(random, randomSize)
		if err != nil {
			return Secret{}, err
		}
		return newSecret(m.Group, t.Epoch, value)
	}
	at := slices.IndexFunc(held, func(s Secret) bool { return s.Epoch == t.Epoch && s.Check == t.Check })
	if at < 0 {
		return Secret{}, errors.New("this load balancer has not got it")
	}
	return held[at], nil
}
