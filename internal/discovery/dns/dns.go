// Package dns watches names in the DNS: each name is a part, its instances the addresses (A, AAAA) that it has, or with
// SRV the servers that its records name.
//
// DNS tells of no change; a name is asked for again once the shortest time to live of its answer has passed, bounded
// by MinTTL and MaxTTL, and after a failure with pauses that grow. Whole is told once every name was asked for.
//
// An answer is taken whole or not at all. That a name does not exist, or has no addresses, is a failure: DNS has no way
// to say «none for now» that can be told from a zone half loaded. Only SRV has one, a single record with the target «.».
// A target of SRV that does not exist is left out, and Failed names it.
//
// Fields: name (as configured), address, family (ipv4 or ipv6), and for SRV target, port, priority and weight. The ID is
// the address; of SRV target:port, with /address behind it when the target has several. All are ready.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"weir/internal/discovery"
)

// Family says which addresses are wanted.
type Family uint8

// The families. Those that prefer one take the other only when there is none of it.
const (
	PreferIPv4 Family = iota
	PreferIPv6
	OnlyIPv4
	OnlyIPv6
	Both
)

// Config says which names are watched, and who is asked.
type Config struct {
	// Names are asked for as they are, without search domains; with SRV as _http._tcp.example.com.
	Names []string
	// SRV asks for SRV records, and for the addresses of their targets.
	SRV bool
	// Family says which addresses are taken.
	Family Family
	// Servers are the name servers, host:port or address (port 53), the first that answers counts; none: the machine's.
	Servers []string
	// MinTTL and MaxTTL bound the pause between two questions; 5 s and 5 min when 0.
	MinTTL, MaxTTL time.Duration
	// Timeout bounds the wait for each answer, 2 s when 0.
	Timeout time.Duration
	// Dial makes connections ("udp" and "tcp"); nil is net.Dialer's.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Clock is for the pauses.
	Clock discovery.Clock
}

const (
	maxNames       = 1000
	defaultMinTTL  = 5 * time.Second
	defaultMaxTTL  = 5 * time.Minute
	defaultTimeout = 2 * time.Second
	maxTimeout     = 30 * time.Second
	maxTTL         = 24 * time.Hour
)

// Check says what people have to correct.
func (c Config) Check() error {
	if len(c.Names) == 0 || len(c.Names) > maxNames {
		return fmt.Errorf("names: there are %d, 1 to %d are possible", len(c.Names), maxNames)
	}
	seen := map[string]bool{}
	for _, name := range c.Names {
		if err := checkName(name); err != nil {
			return err
		}
		if absolute := dns.CanonicalName(name); seen[absolute] {
			return fmt.Errorf("names: %q is there twice", name)
		} else {
			seen[absolute] = true
		}
	}
	for _, s := range c.Servers {
		if _, err := endpoint(s); err != nil {
			return err
		}
	}
	if c.Family > Both {
		return errors.New("family: it is none of those that there are")
	}
	least, most := c.bounds()
	if least < time.Second || most > maxTTL || least > most {
		return fmt.Errorf("TTL: from %s to %s is no pause; it lies between 1s and %s", least, most, maxTTL)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		return fmt.Errorf("timeout: %s is not between 0 and %s", c.Timeout, maxTimeout)
	}
	return nil
}

func (c Config) bounds() (least, most time.Duration) {
	least, most = c.MinTTL, c.MaxTTL
	if least == 0 {
		least = defaultMinTTL
	}
	if most == 0 {
		most = max(defaultMaxTTL, least)
	}
	return least, most
}

func checkName(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Errorf("names: %s is an address already; give it as a server of the pool", name)
	}
	if _, ok := dns.IsDomainName(name); !ok || !isName(name) || strings.Trim(name, ".") == "" {
		return fmt.Errorf("names: %q is no name; write web.example.com, or _http._tcp.example.com for SRV", discovery.Clip(name))
	}
	return nil
}

// isName says whether a text has only what names of hosts and services have.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// endpoint gives host:port of a name server with or without a port.
func endpoint(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "53"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("servers: %q has no port of 1 to 65535 behind its colon", discovery.Clip(s))
	}
	if _, err := netip.ParseAddr(host); err != nil && !isName(host) {
		return "", fmt.Errorf("servers: %q is no server; write 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53", discovery.Clip(s))
	}
	return net.JoinHostPort(host, port), nil
}

// Source is a list of names and who is asked for them.
type Source struct {
	config     Config
	servers    []string // none: those of resolvConf, read anew each time
	resolvConf string
}

// New makes a source, which does nothing before Watch.
func New(c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("discovery from dns: %w", err)
	}
	s := &Source{config: c, resolvConf: "/etc/resolv.conf"}
	for _, server := range c.Servers {
		addr, err := endpoint(server)
		if err != nil {
			return nil, fmt.Errorf("discovery from dns: %w", err)
		}
		s.servers = append(s.servers, addr)
	}
	s.config.Names = slices.Clone(c.Names)
	s.config.MinTTL, s.config.MaxTTL = c.bounds()
	if c.Timeout == 0 {
		s.config.Timeout = defaultTimeout
	}
	if c.Dial == nil {
		s.config.Dial = new(net.Dialer).DialContext
	}
	return s, nil
}

// Servers gives who is asked, as host:port: those of the configuration, else the machine's as they are now.
func (s *Source) Servers() ([]string, error) { return s.serversNow() }

// atOnce is how many names are asked for at a time.
const atOnce = 16

// Watch implements discovery.Source.
func (s *Source) Watch(ctx context.Context, sink discovery.Sink) {
	b := &board{sink: sink, names: slices.Sorted(slices.Values(s.config.Names)), last: map[string]outcome{}}
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, name := range s.config.Names {
		all.Go(func() { s.follow(ctx, name, slots, b) })
	}
	all.Wait()
}

// follow asks for one name again and again.
func (s *Source) follow(ctx context.Context, name string, slots chan struct{}, b *board) {
	failures := 0
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		found, ttl, left, err := s.resolve(ctx, name)
		<-slots
		if ctx.Err() != nil {
			return
		}
		b.tell(ctx, name, found, left, err)
		pause := min(max(ttl, s.config.MinTTL), s.config.MaxTTL)
		if failures++; err == nil {
			failures = 0
		} else {
			pause = s.config.Clock.Backoff(failures)
		}
		if !s.config.Clock.Pause(ctx, pause) {
			return
		}
	}
}
