package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"weir/internal/discovery"
)

// maxAliases is how many CNAMEs are followed one after another.
const maxAliases = 8

// lookup finds the records of one type at the end of a name's aliases, and the shortest time to live on the way. The
// last answer comes along for what it has besides.
func (s *Source) lookup(ctx context.Context, name string, qtype uint16) (rrs []dns.RR, ttl time.Duration, m *dns.Msg, err error) {
	servers, err := s.serversNow()
	if err != nil {
		return nil, 0, nil, err
	}
	ttl = maxTTL
	at := name
	for range maxAliases + 1 {
		m, err = s.askAny(ctx, servers, at, qtype)
		if err != nil {
			return nil, 0, nil, err
		}
		next, held, ok := follow(m, at)
		ttl = min(ttl, held)
		if !ok {
			break
		}
		rrs, held = recordsAt(m.Answer, next, qtype)
		ttl = min(ttl, held)
		asked := fmt.Sprintf("ask for %s of %s%s", dns.TypeToString[qtype], name, leadsTo(name, next))
		switch {
		case len(rrs) > 0:
			return rrs, ttl, m, nil
		case m.Rcode == dns.RcodeNameError:
			return nil, 0, nil, fmt.Errorf("%s: %w", asked, errNoName)
		case next == at:
			return nil, 0, nil, fmt.Errorf("%s: %w: the name exists and has no %s record", asked, errNoData, dns.TypeToString[qtype])
		}
		at = next // the end lies in a zone that this server does not answer for
	}
	return nil, 0, nil, fmt.Errorf("ask for %s of %s: more than %d CNAME records one after another, or a loop", dns.TypeToString[qtype], name, maxAliases)
}

func leadsTo(name, next string) string {
	if name == next {
		return ""
	}
	return ", which leads to " + discovery.Clip(next)
}

// follow gives the end of the aliases that an answer holds from a name on, and their time to live; not ok: too many.
func follow(m *dns.Msg, name string) (end string, ttl time.Duration, ok bool) {
	ttl = maxTTL
	for range maxAliases + 1 {
		rrs, held := recordsAt(m.Answer, name, dns.TypeCNAME)
		if len(rrs) == 0 {
			return name, ttl, true
		}
		name, ttl = dns.CanonicalName(rrs[0].(*dns.CNAME).Target), min(ttl, held)
	}
	return "", ttl, false
}

// recordsAt gives the records of a name, whose type is what it says, and their shortest time to live.
func recordsAt(all []dns.RR, name string, qtype uint16) (rrs []dns.RR, ttl time.Duration) {
	ttl = maxTTL
	for _, rr := range all {
		h := rr.Header()
		if h.Rrtype != qtype || h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != name {
			continue
		}
		switch rr.(type) {
		case *dns.A, *dns.AAAA, *dns.SRV, *dns.CNAME:
			rrs = append(rrs, rr)
			// RFC 2181: one with its highest bit set is none.
			if h.Ttl > 1<<31-1 {
				h.Ttl = 0
			}
			ttl = min(ttl, time.Duration(h.Ttl)*time.Second)
		}
	}
	return rrs, ttl
}

// additional gives the records that came along with another answer.
func additional(m *dns.Msg, name string, qtype uint16) ([]dns.RR, time.Duration) {
	if m == nil {
		return nil, 0
	}
	return recordsAt(m.Extra, name, qtype)
}

func (s *Source) serversNow() ([]string, error) {
	if len(s.servers) > 0 {
		return s.servers, nil
	}
	c, err := dns.ClientConfigFromFile(s.resolvConf)
	if err != nil {
		return nil, fmt.Errorf("find the machine's name servers: %w; name servers", err)
	}
	var servers []string
	for _, server := range c.Servers {
		addr, err := endpoint(server)
		if err != nil {
			return nil, fmt.Errorf("find the machine's name servers in %s: %w", s.resolvConf, err)
		}
		servers = append(servers, addr)
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("find the machine's name servers: %s names none; name servers", s.resolvConf)
	}
	return servers, nil
}

// askAny puts a question to one server after the other until one answers it, be it that there is nothing.
func (s *Source) askAny(ctx context.Context, servers []string, name string, qtype uint16) (*dns.Msg, error) {
	var all []string
	var causes []error
	for _, server := range servers {
		m, err := s.ask(ctx, server, name, qtype)
		if err == nil {
			err = refusal(m)
		}
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		all, causes = append(all, fmt.Sprintf("%s: %v", server, err)), append(causes, err)
	}
	return nil, &unanswered{fmt.Sprintf("ask for %s of %s at %s", dns.TypeToString[qtype], name, strings.Join(all, "; at ")), causes}
}

// unanswered is what all servers said in place of an answer.
type unanswered struct {
	text   string
	causes []error
}

// Error says what was asked, whom, and what each did.
func (u *unanswered) Error() string { return u.text }

// Unwrap gives each server's failure.
func (u *unanswered) Unwrap() []error { return u.causes }

// refusal says in words why a server did not answer a question.
func refusal(m *dns.Msg) error {
	switch m.Rcode {
	case dns.RcodeSuccess:
		// Nothing but the way to others: a server that does not resolve for us.
		if len(m.Answer) == 0 && !m.Authoritative && !m.RecursionAvailable {
			return errors.New("it has no answer and does not ask others (recursion is off); name a resolver, or a server of the zone")
		}
		return nil
	case dns.RcodeNameError:
		return nil
	case dns.RcodeServerFailure:
		return errors.New("SERVFAIL: the server can't answer now; its log says why (the zone's servers can't be reached, DNSSEC does not hold, a zone is not loaded)")
	case dns.RcodeRefused:
		return errors.New("REFUSED: the server does not answer such questions from here; allow this machine to ask it, or name another")
	case dns.RcodeFormatError:
		return errors.New("FORMERR: the server can't read the question; something between may have changed it")
	case dns.RcodeNotImplemented:
		return errors.New("NOTIMP: the server does not answer such questions; name another")
	}
	if text, ok := dns.RcodeToString[m.Rcode]; ok {
		return fmt.Errorf("%s: the server refused the question", text)
	}
	return fmt.Errorf("code %d: the server refused the question", m.Rcode)
}
