package weir

import (
	"net/netip"
	"slices"
	"strings"
)

// Partner is somebody outside whose services applications call through egress Sites.
type Partner struct {
	// Contact is whom to call there, for people to read.
	Contact string `json:"contact,omitempty"`
	// Endpoints are its services, each in one of its environments.
	Endpoints []PartnerEndpoint `json:"endpoints"`
	// Maintenance answers all calls to it at once. They go on when the field is left out again.
	Maintenance *SiteMaintenance `json:"maintenance,omitempty"`
}

// PartnerEndpoint is one service of a partner in one of its environments. Calls to it have the path
// /<application>/<environment>/<partner>/<its environment>/<service>/<service level>/<rest>, of which the partner sees /<rest>.
type PartnerEndpoint struct {
	// Environment is the partner's own, such as prod or acceptance.
	Environment string `json:"environment"`
	// Service is its name in the path.
	Service string `json:"service"`
	// Host is the partner's name for it: what calls have as Host, what TLS asks for and expects in the certificate, and, where
	// no addresses are listed, what the DNS is asked for. The same name may be at other addresses in another environment.
	Host string `json:"host"`
	// Port is 443 when left out, 80 with plain.
	Port Port `json:"port,omitempty"`
	// Addresses are where it is, whatever the DNS says of the host; without them that is asked.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Resolve says who asks the DNS for the host: control-plane, also when left out, by which addresses become servers at run
	// time and the last ones stay when the name is gone; or load-balancer, by which each asks the nameservers of its group's
	// Tuning for each call, and there is one address at a time.
	Resolve string `json:"resolve,omitempty"`
	// Prefer is ipv4, also when left out, or ipv6: addresses of the other family are taken only when the host has none of it.
	Prefer string `json:"prefer,omitempty"`
	// Resolved are the addresses that the control plane found last; they are its own to write.
	Resolved []netip.Addr `json:"resolved,omitempty"`
	// HostHeader is what calls have as Host where that is not the name, as with a port.
	HostHeader string `json:"hostHeader,omitempty"`
	// Path stands before what calls have after the service level, such as /soap/v2.
	Path string `json:"path,omitempty"`
	// Plain speaks HTTP without TLS, as over a private line.
	Plain bool `json:"plain,omitempty"`
	// TLS is how the partner is spoken to.
	TLS *PartnerTLS `json:"tls,omitempty"`
	// InFlight is how many calls to it may be under way, of all applications and levels, on each load balancer by itself; one
	// more is answered 503 at once. 0 is no bound.
	InFlight int `json:"inFlight,omitempty"`
	// Maintenance answers calls to it at once. While it holds, the partner's own is not looked at.
	Maintenance *SiteMaintenance `json:"maintenance,omitempty"`
}

// PartnerTLS is how a partner is spoken to. Its certificate is always verified.
type PartnerTLS struct {
	// CA names a Certificate without key that signs the partner's; the system's authorities when left out.
	CA string `json:"ca,omitempty"`
	// SNI is the name asked for and expected in the certificate where that is not the host: as an alternative name of it or,
	// since HAProxy takes that too, as its subject's common name.
	SNI string `json:"sni,omitempty"`
	// MinVersion is the oldest version that is spoken, TLSv1.2 or TLSv1.3; TLSv1.2 when left out.
	MinVersion string `json:"minVersion,omitempty"`
	// MaxVersion is the newest, for a partner that fails at newer ones; any when left out.
	MaxVersion string `json:"maxVersion,omitempty"`
	// ClientCertificate names the Certificate that is shown to the partner.
	ClientCertificate string `json:"clientCertificate,omitempty"`
}

// MaxPartnerEndpoints bounds the endpoints of one Partner.
const MaxPartnerEndpoints = 256

// Name gives the endpoint's as it is in paths, logs and figures, after the partner's: "prod/www".
func (e *PartnerEndpoint) Name() string { return e.Environment + "/" + e.Service }

// Normalize fills the defaults and brings names and addresses into their canonical form.
func (o *Partner) Normalize() {
	o.Maintenance.normalize()
	for i := range o.Endpoints {
		o.Endpoints[i].normalize()
	}
}

func (e *PartnerEndpoint) normalize() {
	e.Maintenance.normalize()
	if c, err := CanonicalHostname(e.Host); err == nil {
		e.Host = c
	}
	for i := range e.Addresses {
		e.Addresses[i] = e.Addresses[i].Unmap()
	}
	e.resolves()
	if e.Plain {
		setDefault(&e.Port, 80)
		return
	}
	setDefault(&e.Port, 443)
	if e.TLS == nil {
		e.TLS = &PartnerTLS{}
	}
	setDefault(&e.TLS.MinVersion, "TLSv1.2")
	setDefault(&e.TLS.SNI, e.Host)
	if c, err := CanonicalHostname(e.TLS.SNI); err == nil {
		e.TLS.SNI = c
	}
}

