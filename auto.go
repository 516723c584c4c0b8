package weir

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// CertificateNames are the names of the Certificates that a listener shows. The word auto in place of the list has
// them ordered for the site's host names; no Certificate can be called so.
type CertificateNames []string

// Auto says that the word stands in place of the list.
func (c CertificateNames) Auto() bool { return len(c) == 1 && c[0] == auto }

const auto = "auto"

// MarshalJSON writes the word or the list.
func (c CertificateNames) MarshalJSON() ([]byte, error) {
	if c.Auto() {
		return json.Marshal(auto)
	}
	return json.Marshal([]string(c))
}

// UnmarshalJSON reads either form.
func (c *CertificateNames) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		var word string
		if err := json.Unmarshal(raw, &word); err != nil {
			return err
		}
		return c.word(word)
	}
	return json.Unmarshal(raw, (*[]string)(c))
}

func (c *CertificateNames) word(s string) error {
	if s != auto {
		return fmt.Errorf("%q must be a list of Certificates, such as [www], or the word auto", clip(s))
	}
	*c = CertificateNames{auto}
	return nil
}

func (c *CertificateNames) target() any { return (*[]string)(c) }

// ManagedByWeir as metadata.managedBy of a Certificate says that the control plane makes and deletes it, as listeners
// with certificates: auto want it.
const ManagedByWeir = "weir"

// Order is a certificate that a listener with certificates: auto wants. There is one for each host name, so that one
// that can't be had holds no other up, and sites of one role that want the same share it.
type Order struct {
	Role, Hostname, KeyType, Issuer string
}

const (
	// orderPrefix begins the names of all Certificates that are made for orders, and of no others.
	orderPrefix = "auto-"
	// readable is how much of a host name stands in the name of its Certificate.
	readable = 44
)

var orderDigits = base32.HexEncoding.WithPadding(base32.NoPadding)

// Name is what the order's Certificate is called: the host name as far as it fits, and a digest of all four.
func (o Order) Name() string {
	host := strings.Replace(o.Hostname, "*.", "any-", 1)
	host = strings.TrimRight(strings.ReplaceAll(host[:min(len(host), readable)], ".", "-"), "-")
	sum := sha256.Sum256([]byte(strings.Join([]string{o.Role, o.Hostname, o.KeyType, o.Issuer}, "\x00")))
	return orderPrefix + host + "-" + strings.ToLower(orderDigits.EncodeToString(sum[:8]))
}

// Ref names the order's Certificate.
func (o Order) Ref() Ref { return Ref{"Certificate", o.Name()} }

// Certificate makes the order's Certificate as it is before the issuer has given one.
func (o Order) Certificate() *Object {
	return &Object{
		Kind: "Certificate", Metadata: Metadata{Name: o.Name(), Role: o.Role, ManagedBy: ManagedByWeir},
		Spec: &Certificate{Issuer: o.Issuer, Names: []string{o.Hostname}, KeyType: o.KeyType},
	}
}

// String is for people: www.example.com (ecdsa-256) from Issuer/letsencrypt.
func (o Order) String() string {
	return fmt.Sprintf("%s (%s) from Issuer/%s", o.Hostname, o.KeyType, o.Issuer)
}

// OrderOf gives the order that a Certificate was made for; false when it is of another origin, or no longer what its
// name says.
func OrderOf(o *Object) (Order, bool) {
	cert, ok := o.Spec.(*Certificate)
	if !ok || o.Metadata.ManagedBy != ManagedByWeir || len(cert.Names) != 1 || cert.Duration != 0 || len(o.Metadata.ShareWith) > 0 {
		return Order{}, false
	}
	order := Order{o.Metadata.Role, cert.Names[0], cert.KeyType, cert.Issuer}
	return order, order.Name() == o.Metadata.Name
}

// Orders are the certificates that a listener wants ordered; none when it lists its own.
func (s *Site) Orders(role string, l Listener) []Order {
	if l.TLS == nil || !l.TLS.Certificates.Auto() {
		return nil
	}
	list := make([]Order, 0, len(s.Hostnames)*len(l.TLS.KeyTypes))
	for _, host := range s.Hostnames {
		for _, keyType := range l.TLS.KeyTypes {
			list = append(list, Order{role, host, keyType, l.TLS.Issuer})
		}
	}
	return list
}

