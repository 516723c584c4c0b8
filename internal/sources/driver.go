package sources

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"weir"
	"weir/internal/discovery"
	"weir/internal/discovery/consul"
	"weir/internal/discovery/dns"
	"weir/internal/discovery/filesd"
	"weir/internal/discovery/kubernetes"
	"weir/internal/discovery/zookeeper"
)

// Reach is what sources may ask, and read.
type Reach struct {
	// Destinations are the places of the inside; nil for none.
	Destinations *Destinations
	// Files is the folder of lists; nil when there is none.
	Files *os.Root
}

// given is what a source needs of other objects.
type given struct {
	// secret is the token or password, authority the PEM of who is believed; empty for none.
	secret, authority string
}

// driver makes the driver of a source.
func (r *Reach) driver(spec *weir.DiscoverySource, with given, log *slog.Logger) (discovery.Source, error) {
	secret := strings.TrimSpace(with.secret)
	trust, err := trusting(with.authority)
	if err != nil {
		return nil, err
	}
	interval := spec.Interval.D()
	switch {
	case spec.Consul != nil:
		c := spec.Consul
		return made(consul.New(consul.Config{
			Address: c.Address, Token: secret, Datacenter: c.Datacenter, Namespace: c.Namespace, Partition: c.Partition,
			Services: c.Services, Tags: c.Tags, Filter: c.Filter, OnlyPassing: c.OnlyPassing, Stale: c.Stale, Wait: interval,
			TLS: trust, Dial: r.Destinations.Dial,
		}))
	case spec.ZooKeeper != nil:
		return r.zookeeper(spec.ZooKeeper, secret, trust)
	case spec.DNS != nil:
		return r.dns(spec.DNS, interval)
	case spec.Kubernetes != nil:
		k := spec.Kubernetes
		return made(kubernetes.New(kubernetes.Config{
			Server: k.Server, Token: secret, Namespace: k.Namespace, Service: k.Service, Selector: k.Selector, Family: k.Family,
			TLS: trust, Dial: r.Destinations.Dial, Log: log,
		}))
	case spec.File != nil:
		if r.Files == nil {
			return nil, errors.New("this server reads no files: start it with --discovery-files and the folder that they are in")
		}
		return made(filesd.New(filesd.Config{Path: spec.File.Path, Root: r.Files, Format: spec.File.Format, Interval: interval}))
	case spec.URL != nil:
		u := spec.URL
		return made(filesd.New(filesd.Config{URL: u.URL, Format: u.Format, Interval: interval, Token: secret, TLS: trust, Dial: r.Destinations.Dial}))
	}
	return nil, errors.New("it says nothing of where servers are to be found that this version knows")
}

// made is for constructors whose pointers must not become an interface that holds nil.
func made[T discovery.Source](s T, err error) (discovery.Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (r *Reach) zookeeper(z *weir.ZooKeeperSource, password string, trust *tls.Config) (discovery.Source, error) {
	if z.TLS && trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return made(zookeeper.New(zookeeper.Config{
		Servers: z.Servers, Path: z.Path, Services: z.Services, User: z.User, Password: password, Session: z.Session.D(),
		TLS: trust, Dial: r.Destinations.Dial,
	}))
}

var families = map[string]dns.Family{
	"preferIPv4": dns.PreferIPv4, "preferIPv6": dns.PreferIPv6, "IPv4": dns.OnlyIPv4, "IPv6": dns.OnlyIPv6, "both": dns.Both,
}

func (r *Reach) dns(n *weir.DNSSource, interval time.Duration) (discovery.Source, error) {
	c := dns.Config{
		Names: n.Names, SRV: n.SRV, Family: families[n.Family], Servers: n.Servers, MinTTL: n.MinTTL.D(), MaxTTL: interval,
		Timeout: n.Timeout.D(), Dial: r.Destinations.Dial,
	}
	if len(n.Servers) == 0 {
		c.Dial = (&net.Dialer{}).DialContext // the machine's own are nobody's choice
	}
	return made(dns.New(c))
}

// trusting is for connections to who shows a certificate of an authority; nil for the system's.
func trusting(authority string) (*tls.Config, error) {
	if authority == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(authority)) {
		return nil, errors.New("its authority holds no certificate")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Check says what drivers find wrong with a source when it is written, nil for nothing; nobody is asked and nothing read.
func (r *Reach) Check(spec *weir.DiscoverySource) error {
	with := given{}
	if spec.Secret() != "" {
		with.secret = "secret"
	}
	if spec.File != nil && r.Files == nil {
		return nil // another server of the store may have the folder; the source says of itself that this one has not
	}
	d, err := r.driver(spec, with, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if _, err := discovery.NewMapping(&spec.Server); err != nil {
		return err
	}
	if closer, ok := d.(interface{ Close() }); ok {
		closer.Close()
	}
	return nil
}

// needs gives what a source needs of other objects.
func (r *Runner) needs(ctx context.Context, spec *weir.DiscoverySource) (given, error) {
	var with given
	view := r.opts.Store.View()
	if name := spec.Secret(); name != "" {
		s := weir.Find[weir.Secret](view, "Secret", name)
		if s == nil || s.DataRef == nil {
			return with, fmt.Errorf("its Secret/%s holds nothing", name)
		}
		opened, err := r.opts.Store.Secret(ctx, weir.Ref{Kind: "Secret", Name: name}, s.DataRef.Generation)
		if err != nil {
			return with, fmt.Errorf("open Secret/%s: %w", name, err)
		}
		with.secret = opened.Text()
	}
	if name := spec.Authority(); name != "" {
		c := weir.Find[weir.Certificate](view, "Certificate", name)
		if c == nil {
			return with, fmt.Errorf("its Certificate/%s is not there", name)
		}
		with.authority = c.Chain.String()
	}
	return with, nil
}