// Validate checks everything that a partner says by itself.
func (o *Partner) Validate(p *Problems) {
	prose(p, "contact", o.Contact, 1024)
	o.Maintenance.validate(p, "maintenance")
	if len(o.Endpoints) == 0 {
		p.Add("endpoints", "needs at least one: {environment: prod, service: www, host: www.example.com}")
	}
	if len(o.Endpoints) > MaxPartnerEndpoints {
		p.Add("endpoints", "holds %d; at most %d are allowed: make another Partner of some", len(o.Endpoints), MaxPartnerEndpoints)
		return
	}
	seen := map[string]bool{}
	for i := range o.Endpoints {
		e, path := &o.Endpoints[i], index("endpoints", i)
		e.validate(p, path)
		if seen[e.Name()] {
			p.Add(path+".service", "service %q is there already in environment %q", clip(e.Service), clip(e.Environment))
		}
		seen[e.Name()] = true
	}
}

func (e *PartnerEndpoint) validate(p *Problems, path string) {
	checkElement(p, path+".environment", e.Environment)
	checkElement(p, path+".service", e.Service)
	oneName(p, path+".host", e.Host, "that the partner answers to")
	e.Port.check(p, path+".port")
	e.validateAddresses(p, path)
	if e.HostHeader != "" {
		if err := CheckHost(e.HostHeader); err != nil {
			p.Add(path+".hostHeader", "%s", err)
		}
	}
	if e.Path != "" {
		if err := CheckURLPath(e.Path); err != nil {
			p.Add(path+".path", "%s", err)
		}
	}
	between(p, path+".inFlight", e.InFlight, 0, 1_000_000)
	e.Maintenance.validate(p, path+".maintenance")
	if e.Plain {
		if e.TLS != nil {
			p.Add(path+".tls", "is not looked at with plain; leave one of them out")
		}
		return
	}
	if t := e.TLS; t != nil {
		if t.SNI != e.Host { // that of the host is told of there
			oneName(p, path+".tls.sni", t.SNI, "that the partner's certificate holds")
		}
		oneOf(p, path+".tls.minVersion", t.MinVersion, "TLSv1.2", "TLSv1.3")
		if t.MaxVersion != "" {
			oneOf(p, path+".tls.maxVersion", t.MaxVersion, "TLSv1.2", "TLSv1.3")
			if t.MaxVersion < t.MinVersion {
				p.Add(path+".tls.maxVersion", "%s is below minVersion, %s", t.MaxVersion, t.MinVersion)
			}
		}
	}
}

// oneName asks for a name that is one alone; what says whose.
func oneName(p *Problems, path, name, what string) {
	switch {
	case name == "":
		p.Add(path, "is required: the name %s", what)
	case name[0] == '*':
		p.Add(path, "must be one name %s", what)
	case strings.Contains(name, "/"):
		p.Add(path, "%q is no host name: write the name alone, without https:// and without path; port, path and plain are fields of their own", clip(name))
	default:
		checkHostname(p, path, name)
	}
}

// References are authorities, client certificates, and what maintenance names.
func (o *Partner) References() []Reference {
	list := o.Maintenance.references(nil, "maintenance")
	for i := range o.Endpoints {
		list = o.Endpoints[i].Maintenance.references(list, index("endpoints", i)+".maintenance")
		if t := o.Endpoints[i].TLS; t != nil {
			path := index("endpoints", i) + ".tls."
			list = optional(list, path+"ca", "Certificate", t.CA)
			list = optional(list, path+"clientCertificate", "Certificate", t.ClientCertificate)
		}
	}
	return list
}

// isShown says whether some service of the partner is shown a certificate.
func (o *Partner) isShown(certificate string) bool {
	return slices.ContainsFunc(o.Endpoints, func(e PartnerEndpoint) bool { return e.TLS != nil && e.TLS.ClientCertificate == certificate })
}

// Endpoint finds one by environment and service, nil when there is none.
func (o *Partner) Endpoint(environment, service string) *PartnerEndpoint {
	for i := range o.Endpoints {
		if e := &o.Endpoints[i]; e.Environment == environment && e.Service == service {
			return e
		}
	}
	return nil
}
