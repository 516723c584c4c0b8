package weir

import (
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Issuer is an authority that certificates are ordered from: a public one that speaks ACME (RFC 8555), or one of
// Weir's own for names that only the inside knows.
type Issuer struct {
	// Type is acme or ca.
	Type string `json:"type"`
	// Default makes it the issuer of listeners that say certificates: auto and name none; at most one is.
	Default bool `json:"default,omitempty"`
	// Roles may order from it; every role may when none is listed.
	Roles []string `json:"roles,omitempty"`
	// ACME says which authority is spoken to and how names are proven; for type acme.
	ACME *ACME `json:"acme,omitempty"`
	// CA says what the authority of Weir's own is called; for type ca.
	CA *PrivateCA `json:"ca,omitempty"`
	// Key is PEM, written once: of the ACME account, or of the authority. It is made when none is given; what is kept
	// instead is KeyRef.
	Key string `json:"key,omitempty"`
	// KeyRef is made by the control plane.
	KeyRef *SealedRef `json:"keyRef,omitempty"`
	// Chain is PEM, for type ca: the authority's own certificate, then what signed it, the root last. It is made when
	// no key is given, and required beside one.
	Chain string `json:"chain,omitempty"`
}

// ACME is an authority that speaks ACME.
type ACME struct {
	// Directory is the authority's URL, as https://acme-v02.api.letsencrypt.org/directory. To write it here is to
	// agree to the authority's terms of service.
	Directory string `json:"directory"`
	// Authority names the Certificate without a key that is believed for the directory's own TLS; the system's when
	// left out.
	Authority string `json:"authority,omitempty"`
	// Contact are mail addresses that the authority may write to.
	Contact []string `json:"contact,omitempty"`
	// ExternalAccount is what some authorities want before they register an account.
	ExternalAccount *ExternalAccount `json:"externalAccount,omitempty"`
	// Challenge is http-01, answered by the load balancers at port 80, or dns-01, by a TXT record.
	Challenge string `json:"challenge,omitempty"`
	// DNS says how TXT records are written; for dns-01.
	DNS *DNSChallenge `json:"dns,omitempty"`
	// Profile is one of those that the authority lists, as shortlived.
	Profile string `json:"profile,omitempty"`
	// Budget bounds how many certificates are ordered, whatever for, besides the authority's own limits.
	Budget *Budget `json:"budget,omitempty"`
}

// ExternalAccount binds an ACME account to one that the authority knows already (RFC 8555, 7.3.4).
type ExternalAccount struct {
	KeyID string `json:"keyID"`
	// Secret names the Secret that holds the authority's HMAC key in base64url, as authorities hand it out.
	Secret string `json:"secret"`
}

// DNSChallenge says how TXT records get into the DNS: by updates, or by a program.
type DNSChallenge struct {
	RFC2136 *RFC2136 `json:"rfc2136,omitempty"`
	// Exec is the name of a program in the folder that the server's flag --challenge-programs names.
	Exec string `json:"exec,omitempty"`
	// Servers are the name servers that must answer with the record before the authority is told to look, as host or
	// host:port; those of the zone when left out.
	Servers []string `json:"servers,omitempty"`
	// Timeout is how long the name servers may take.
	Timeout Duration `json:"timeout,omitzero"`
}

// RFC2136 is a name server that takes signed updates.
type RFC2136 struct {
	// Server is the zone's primary, as host or host:port.
	Server string `json:"server"`
	// Zone is the zone that is updated; found out when left out.
	Zone string `json:"zone,omitempty"`
	// Key is the name of the TSIG key, Algorithm hmac-sha256, hmac-sha384 or hmac-sha512 (RFC 8945).
	Key       string `json:"key"`
	Algorithm string `json:"algorithm,omitempty"`
	// Secret names the Secret that holds the key in base64.
	Secret string `json:"secret"`
}

// Budget is so many in any stretch of time so long.
type Budget struct {
	Certificates int      `json:"certificates"`
	Per          Duration `json:"per"`
}

// PrivateCA is an authority whose key Weir has.
type PrivateCA struct {
	// CommonName is what the authority is called in its own certificate.
	CommonName string `json:"commonName"`
	// KeyType is one of those of a Certificate.
	KeyType string `json:"keyType,omitempty"`
	// Duration is how long the authority's own certificate is good for.
	Duration Duration `json:"duration,omitzero"`
	// Parent names the Issuer of type ca that signs it; it signs itself when left out.
	Parent string `json:"parent,omitempty"`
	// Certificates is how long what it issues is good for, when a Certificate does not say.
	Certificates Duration `json:"certificates,omitzero"`
}

// The types of issuers, and the challenges of ACME.
const (
	IssuerACME = "acme"
	IssuerCA   = "ca"
	HTTP01     = "http-01"
	DNS01      = "dns-01"
)

// Normalize fills the defaults.
func (i *Issuer) Normalize() {
	if a := i.ACME; a != nil {
		setDefault(&a.Challenge, HTTP01)
		if a.DNS != nil {
			setDefault(&a.DNS.Timeout, Duration(5*time.Minute))
			if a.DNS.RFC2136 != nil {
				setDefault(&a.DNS.RFC2136.Algorithm, "hmac-sha256")
			}
		}
	}
	if c := i.CA; c != nil {
		setDefault(&c.KeyType, "ecdsa-256")
		setDefault(&c.Duration, Duration(10*year))
		setDefault(&c.Certificates, Duration(47*24*time.Hour))
	}
}

// Validate checks everything that can be seen without asking the authority.
func (i *Issuer) Validate(p *Problems) {
	oneOf(p, "type", i.Type, IssuerACME, IssuerCA)
	names(p, "roles", i.Roles)
	if i.Type == IssuerACME {
		if i.ACME == nil {
			p.Add("acme", "is required for type acme: at least the directory's URL")
		} else {
			i.ACME.validate(p)
		}
		if i.Chain != "" {
			p.Add("chain", "is for type ca; an account has none")
		}
	} else if i.ACME != nil {
		p.Add("acme", "is for type acme")
	}
	if i.Type == IssuerCA {
		if i.CA == nil {
			p.Add("ca", "is required for type ca: at least its commonName")
		} else {
			i.CA.validate(p)
		}
		if (i.Key != "" || i.KeyRef != nil) && i.Chain == "" {
			p.Add("chain", "is required beside the authority's key: its own certificate in PEM, then what signed it")
		}
	} else if i.CA != nil {
		p.Add("ca", "is for type ca")
	}
	if len(i.Chain)+len(i.Key) > MaxChain {
		p.Add("chain", "chain and key are %d bytes long; at most %d are allowed", len(i.Chain)+len(i.Key), MaxChain)
	}
}

func (a *ACME) validate(p *Problems) {
	if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || strings.IndexFunc(a.Directory, misleads) >= 0 {
		p.Add("acme.directory", "%q must be an https URL, such as https://acme-v02.api.letsencrypt.org/directory", clip(a.Directory))
	}
	for i, c := range a.Contact {
		if m, err := mail.ParseAddress(c); err != nil || m.Address != c {
			p.Add(index("acme.contact", i), "%q must be a mail address without a name, such as ops@example.com", clip(c))
		}
	}
	unique(p, "acme.contact", a.Contact)
	oneOf(p, "acme.challenge", a.Challenge, HTTP01, DNS01)
	if e := a.ExternalAccount; e != nil {
		text(p, "acme.externalAccount.keyID", e.KeyID, 256)
		if e.KeyID == "" {
			p.Add("acme.externalAccount.keyID", "is required")
		}
		required(p, "acme.externalAccount.secret", e.Secret)
	}
	switch {
	case a.Challenge == DNS01 && a.DNS == nil:
		p.Add("acme.dns", "is required for dns-01: rfc2136 or exec")
	case a.Challenge != DNS01 && a.DNS != nil:
		p.Add("acme.dns", "is for challenge: dns-01")
	case a.DNS != nil:
		a.DNS.validate(p)
	}
	text(p, "acme.profile", a.Profile, 64)
	if b := a.Budget; b != nil {
		between(p, "acme.budget.certificates", b.Certificates, 1, 100_000)
		b.Per.within(p, "acme.budget.per", time.Minute, 365*24*time.Hour)
	}
}

func (d *DNSChallenge) validate(p *Problems) {
	if (d.RFC2136 == nil) == (d.Exec == "") {
		p.Add("acme.dns", "needs either rfc2136 or exec")
	}
	if d.Exec != "" {
		if err := CheckName(d.Exec); err != nil {
			p.Add("acme.dns.exec", "names a program in the server's folder of challenge programs: %s", err)
		}
	}
	d.Timeout.within(p, "acme.dns.timeout", time.Second, time.Hour)
	for i, s := range d.Servers {
		checkEndpoint(p, index("acme.dns.servers", i), s)
	}
	r := d.RFC2136
	if r == nil {
		return
	}
	checkEndpoint(p, "acme.dns.rfc2136.server", r.Server)
	if r.Zone != "" {
		checkHostname(p, "acme.dns.rfc2136.zone", strings.TrimSuffix(r.Zone, "."))
	}
	checkHostname(p, "acme.dns.rfc2136.key", strings.TrimSuffix(r.Key, "."))
	oneOf(p, "acme.dns.rfc2136.algorithm", r.Algorithm, "hmac-sha256", "hmac-sha384", "hmac-sha512")
	required(p, "acme.dns.rfc2136.secret", r.Secret)
}

// checkEndpoint takes a name or address, with or without a port.
func checkEndpoint(p *Problems, path, s string) {
	if _, err := netip.ParseAddrPort(s); err == nil {
		return
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return
	}
	host, port, found := strings.Cut(s, ":")
	if found && new(Port).UnmarshalText([]byte(port)) != nil {
		p.Add(path, "%q must be a host or host:port, such as ns1.example.com or [2001:db8::1]:53", clip(s))
		return
	}
	checkHostname(p, path, strings.TrimSuffix(host, "."))
}

func (c *PrivateCA) validate(p *Problems) {
	if c.CommonName == "" {
		p.Add("ca.commonName", "is required: what the authority is called, such as Example inside CA")
	}
	prose(p, "ca.commonName", c.CommonName, 64)
	oneOf(p, "ca.keyType", c.KeyType, KeyTypes...)
	c.Duration.within(p, "ca.duration", 24*time.Hour, 30*year)
	c.Certificates.within(p, "ca.certificates", time.Hour, 10*year)
}

// References names what the issuer needs.
func (i *Issuer) References() []Reference {
	list := each(nil, "roles", "Role", i.Roles)
	if a := i.ACME; a != nil {
		list = optional(list, "acme.authority", "Certificate", a.Authority)
		if a.ExternalAccount != nil {
			list = optional(list, "acme.externalAccount.secret", "Secret", a.ExternalAccount.Secret)
		}
		if a.DNS != nil && a.DNS.RFC2136 != nil {
			list = optional(list, "acme.dns.rfc2136.secret", "Secret", a.DNS.RFC2136.Secret)
		}
	}
	if i.CA != nil {
		list = optional(list, "ca.parent", "Issuer", i.CA.Parent)
	}
	return list
}

// Serves says whether a role may order from the issuer; what has no role is the admin's and may.
func (i *Issuer) Serves(role string) bool {
	return len(i.Roles) == 0 || role == "" || slices.Contains(i.Roles, role)
}

// Wildcards says whether the issuer gives certificates for wildcard names: over http-01 no authority does
// (RFC 8555, 7.1.3).
func (i *Issuer) Wildcards() bool { return i.ACME == nil || i.ACME.Challenge == DNS01 }
