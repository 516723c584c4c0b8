package weir

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// EgressClient is an application in one environment that calls partners through an egress Site. Its calls are known by the
// first two elements of their path, /<application>/<environment>, and are believed from its own sources alone.
type EgressClient struct {
	// Application is the first element of the path of its calls; the object's name when left out. There is one EgressClient
	// for an application in an environment.
	Application string `json:"application,omitempty"`
	// Environment is the second, such as prod. An egress Site serves the environments that it lists.
	Environment string `json:"environment"`
	// Sources are the networks that its calls come from; who calls in its name from elsewhere is refused.
	Sources []netip.Prefix `json:"sources"`
	// Subject is of the certificate that its calls show over TLS, as "CN=myback,O=Example", most specific first (RFC 4514; as
	// openssl x509 -noout -subject -nameopt RFC2253 prints it); calls without it are refused. It takes an egress Site with a
	// clientAuthority. Left out, the sources are enough.
	Subject string `json:"subject,omitempty"`
}

// MaxSubject bounds a subject, in bytes.
const MaxSubject = 255

// subject is what OpenSSL prints in one way alone: types of attributes that it has a name for, values without anything that
// is escaped.
var subject = regexp.MustCompile(`^(CN|OU|O|L|ST|C|DC|UID)=[A-Za-z0-9][A-Za-z0-9 ._@:/*()'?-]*(,(CN|OU|O|L|ST|C|DC|UID)=[A-Za-z0-9][A-Za-z0-9 ._@:/*()'?-]*)*$`)

// MaxEgressSources bounds the networks of one EgressClient.
const MaxEgressSources = 256

// Normalize brings networks into their canonical form, and a subject into that without blanks around commas.
func (c *EgressClient) Normalize() {
	if c.Subject != "" {
		c.Subject = strings.Join(slices.Collect(splitComma(c.Subject)), ",")
	}
	for i := range c.Sources {
		c.Sources[i] = canonicalPrefix(c.Sources[i])
	}
}

// Validate checks everything that a client says by itself.
func (c *EgressClient) Validate(p *Problems) {
	if c.Application != "" {
		checkElement(p, "application", c.Application)
	}
	checkElement(p, "environment", c.Environment)
	if len(c.Sources) == 0 {
		p.Add("sources", "needs at least one network that its calls come from, such as 10.1.2.0/24")
	}
	if len(c.Sources) > MaxEgressSources {
		p.Add("sources", "holds %d networks; at most %d are allowed", len(c.Sources), MaxEgressSources)
	}
	checkPrefixes(p, "sources", c.Sources)
	c.checkSubject(p)
}

func (c *EgressClient) checkSubject(p *Problems) {
	switch s := c.Subject; {
	case s == "":
	case len(s) > MaxSubject:
		p.Add("subject", "has %d bytes; at most %d are allowed", len(s), MaxSubject)
	case !subject.MatchString(s) || strings.Contains(s, " ,"):
		p.Add("subject", "%q is not written as CN=myback,O=Example: attributes CN, OU, O, L, ST, C, DC and UID, most specific first, of letters, digits, blanks and ._@:/*()'?-", clip(s))
	}
}

// References are none: rules refer to clients.
func (c *EgressClient) References() []Reference { return nil }

// Caller gives what its calls begin with, as "myback/prod"; name is the object's.
func (c *EgressClient) Caller(name string) string {
	if c.Application != "" {
		name = c.Application
	}
	return name + "/" + c.Environment
}

// checkElement asks for what can be an element of a path and be read in one way alone.
func checkElement(p *Problems, path, v string) {
	if err := CheckName(v); err != nil {
		p.Add(path, "%s", err)
	}
}
