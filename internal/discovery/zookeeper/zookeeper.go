// Package zookeeper watches instances that announce themselves in ZooKeeper: the children of one node, a part named as
// the node is, or with Services the children of each of its children, a part for each.
//
// Changes come by ZooKeeper's watches. Each is set by the very request that reads what it watches, so that nothing
// happens between the two unseen. A session holds nothing but watches: when its connection is lost, whatever the reason,
// a new one reads everything again and tells Whole.
//
// An instance is a child node with data, its ID the node's name. The data is JSON, as ServerSets have it
// ({"serviceEndpoint":{"host","port"},"additionalEndpoints":{…},"status":"ALIVE"}) or any other object, or host:port.
// A node without data that belongs to no session is a folder, and is passed over. Of a node whose data can't be read
// what it said before stands, and Failed says which; so one bad entry holds up no others.
//
// Fields: node (its name) and path, which no data can change; host and port; of a ServerSet also host.NAME and port.NAME
// for each of the additional endpoints, and status; and all else that the JSON holds, with dots for objects in objects.
// Lists are left out. A ServerSet says by its status whether it is ready; all others are.
package zookeeper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/discovery"
)

// Config says what is watched, and where.
type Config struct {
	// Servers are the members that may be asked, host:port or host (port 2181); one at a time is.
	Servers []string
	// Path is the node whose children are instances, or services with Services.
	Path string
	// Services says that there is a level of services between Path and the instances.
	Services bool
	// User and Password are for ZooKeeper's scheme «digest»; without a user nobody signs in.
	User, Password string
	// Session is how long silence of a server is borne, 10 s when 0. The server may bound it.
	Session time.Duration
	// TLS is for members that ask for it; nil speaks without.
	TLS *tls.Config
	// Dial makes connections; nil is net.Dialer's.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Clock is for the pauses between connections.
	Clock discovery.Clock
}

// The bounds of Session; ZooKeeper's own are 2 and 20 ticks of 2 s unless it is told others.
const (
	defaultSession = 10 * time.Second
	minSession     = time.Second
	maxSession     = 5 * time.Minute
)

// Check says what people have to correct.
func (c Config) Check() error {
	if len(c.Servers) == 0 {
		return errors.New("no servers: name the members of the ensemble, as zk1.example.com:2181")
	}
	for _, s := range c.Servers {
		if _, err := endpoint(s); err != nil {
			return err
		}
	}
	if err := checkPath(c.Path); err != nil {
		return err
	}
	if c.Path == "/" && !c.Services {
		return errors.New("path: the children of / are no instances; name the service's node, as /services/web")
	}
	if c.User == "" && c.Password != "" {
		return errors.New("password: there is none without a user")
	}
	if strings.Contains(c.User, ":") {
		return errors.New("user: a colon would end it; ZooKeeper's scheme digest has no such users")
	}
	if c.Session != 0 && (c.Session < minSession || c.Session > maxSession) {
		return fmt.Errorf("session: %s is not between %s and %s", c.Session, minSession, maxSession)
	}
	return nil
}

func checkPath(path string) error {
	if path == "/" {
		return nil
	}
	if !strings.HasPrefix(path, "/") || len(path) > 1000 || discovery.Clean(path) != path {
		return fmt.Errorf("path: %q is no node; write it as /services/web", discovery.Clip(path))
	}
	for _, step := range strings.Split(path[1:], "/") {
		if step == "" || step == "." || step == ".." {
			return fmt.Errorf("path: %q is no node; write it as /services/web, without a / at its end", discovery.Clip(path))
		}
	}
	return nil
}

// endpoint gives host:port of a member with or without a port.
func endpoint(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "2181"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("servers: %q has no port of 1 to 65535 behind its colon", discovery.Clip(s))
	}
	if _, err := netip.ParseAddr(host); err != nil && !isName(host) {
		return "", fmt.Errorf("servers: %q is no server; write zk1.example.com:2181, 192.0.2.1 or [2001:db8::1]:2181", discovery.Clip(s))
	}
	return net.JoinHostPort(host, port), nil
}

// isName says whether a text can be a host's name.
func isName(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
}

// Source is one namespace of one ensemble.
type Source struct {
	config  Config
	servers []string
}

// New makes a source, which does nothing before Watch.
func New(c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("discovery from zookeeper: %w", err)
	}
	s := &Source{config: c}
	for _, server := range c.Servers {
		addr, err := endpoint(server)
		if err != nil {
			return nil, fmt.Errorf("discovery from zookeeper: %w", err)
		}
		s.servers = append(s.servers, addr)
	}
	if s.config.Session == 0 {
		s.config.Session = defaultSession
	}
	if s.config.Dial == nil {
		s.config.Dial = new(net.Dialer).DialContext
	}
	return s, nil
}

// Watch implements discovery.Source.
func (s *Source) Watch(ctx context.Context, sink discovery.Sink) {
	v := &view{source: s, sink: sink, parts: map[string]*part{}}
	servers := slices.Clone(s.servers)
	// Many that watch must not all lean on the first.
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	for failures := 1; ; failures++ {
		told, err := v.follow(ctx, servers[0])
		if ctx.Err() != nil {
			return
		}
		sink.Failed(err)
		if told {
			failures = 1
		}
		// All have been asked: what was seen once may be a past that something older was restored over.
		if failures >= len(servers) && errors.Is(err, errTurnedAway) {
			v.zxid = 0
		}
		servers = append(servers[1:], servers[0])
		// All members are tried before the pauses grow.
		if !s.config.Clock.Pause(ctx, s.config.Clock.Backoff((failures+len(servers)-1)/len(servers))) {
			return
		}
	}
}
