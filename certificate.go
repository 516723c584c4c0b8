package weir

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Certificate is a chain with its key, uploaded or from an Issuer, or an authority without a key. The chain is public
// and kept as it is; the key is sealed when it arrives and is never shown again.
type Certificate struct {
	// Issuer names the Issuer that the certificate is ordered from and renewed by. Chain and key are then the control
	// plane's to write; a pair that is given all the same is shown until the first one has come.
	Issuer string `json:"issuer,omitempty"`
	// Names are what is ordered: host names, and wildcards such as *.shop.example.com, which take an Issuer of
	// challenge dns-01 or of type ca. They must be names that the role may claim.
	Names []string `json:"names,omitempty"`
	// KeyType is ecdsa-256, ecdsa-384, rsa-2048, rsa-3072 or rsa-4096; with an issuer only. Each renewal makes a new key.
	KeyType string `json:"keyType,omitempty"`
	// Duration is how long the certificate is to be good for; left out, as long as the issuer gives. A public
	// authority does as it likes.
	Duration Duration `json:"duration,omitzero"`
	// RenewAt orders another one when that moment has come and the present one is from before, whatever is left of it.
	RenewAt *time.Time `json:"renewAt,omitempty"`
	// Revoked takes the certificate out everywhere at once and tells its issuer; it can't be taken back, only
	// replaced by another certificate.
	Revoked *Revocation `json:"revoked,omitempty"`
	// RevokedSerials is made by the control plane: certificates of this object that were revoked and never come back.
	RevokedSerials []string `json:"revokedSerials,omitempty"`
	// Chain is PEM: the leaf first, then what signed it, in order.
	Chain Chain `json:"chain,omitzero"`
	// Key is PEM, written once; what is kept instead is KeyRef.
	Key string `json:"key,omitempty"`
	// KeyRef is made by the control plane.
	KeyRef *SealedRef `json:"keyRef,omitempty"`
	// Info is read out of the chain by the control plane.
	Info *CertificateInfo `json:"info,omitempty"`
}

// Revocation says since when a certificate is not to be trusted any more, and why.
type Revocation struct {
	At time.Time `json:"at"`
	// Reason is unspecified, keyCompromise, affiliationChanged, superseded or cessationOfOperation (RFC 5280, 5.3.1).
	Reason string `json:"reason"`
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

// KeyTypes are what keys an issuer's certificates can have.
var KeyTypes = []string{"ecdsa-256", "ecdsa-384", "rsa-2048", "rsa-3072", "rsa-4096"}

// RevocationReasons are those that who has a certificate can give.
var RevocationReasons = []string{"unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"}

// MaxCertificateNames is how many names one certificate can be ordered for, as many as public authorities take.
const MaxCertificateNames = 100

// maxNames is how many characters the names of one certificate have together at most, by the type of its key. With them
// key and leaf leave room within MaxChain for what signed the leaf, of some 3,000 bytes of PEM.
var maxNames = map[string]int{"ecdsa-256": 5200, "ecdsa-384": 5100, "rsa-2048": 4200, "rsa-3072": 3600, "rsa-4096": 3000}

// Normalize fills the defaults of a certificate with an issuer, and puts its names in order.
func (c *Certificate) Normalize() {
	if c.Issuer == "" {
		return
	}
	setDefault(&c.KeyType, "ecdsa-256")
	for i, name := range c.Names {
		if canonical, err := CanonicalHostname(name); err == nil {
			c.Names[i] = canonical
		}
	}
	slices.Sort(c.Names)
	if c.Revoked != nil {
		setDefault(&c.Revoked.Reason, "unspecified")
	}
}

// MaxChain is the longest chain accepted, in bytes of PEM: chain and key together must fit one run-time command.
const MaxChain = 12_000

// Validate checks what is ordered, and lengths; what the PEM holds is checked where it can be parsed.
func (c *Certificate) Validate(p *Problems) {
	if c.Issuer != "" {
		c.validateOrder(p)
	} else {
		c.validateUpload(p)
	}
	if c.Chain.Len()+len(c.Key) > MaxChain {
		p.Add("chain", "chain and key are %d bytes long; at most %d fit HAProxy's run-time socket; leave the root out of the chain", c.Chain.Len()+len(c.Key), MaxChain)
	}
	if c.Issuer != "" && c.Chain.IsZero() && (c.Key != "" || c.KeyRef != nil) {
		p.Add("chain", "is required beside a key: the leaf certificate in PEM, then what signed it")
	}
	if c.Revoked != nil {
		oneOf(p, "revoked.reason", c.Revoked.Reason, RevocationReasons...)
		if c.Revoked.At.IsZero() {
			p.Add("revoked.at", "is required")
		}
	}
}

func (c *Certificate) validateOrder(p *Problems) {
	if len(c.Names) == 0 {
		p.Add("names", "needs at least one name to order a certificate for")
	}
	if len(c.Names) > MaxCertificateNames {
		p.Add("names", "are %d; at most %d fit one certificate", len(c.Names), MaxCertificateNames)
	}
	if total, most := len(strings.Join(c.Names, "")), maxNames[c.KeyType]; most > 0 && total > most {
		p.Add("names", "have %d characters together; with a key of type %s at most %d fit HAProxy's run-time socket with key and chain; order several certificates", total, c.KeyType, most)
	}
	unique(p, "names", c.Names)
	for i, name := range c.Names {
		if name == "*" {
			p.Add(index("names", i), "nobody gives a certificate for every name; name a domain, such as *.example.com")
		} else if _, err := netip.ParseAddr(name); err == nil {
			p.Add(index("names", i), "%q is an address, and certificates are ordered for host names only; upload one that is for it", name)
		} else {
			checkHostname(p, index("names", i), name)
		}
	}
	oneOf(p, "keyType", c.KeyType, KeyTypes...)
	if c.Duration != 0 {
		c.Duration.within(p, "duration", time.Hour, 3650*24*time.Hour)
	}
}

func (c *Certificate) validateUpload(p *Problems) {
	if c.Chain.IsZero() {
		p.Add("chain", "is required without an issuer: the leaf certificate in PEM, then what signed it")
	}
	for _, f := range []struct {
		path string
		set  bool
	}{{"names", len(c.Names) > 0}, {"keyType", c.KeyType != ""}, {"duration", c.Duration != 0}, {"renewAt", c.RenewAt != nil}} {
		if f.set {
			p.Add(f.path, "is for a certificate with an issuer; name one in issuer, or leave it out")
		}
	}
}

// References names the issuer.
func (c *Certificate) References() []Reference { return optional(nil, "issuer", "Issuer", c.Issuer) }

// HasKey says whether the certificate comes with its key, or will, so that it can be shown; an authority has none.
func (c *Certificate) HasKey() bool { return c.Issuer != "" || c.Key != "" || c.KeyRef != nil }

// Pending says that an issuer has still to give the first certificate.
func (c *Certificate) Pending() bool { return c.Issuer != "" && c.KeyRef == nil }

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
