package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"weir"
	"weir/internal/weirtest"
)

// sourced is oneZone with no servers but those that a DiscoverySource finds, which is of the spec given.
func (w *world) sourced(name, spec string) string {
	before, after, _ := strings.Cut(w.oneZone(), "---\nkind: Server\n")
	_, after, _ = strings.Cut(after, "---\n")
	return before + "---\n" + after + "---\nkind: DiscoverySource\nmetadata: {name: " + name + "}\nspec: {role: web, " + spec + "}\n"
}

// patient is an origin that answers requests for /slow when it is told to, all others at once.
type patient struct {
	name    string
	running chan struct{} // has one for each request that is held
	finish  chan struct{}
}

func newPatient(t *testing.T, addr, name string) *patient {
	t.Helper()
	p := &patient{name: name, running: make(chan struct{}, 100), finish: make(chan struct{})}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: p}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return p
}

// ServeHTTP answers one request.
func (p *patient) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	if in.URL.Path == "/slow" {
		p.running <- struct{}{}
		select {
		case <-p.finish:
		case <-in.Context().Done():
			return
		}
	}
	out.Header().Set("X-Origin", p.name)
}

// holdsOne sends requests for /slow until the origin has one; wait ends them and wants all of them answered.
func (w *world) holdsOne(p *patient, addr string) (wait func()) {
	w.t.Helper()
	var all sync.WaitGroup
	for running := false; !running; {
		ended := make(chan struct{})
		all.Go(func() {
			defer close(ended)
			if status, _, err := w.get(addr, "www.example.com", "/slow"); err != nil || status != 200 {
				w.t.Errorf("a request that ran when its server went: %d %v", status, err)
			}
		})
		select {
		case <-p.running:
			running = true
		case <-ended: // of another server
		}
	}
	return func() { close(p.finish); all.Wait() }
}

// gone waits until there is no Server of a name any more.
func (w *world) gone(name string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		if status, err := w.call("GET", "/api/v1/servers/"+name, "", nil); status != 404 {
			return fmt.Errorf("server %s is there: %d %v", name, status, err)
		}
		return nil
	})
}

// announcer is a process that has its server announced in ZooKeeper, for as long as its session lasts.
type announcer struct {
	conn *zk.Conn

	mu    sync.Mutex
	dead  bool
	waits bool // as long as the server is not up
	nets  []net.Conn
}

func (w *world) announce(at string, n int) *announcer {
	w.t.Helper()
	a := &announcer{}
	conn, events, err := zk.Connect([]string{at}, 10*time.Second, zk.WithLogInfo(false), zk.WithDialer(a.dial))
	if err != nil {
		w.t.Fatal(err)
	}
	a.conn = conn
	w.t.Cleanup(conn.Close)
	limit := time.After(waitLong)
	for state := zk.StateUnknown; state != zk.StateHasSession; {
		select {
		case e := <-events:
			state = e.State
		case <-limit:
			w.t.Fatal("no session with ZooKeeper")
		}
	}
	if _, err := conn.Create("/web", nil, 0, zk.WorldACL(zk.PermAll)); err != nil && err != zk.ErrNodeExists {
		w.t.Fatal(err)
	}
	data := fmt.Sprintf(`{"serviceEndpoint":{"host":%q,"port":9000},"status":"ALIVE","shard":%d}`, w.at(200+n), n)
	if _, err := conn.Create(fmt.Sprintf("/web/member_%d", n), []byte(data), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (a *announcer) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dead || a.waits {
		return nil, net.ErrClosed
	}
	conn, err := net.DialTimeout(network, address, timeout)
	if err == nil {
		a.nets = append(a.nets, conn)
	}
	return conn, err
}

// await keeps it from dialling, or no more. A server that is not quite up takes connections and never answers them, and
// sessions run out meanwhile.
func (a *announcer) await(waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waits = waits
}

// die ends it without a word, as a machine that loses its power.
func (a *announcer) die() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dead = true
	for _, conn := range a.nets {
		conn.Close()
	}
}

