package weir

import "time"

// Certificate is a chain with its key, or an authority without one. The chain is public and kept as it is;
// the key is sealed when it arrives and is never shown again.
type Certificate struct {
	// Chain is PEM: the leaf first, then what signed it, in order.
	Chain string `json:"chain"`
	// Key is PEM, written once; what is kept instead is KeyRef.
	Key string `json:"key,omitempty"`
	// KeyRef is made by the control plane.
	KeyRef *SealedRef `json:"keyRef,omitempty"`
	// Info is read out of the chain by the control plane.
	Info *CertificateInfo `json:"info,omitempty"`
}

// SealedRef stands for sealed bytes: which generation, and a keyed fingerprint that tells equal from changed.
type SealedRef struct {
	Generation  int64  `json:"generation"`
	Fingerprint string `json:"fingerprint"`
}

// CertificateInfo is what a chain's leaf says.
type CertificateInfo struct {
	// Names are the DNS names and addresses of the leaf.
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	Serial    string    `json:"serial"`
	// SHA256 is the fingerprint of the leaf, hexadecimal.
	SHA256 string `json:"sha256"`
	// KeyType is ECDSA, RSA or Ed25519, with its size.
	KeyType string `json:"keyType"`
	Issuer  string `json:"issuer"`
}

// Normalize does nothing.
func (c *Certificate) Normalize() {}

// MaxChain is the longest chain accepted, in bytes of PEM: chain and key together must fit one run-time command.
const MaxChain = 12_000

// Validate checks the length; what the PEM holds is checked where it can be parsed.
func (c *Certificate) Validate(p *Problems) {
	if c.Chain == "" {
		p.Add("chain", "is required: the leaf certificate in PEM, then what signed it")
	}
	if len(c.Chain)+len(c.Key) > MaxChain {
		p.Add("chain", "chain and key are %d bytes long; at most %d fit HAProxy's run-time socket; leave the root out of the chain", len(c.Chain)+len(c.Key), MaxChain)
	}
}

// References are none.
func (c *Certificate) References() []Reference { return nil }

// HasKey says whether the certificate comes with its key, so that it can be shown; an authority has none.
func (c *Certificate) HasKey() bool { return c.Key != "" || c.KeyRef != nil }

// Secret is bytes that are kept sealed and never shown.
type Secret struct {
	// Data is written once; what is kept instead is DataRef.
	Data string `json:"data,omitempty"`
	// DataRef is made by the control plane.
	DataRef *SealedRef `json:"dataRef,omitempty"`
}

// MaxSecret is the longest secret accepted, in bytes.
const MaxSecret = 64 << 10

// Normalize does nothing.
func (s *Secret) Normalize() {}

// Validate checks that there is something to keep.
func (s *Secret) Validate(p *Problems) {
	if s.Data == "" && s.DataRef == nil {
		p.Add("data", "is required")
	}
	if len(s.Data) > MaxSecret {
		p.Add("data", "is %d bytes long; at most %d are allowed", len(s.Data), MaxSecret)
	}
}

// References are none.
func (s *Secret) References() []Reference { return nil }
