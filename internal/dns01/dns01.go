// Package dns01 answers dns-01 challenges (RFC 8555, 8.4): it puts TXT records below _acme-challenge, proves that
// the world can see them, and takes them away again, by dynamic updates (RFC 2136) or by a program of the operator's.
package dns01

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/miekg/dns"

	"weir"
)

// Solver answers challenges. All calls may be made at once, also for one name with several values, and each may be
// repeated: putting what is there and taking away what is not are no errors. Nothing is kept in memory between
// the calls, so that another control plane may go on where one was lost.
type Solver interface {
	// Present puts the record and leaves other values of its name alone.
	Present(ctx context.Context, r Record) error
	// Wait returns once every name server that counts was seen to answer with the record; when ctx ends before,
	// the error names the servers that lag.
	Wait(ctx context.Context, r Record) error
	// Clean takes away the record and leaves other values of its name alone.
	Clean(ctx context.Context, r Record) error
}

// Record is one challenge's answer.
type Record struct {
	// Name is what the certificate is ordered for, as www.example.com; a wildcard's leading "*." does not matter.
	Name string
	// Value is the digest of the key authorization, in base64url as RFC 8555 has it.
	Value string
}

// Owner gives the name of the TXT record, with a dot at the end.
func (r Record) Owner() string { return "_acme-challenge." + r.host() + "." }

func (r Record) host() string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(r.Name, "*."), "."))
}

// isName says whether s is a name of letters, digits, '-' and '_', in ASCII as it stands in the DNS, and not the root.
func isName(s string) bool {
	_, ok := dns.IsDomainName(s)
	return ok && names.MatchString(s)
}

var names = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$`)

var values = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// check says why the record can't be put, or nil: both parts go into packets and into a program's environment.
func (r Record) check() error {
	host, err := weir.CanonicalHostname(r.host())
	if err != nil {
		return err
	}
	if host != r.host() || strings.HasPrefix(host, "*") {
		return fmt.Errorf("%q is not the name of one host, written out in ASCII as %q", r.Name, host)
	}
	if len(r.Owner()) > 254 {
		return fmt.Errorf("%q is too long to have a name below _acme-challenge", r.Name)
	}
	if !values.MatchString(r.Value) {
		return fmt.Errorf("the value for %s is no base64url text of 1 to 255 bytes", r.Name)
	}
	return nil
}

// Proof says whom Wait asks.
type Proof struct {
	// Resolvers are asked for what the update server does not know, as host or host:port; those of
	// /etc/resolv.conf when there are none.
	Resolvers []string
	// Servers are asked instead of the zone's name servers, as host or host:port: for a hidden primary, or where the
	// name servers that the authority sees are others than those that the control plane sees.
	Servers []string
}

func (p Proof) check() (Proof, error) {
	var err error
	if p.Resolvers, err = endpoints("resolver", p.Resolvers); err != nil {
		return p, err
	}
	p.Servers, err = endpoints("server", p.Servers)
	return p, err
}