// TestDiscoveryFromZooKeeper: servers come with their nodes in a real ZooKeeper, are drained when these go, and leave when
// their sessions run out; ZooKeeper's death and return, in which the source loses its session, take nobody's traffic.
func TestDiscoveryFromZooKeeper(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	z, w := weirtest.StartZooKeeper(t), newWorld(t)
	addr := w.at(17).String() + ":8080"
	w.origin(200, "web-0")
	second := w.origin(201, "web-1")
	slow := newPatient(t, w.at(202).String()+":9000", "web-2")
	w.origin(203, "web-3")
	zero, one, two := w.announce(z.Addr, 0), w.announce(z.Addr, 1), w.announce(z.Addr, 2)
	w.apply(w.sourced("zk", fmt.Sprintf(`zookeeper: {servers: [%q], path: /web, session: 4s}, server: {name: "web-${shard}", zone: az1, ports: {http: "${port}"}}`, z.Addr)))
	w.join("lb1", "edge", "az1", h, "")
	w.servedBy(addr, "web-0", "web-1", "web-2")
	clients, reloads := w.send(addr, "www.example.com"), w.reloads()

	finish := w.holdsOne(slow, addr)
	two.conn.Close()
	w.gone("web-2")
	w.servedBy(addr, "web-0", "web-1")
	finish()
	three := w.announce(z.Addr, 3)
	w.servedBy(addr, "web-0", "web-1", "web-3")

	for _, a := range []*announcer{zero, one, three} {
		a.await(true)
	}
	z.Stop()
	w.source("zk", func(s *weir.SourceStatus) bool { return s.Error != "" })
	w.servedBy(addr, "web-0", "web-1", "web-3")
	z.Start()
	for _, a := range []*announcer{zero, one, three} {
		a.await(false)
	}
	if s := w.source("zk", func(s *weir.SourceStatus) bool { return s.Error == "" }); s.Doubt != nil || s.Healthy != 3 {
		t.Errorf("the source is back, and says %+v", s)
	}
	w.servedBy(addr, "web-0", "web-1", "web-3")

	one.die()
	second.Stop()
	w.gone("web-1")
	w.servedBy(addr, "web-0", "web-3")
	clients.more(20)
	clients.flawless()
	if n := w.reloads(); n != reloads {
		t.Errorf("%d reloads", n-reloads)
	}
}

// TestDiscoveryFromKubernetes: pods take traffic when they are ready, finish what they have when they end, and while the
// API server can't be asked all goes on; what it has forgotten meanwhile is so afterwards.
func TestDiscoveryFromKubernetes(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	k := weirtest.NewKubernetes()
	k.Token = "a-token-of-a-service-account"
	server, authority := k.Serve(t)
	w := newWorld(t)
	addr := w.at(17).String() + ":8080"
	pod := func(n int, mode string) weirtest.Endpoint {
		return weirtest.Pod(fmt.Sprint("web-", n), w.at(200+n).String(), "az1", mode)
	}
	slice := func(pods ...weirtest.Endpoint) *weirtest.EndpointSlice {
		return weirtest.Slice("web-a", "web", 9000, pods...)
	}
	w.origin(200, "web-0")
	second := w.origin(201, "web-1")
	slow := newPatient(t, w.at(202).String()+":9000", "web-2")
	w.origin(203, "web-3")
	w.origin(204, "web-4")
	k.Put(slice(pod(0, ""), pod(1, ""), pod(2, ""), pod(3, "unready")))
	w.apply(keyPair{chain: authority}.manifest("kube") + "---\nkind: Secret\nmetadata: {name: kube}\nspec: {data: a-token-of-a-service-account}\n---" +
		w.sourced("kube", fmt.Sprintf(`kubernetes: {server: %q, token: kube, authority: kube, namespace: shop, service: web}, server: {ports: {http: "${port.http}"}}`, server.URL)))
	w.join("lb1", "edge", "az1", h, "")
	w.servedBy(addr, "web-0", "web-1", "web-2")
	clients, reloads := w.send(addr, "www.example.com"), w.reloads()

	finish := w.holdsOne(slow, addr)
	k.Put(slice(pod(0, ""), pod(1, ""), pod(2, "terminating"), pod(3, "")))
	w.servedBy(addr, "web-0", "web-1", "web-3")
	k.Put(slice(pod(0, ""), pod(1, ""), pod(3, "")))
	w.gone("web-2")
	finish()

	k.Set(func(k *weirtest.Kubernetes) { k.Verbs = nil })
	server.CloseClientConnections()
	w.says("discoverysources/kube", "Watched", "False", "cannot list resource")
	k.Put(slice(pod(0, ""), pod(3, ""), pod(4, "")))
	k.Compact()
	second.Stop()
	w.servedBy(addr, "web-0", "web-3")
	k.Set(func(k *weirtest.Kubernetes) { k.Verbs = map[string]bool{"list": true, "watch": true} })
	w.servedBy(addr, "web-0", "web-3", "web-4")
	w.gone("web-1")
	w.says("discoverysources/kube", "Watched", "True")
	clients.more(20)
	clients.flawless()
	if n := w.reloads(); n != reloads {
		t.Errorf("%d reloads", n-reloads)
	}
}
