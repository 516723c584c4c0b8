package zookeeper

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// writer changes nodes as servers that announce themselves do, by another client than the one that is tested.
func newWriter(t *testing.T, addr string) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect([]string{addr}, time.Minute, zk.WithLogger(quiet{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	limit := time.After(weirtest.Patience)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return conn
			}
		case <-limit:
			t.Fatal("no session with ZooKeeper")
		}
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

var open = zk.WorldACL(zk.PermAll)

func create(t *testing.T, conn *zk.Conn, flags int32, path, data string) {
	t.Helper()
	if _, err := conn.Create(path, []byte(data), flags, open); err != nil {
		t.Fatalf("create %s: %v", path, err)
	}
}

func set(t *testing.T, conn *zk.Conn, path, data string) {
	t.Helper()
	if _, err := conn.Set(path, []byte(data), -1); err != nil {
		t.Fatalf("set %s: %v", path, err)
	}
}

func remove(t *testing.T, conn *zk.Conn, path string) {
	t.Helper()
	if err := conn.Delete(path, -1); err != nil {
		t.Fatalf("delete %s: %v", path, err)
	}
}

// soon has no pauses worth the name.
var soon = discovery.Clock{After: func(time.Duration) <-chan time.Time { return time.After(10 * time.Millisecond) }}

// at makes a Config with short pauses.
func at(addr, path string) Config {
	return Config{Servers: []string{addr}, Path: path, Session: 10 * time.Second, Clock: soon}
}

const serverSet = `{"serviceEndpoint":{"host":"10.0.0.1","port":80},"additionalEndpoints":{"admin":{"host":"10.0.0.1","port":9990}},"status":"ALIVE","shard":3}`

// One level: the path is missing, comes, its nodes come, change and go, and it goes.
func TestChildrenOfOneNode(t *testing.T) {
	t.Parallel()
	z := weirtest.StartZooKeeper(t)
	w := newWriter(t, z.Addr)
	r, _ := watch(t, at(z.Addr, "/web"))
	r.next(func(s string) bool {
		return strings.HasPrefix(s, "failed watch /web of the zookeeper "+z.Addr+": there is no such node; create it")
	}, "a missing path")
	create(t, w, 0, "/web", "")
	r.want("part web []")
	r.want("whole [web]")
	create(t, w, zk.FlagEphemeral, "/web/a", serverSet)
	r.want("part web [a host=10.0.0.1 host.admin=10.0.0.1 port=80 port.admin=9990 shard=3 status=ALIVE]")
	set(t, w, "/web/a", strings.Replace(serverSet, "ALIVE", "STOPPING", 1))
	r.want("part web [a host=10.0.0.1 host.admin=10.0.0.1 port=80 port.admin=9990 shard=3 status=STOPPING (draining)]")
	set(t, w, "/web/a", `{"host":"10.0.0.1","port":"80","zone":{"name":"a","spare":false},"tags":["x"]}`)
	r.want("part web [a host=10.0.0.1 port=80 zone.name=a zone.spare=false]")
	create(t, w, 0, "/web/lock", "")
	other := newWriter(t, z.Addr)
	create(t, other, zk.FlagEphemeral, "/web/b", "[::1]:8080")
	r.want("part web [a host=10.0.0.1 port=80 zone.name=a zone.spare=false b host=::1 port=8080]")
	other.Close() // its session ends, and its node with it
	r.want("part web [a host=10.0.0.1 port=80 zone.name=a zone.spare=false]")
	r.want("alive")
	remove(t, w, "/web/a")
	r.want("part web []")
	remove(t, w, "/web/lock")
	remove(t, w, "/web")
	r.next(func(s string) bool { return strings.Contains(s, "there is no such node") }, "a path that went")
	create(t, w, 0, "/web", "")
	create(t, w, 0, "/web/c", "c.example.com:1")
	r.want("part web [c host=c.example.com port=1]")
}

// Two levels: services come and go, each a part.
func TestServices(t *testing.T) {
	t.Parallel()
	z := weirtest.StartZooKeeper(t)
	w := newWriter(t, z.Addr)
	for _, path := range []string{"/s", "/s/api", "/s/web"} {
		create(t, w, 0, path, "")
	}
	create(t, w, 0, "/s/web/1", "10.0.0.1:80")
	c := at(z.Addr, "/s")
	c.Services = true
	r, stop := watch(t, c)
	r.exactly("part api []", "part web [1 host=10.0.0.1 port=80]", "whole [api web]")
	create(t, w, 0, "/s/api/1", "10.0.0.2:80")
	r.exactly("part api [1 host=10.0.0.2 port=80]")
	create(t, w, 0, "/s/new", "")
	r.exactly("part new []", "whole [api new web]")
	remove(t, w, "/s/api/1")
	remove(t, w, "/s/api")
	r.want("whole [new web]")
	stop()
	r, _ = watch(t, c)
	r.exactly("part new []", "part web [1 host=10.0.0.1 port=80]", "whole [new web]")
}

// A node that can't be read holds up no others, what it said before stands, and it is told until it is mended.
func TestBadNodes(t *testing.T) {
	t.Parallel()
	z := weirtest.StartZooKeeper(t)
	w := newWriter(t, z.Addr)
	create(t, w, 0, "/web", "")
	create(t, w, 0, "/web/a", "10.0.0.1:80")
	create(t, w, 0, "/web/b", "nonsense")
	if _, err := w.Create("/web/c", []byte("10.0.0.3:80"), 0, zk.DigestACL(zk.PermAll, "reader", "secret-of-reader")); err != nil {
		t.Fatal(err)
	}
	r, stop := watch(t, at(z.Addr, "/web"))
	bad := func(text string) {
		t.Helper()
		r.next(func(s string) bool { return strings.HasPrefix(s, "failed") && strings.Contains(s, text) }, text)
	}
	r.want("part web [a host=10.0.0.1 port=80]")
	r.want("whole [web]")
	bad(`2 nodes can't be read, and what they said before stands: read /web/b: "nonsense" is neither host:port nor a JSON object: read /web/c: NOAUTH: the node's ACL does not let us read it`)
	set(t, w, "/web/a", `{"port": 0, "host": "10.0.0.9"}`)
	r.want("part web [a host=10.0.0.1 port=80]")
	bad(`3 nodes can't be read, and what they said before stands: read /web/a: port: "0" is not 1 to 65535`)
	set(t, w, "/web/a", "10.0.0.1:81")
	set(t, w, "/web/b", "10.0.0.2:81")
	r.want("part web [a host=10.0.0.1 port=81 b host=10.0.0.2 port=81]")
	bad("one node can't be read, and what it said before stands: read /web/c")
	stop()
	// Signed in as one who may.
	c := at(z.Addr, "/web")
	c.User, c.Password = "reader", "secret-of-reader"
	r, stop = watch(t, c)
	r.exactly("part web [a host=10.0.0.1 port=81 b host=10.0.0.2 port=81 c host=10.0.0.3 port=80]", "whole [web]")
	stop()
	c.Password = "another"
	r, stop = watch(t, c)
	bad("read /web/c: NOAUTH")
	stop()
	// What may not be listed.
	if _, err := w.Create("/closed", nil, 0, zk.DigestACL(zk.PermAll, "reader", "secret-of-reader")); err != nil {
		t.Fatal(err)
	}
	r, _ = watch(t, at(z.Addr, "/closed"))
	bad("look for the node: NOAUTH")
	for len(r.told) > 0 {
		if s := <-r.told; strings.Contains(s, "secret") {
			t.Errorf("a password is told: %s", s)
		}
	}
}

// cutter dials, and cuts all it has dialled; while it is shut nothing gets through.
type cutter struct {
	mu    sync.Mutex
	shut  bool
	conns []net.Conn
	calls int
}

func (c *cutter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if c.shut {
		return nil, errors.New("no way there")
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cutter) cut(shut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut = shut
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// Whatever changed while there was no session is seen by the next one, which tells Whole.
func TestSessionLost(t *testing.T) {
	t.Parallel()
	z := weirtest.StartZooKeeper(t)
	w := newWriter(t, z.Addr)
	for _, path := range []string{"/s", "/s/api", "/s/web"} {
		create(t, w, 0, path, "")
	}
	create(t, w, 0, "/s/web/1", "10.0.0.1:80")
	way := &cutter{}
	c := at(z.Addr, "/s")
	c.Services, c.Dial = true, way.dial
	r, _ := watch(t, c)
	r.want("whole [api web]")
	way.cut(true)
	r.next(func(s string) bool {
		return strings.HasPrefix(s, "failed watch /s of the zookeeper "+z.Addr+": connect: no way there")
	}, "a failure")
	remove(t, w, "/s/api")
	create(t, w, 0, "/s/web/2", "10.0.0.2:80")
	way.cut(false)
	for {
		s := r.next(func(s string) bool { return !strings.HasPrefix(s, "failed") }, "what is there now")
		if s == "alive" {
			continue
		}
		if s != "part web [1 host=10.0.0.1 port=80 2 host=10.0.0.2 port=80]" {
			t.Fatalf("told %q first", s)
		}
		break
	}
	r.want("whole [web]")
	// The server itself ends and comes back.
	z.Stop()
	r.next(func(s string) bool { return strings.Contains(s, "connect: ") }, "a server that is gone")
	z.Start()
	r.want("part web [1 host=10.0.0.1 port=80 2 host=10.0.0.2 port=80]")
	r.want("whole [web]")
}

// No change is missed, however quickly they come.
func TestNoGap(t *testing.T) {
	t.Parallel()
	z := weirtest.StartZooKeeper(t)
	w := newWriter(t, z.Addr)
	create(t, w, 0, "/web", "")
	r, _ := watch(t, at(z.Addr, "/web"))
	r.want("part web []")
	for range 200 {
		create(t, w, 0, "/web/a", "10.0.0.1:1")
		set(t, w, "/web/a", "10.0.0.1:2")
		remove(t, w, "/web/a")
	}
	create(t, w, 0, "/web/a", "10.0.0.1:3")
	set(t, w, "/web/a", "10.0.0.1:4")
	r.want("part web [a host=10.0.0.1 port=4]")
	remove(t, w, "/web/a")
	create(t, w, 0, "/web/last", "10.0.0.1:5")
	r.want("part web [last host=10.0.0.1 port=5]")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := Config{Servers: []string{"zk1", "192.0.2.1:2182", "[2001:db8::1]", "2001:db8::2"}, Path: "/web"}
	s, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.servers, " "); got != "zk1:2181 192.0.2.1:2182 [2001:db8::1]:2181 [2001:db8::2]:2181" {
		t.Errorf("servers: %s", got)
	}
	for want, edit := range map[string]func(*Config){
		"no servers":                func(c *Config) { c.Servers = nil },
		"no port of 1 to 65535":     func(c *Config) { c.Servers = []string{"zk1:0"} },
		"is no server":              func(c *Config) { c.Servers = []string{"zk1/chroot"} },
		"is no node":                func(c *Config) { c.Path = "web" },
		"without a / at its end":    func(c *Config) { c.Path = "/web/" },
		"the children of /":         func(c *Config) { c.Path = "/" },
		"none without a user":       func(c *Config) { c.Password = "canary" },
		"a colon would end it":      func(c *Config) { c.User, c.Password = "a:b", "canary" },
		"is not between 1s and 5m":  func(c *Config) { c.Session = time.Millisecond },
		"path: \"/a/../b\" is no n": func(c *Config) { c.Path = "/a/../b" },
	} {
		c := good
		edit(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