// Wanted is an order and who wants it.
type Wanted struct {
	Order
	// Sites are in order.
	Sites []Ref
}

// Orders gives what all sites want ordered, by the name of the Certificate.
func (s *Set) Orders() map[string]Wanted {
	all := map[string]Wanted{}
	for o := range s.All("Site") {
		site := o.Spec.(*Site)
		for _, l := range site.Listeners {
			for _, order := range site.Orders(o.Metadata.Role, l) {
				name := order.Name()
				w := all[name]
				w.Order = order
				if !slices.Contains(w.Sites, o.Ref()) {
					w.Sites = append(w.Sites, o.Ref())
				}
				all[name] = w
			}
		}
	}
	return all
}

// PinIssuers writes down whom each listener with certificates: auto orders from, where the wish leaves it out, so that
// an Issuer that comes later moves nothing: who the site ordered from before, else the default one of the issuers, else
// the only one of those that serve the role. Where that leaves a choice, it stays open and Check refuses it.
func (s *Site) PinIssuers(before *Site, role string, issuers []*Object) {
	for _, l := range s.Listeners {
		if l.TLS == nil || !l.TLS.Certificates.Auto() || l.TLS.Issuer != "" {
			continue
		}
		if l.TLS.Issuer = before.orderedFrom(l.Port); l.TLS.Issuer == "" {
			l.TLS.Issuer = issuerFor(role, issuers)
		}
	}
}

// orderedFrom gives the issuer of a site's listener at a port, or of another one of its listeners.
func (s *Site) orderedFrom(port Port) (issuer string) {
	if s == nil {
		return ""
	}
	for _, l := range s.Listeners {
		if l.TLS != nil && l.TLS.Certificates.Auto() && (issuer == "" || l.Port == port) {
			issuer = l.TLS.Issuer
		}
	}
	return issuer
}

func issuerFor(role string, issuers []*Object) string {
	var serving []string
	for _, o := range issuers {
		i := o.Spec.(*Issuer)
		if !i.Serves(role) {
			continue
		}
		if i.Default {
			return o.Metadata.Name
		}
		serving = append(serving, o.Metadata.Name)
	}
	if len(serving) == 1 {
		return serving[0]
	}
	return ""
}

// validateAuto checks what stands beside the word, and that nothing of that stands beside a list.
func (t *ListenerTLS) validateAuto(p *Problems, path string, s *Site) {
	if !t.Certificates.Auto() {
		for _, f := range []struct {
			path string
			set  bool
		}{{"issuer", t.Issuer != ""}, {"keyTypes", len(t.KeyTypes) > 0}} {
			if f.set {
				p.Add(path+"."+f.path, "is for certificates: auto; the Certificates that are listed have their own")
			}
		}
		return
	}
	if s.Mode == "tcp" {
		p.Add(path+".certificates", "a tcp site has no host names that auto could order certificates for; list Certificates")
	}
	if slices.Contains(s.Hostnames, "*") {
		p.Add(path+".certificates", `nobody gives a certificate for every name, and the site answers to "*"; list Certificates, or give "*" a site of its own`)
	}
	for _, h := range s.Hostnames {
		if _, err := netip.ParseAddr(h); err == nil {
			p.Add(path+".certificates", "certificates are ordered for host names, and %q is an address; list Certificates, or give it a site of its own", h)
		}
	}
	if t.Issuer != "" {
		required(p, path+".issuer", t.Issuer)
	}
	unique(p, path+".keyTypes", t.KeyTypes)
	first := map[string]string{}
	for i, k := range t.KeyTypes {
		oneOf(p, index(path+".keyTypes", i), k, KeyTypes...)
		kind, _, _ := strings.Cut(k, "-")
		if other, twice := first[kind]; twice && other != k {
			p.Add(index(path+".keyTypes", i), "clients are shown one certificate of each kind of key, and there is %s already", other)
		}
		first[kind] = k
	}
}
