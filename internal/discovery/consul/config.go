package consul

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/discovery"
	"weir/internal/discovery/httpget"
)

// MaxServices is how many services one source can follow. Each is a question that hangs: without TLS, which has room for
// many in a connection, each is a connection, and Consul takes 200 from an address unless limits.http_max_conns_per_client
// says otherwise.
const MaxServices = 1000

// The bounds of Wait, and what it is if it is not given. Consul's own bound is ten minutes. Shorter is a sooner notice of
// a Consul that is silent, longer is less to answer.
const (
	minWait     = time.Second
	maxWait     = 10 * time.Minute
	defaultWait = time.Minute
)

// Config says what to watch in which Consul.
type Config struct {
	// Address is the URL of an agent's or a server's HTTP API.
	Address string
	// Token is sent in a header, and may read the services and their nodes. Without one Consul's anonymous token holds.
	Token string
	// Datacenter, Namespace and Partition are sent when they are not empty; else what answers has its own.
	Datacenter, Namespace, Partition string
	// Services are followed by name. Without any, all services are that have all of Tags.
	Services []string
	// Tags must all be on an instance.
	Tags []string
	// Filter is an expression of Consul's own that instances must match, as Service.Meta.version != "1".
	Filter string
	// OnlyPassing makes warning NotReady.
	OnlyPassing bool
	// Stale lets any server answer, which may be behind its leader by some time, and spares the leader the work.
	Stale bool
	// Wait is how long a question may hang: a minute if it is zero. Up to a quarter less is asked for, by chance.
	Wait time.Duration

	// TLS and Dial are for connections; nil is the usual.
	TLS  *tls.Config
	Dial httpget.Dial
	// Clock is for tests.
	Clock discovery.Clock
}

// Check says what is wrong with it.
func (c Config) Check() error {
	if u, err := httpget.CheckURL(c.Address); err != nil {
		return fmt.Errorf("address of Consul: %w, as https://consul.example.com:8501", err)
	} else if u.RawQuery != "" || u.ForceQuery {
		return errors.New("address of Consul: it must not have a part after ?")
	}
	if c.Wait != 0 && (c.Wait < minWait || c.Wait > maxWait) {
		return fmt.Errorf("wait: it must be from %s to %s", minWait, maxWait)
	}
	if !isPrintable(c.Token) {
		return errors.New("token of Consul: it holds spaces or characters that do not print")
	}
	if len(c.Services) == 0 && len(c.Tags) == 0 {
		return errors.New("services: name services to watch, or tags to watch all services that have them")
	}
	if len(c.Services) > MaxServices {
		return fmt.Errorf("services: %d are %w, which is %d: make several sources of them", len(c.Services), discovery.ErrTooMuch, MaxServices)
	}
	for i, name := range c.Services {
		if err := checkName(name); err != nil {
			return fmt.Errorf("services: %w", err)
		}
		if slices.Contains(c.Services[:i], name) {
			return fmt.Errorf("services: %q is there twice", name)
		}
	}
	if slices.Contains(c.Tags, "") {
		return errors.New("tags: one is empty")
	}
	return nil
}

// checkName refuses what is no name of a service, or would lead elsewhere in a path.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > 256 || !isPrintable(name) {
		return fmt.Errorf("%q is no name of a service", name)
	}
	return nil
}

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

func (c Config) wait() time.Duration {
	if c.Wait == 0 {
		return defaultWait
	}
	return c.Wait
}
