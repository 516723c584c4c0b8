package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/server"
	"weir/internal/weirtest"
)

// serverOptions, when set, makes the test binary a control plane until it is killed.
const serverOptions = "WEIR_E2E_SERVER"

func TestMain(m *testing.M) {
	if text := os.Getenv(agentOptions); text != "" {
		var err error
		if n, _ := strconv.Atoi(os.Getenv(faultAt)); n > 0 {
			err = beTracer(text, n)
		} else {
			err = beAgent(text)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "ended:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if file := os.Getenv(serviceFile); file != "" {
		if err := beRegistrant(file); err != nil {
			fmt.Fprintln(os.Stderr, "ended:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	text := os.Getenv(serverOptions)
	if text == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, "ended:", beServer(text))
	os.Exit(1)
}

// serverProcess is what serverOptions holds.
type serverProcess struct {
	server.Options
	EtcdFiles weirtest.EtcdFiles // with a Cluster
}

// beServer runs a control plane until it ends.
func beServer(text string) (err error) {
	var o serverProcess
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	if o.Cluster != nil {
		if o.Cluster.TLS, err = o.EtcdFiles.Load(); err != nil {
			return err
		}
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	o.Ready = func(l server.Listening) { fmt.Println("ready", l.URL, l.CAHash) }
	return server.Run(context.Background(), o.Options)
}

// The sealing keys of servers that share a store, and of one that doesn't.
var (
	growKey  = base64.StdEncoding.EncodeToString([]byte("the key of the tests on clusters"))
	otherKey = base64.StdEncoding.EncodeToString([]byte("a key of another that is no help"))
)

// growing is one server of several, in a process of its own: of three that have the store themselves, or of those on an
// etcd outside.
type growing struct {
	*world
	process *weirtest.Process
	grow    server.Grow
}

func newGrowing(first *growing, t *testing.T, host int) *growing {
	g := &growing{world: &world{t: t, host: host}}
	if first == nil {
		g.dir, g.prefix, g.agents = weirtest.TempDir(t), weirtest.Prefix(t), map[string]*runningAgent{}
		g.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	} else {
		g.dir, g.prefix, g.agents, g.log, g.token, g.etcd = first.dir, first.prefix, first.agents, first.log, first.token, first.etcd
	}
	g.url = "https://" + g.at(host).String() + ":7443"
	return g
}

func (g *growing) peer() string { return "https://" + g.at(g.host).String() + ":2380" }

func (g *growing) start() {
	g.t.Helper()
	options := map[string]any{
		"Dir": g.serverDir(), "Listen": g.at(g.host).String() + ":7443", "Version": "test", "Grow": g.grow,
		"SealingKey": growKey, "RegistrationLease": g.lease, "DiscoveryFiles": g.lists,
	}
	if g.etcd != nil {
		options["Cluster"], options["EtcdFiles"] = map[string]any{"Endpoints": g.etcd.Endpoints()}, g.etcd.EtcdFiles
	}
	text, err := json.Marshal(options)
	if err != nil {
		g.t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		g.t.Fatal(err)
	}
	g.process = weirtest.CommandFunc(g.t, func(c *exec.Cmd) { c.Env = append(os.Environ(), serverOptions+"="+string(text)) }, binary)
	weirtest.Eventually(g.t, waitLong, func() error {
		if !strings.Contains(g.process.Output(), "ready https") {
			return fmt.Errorf("not ready: %s", g.process.Output())
		}
		return nil
	})
	bundle, err := os.ReadFile(filepath.Join(g.serverDir(), "ca.crt"))
	if err != nil {
		g.t.Fatal(err)
	}
	trust, err := secrets.ParseTrust(bundle)
	if err != nil {
		g.t.Fatal(err)
	}
	g.pin(trust.Hashes()...)
	if text, err := os.ReadFile(filepath.Join(g.serverDir(), "admin.token")); err == nil {
		g.token = strings.TrimSpace(string(text))
	}
}

// join starts it as a further server of the store that by has.
func (g *growing) joins(by *growing) {
	g.t.Helper()
	var made struct{ Token string }
	weirtest.Eventually(g.t, waitLong, func() error {
		_, err := by.call("POST", "/api/v1/tokens", fmt.Sprintf(`{"kind":"Token","metadata":{"name":"server-%d-%d"},"spec":{"subject":"server","server":{"host":%q}}}`, g.host, time.Now().UnixNano(), g.at(g.host)), &made)
		return err
	})
	g.grow = server.Grow{Peer: g.peer(), Join: by.url, Token: made.Token}
	g.start()
}

// healthy waits until the store has these members, all there and with a vote.
func (g *growing) healthy(n int) {
	g.t.Helper()
	weirtest.Eventually(g.t, waitLong, func() error {
		var s api.StoreStatus
		if _, err := g.call("GET", "/api/v1/store", "", &s); err != nil {
			return err
		}
		if len(s.Members) != n || len(s.Servers) != n || slices.ContainsFunc(s.Members, func(m api.MemberStatus) bool { return !m.Healthy || m.Learner }) {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// send makes one change, on a connection of its own.
func (g *growing) send(zone string) bool {
	bundle, err := os.ReadFile(filepath.Join(g.serverDir(), "ca.crt"))
	if err != nil {
		return false
	}
	trust, err := secrets.ParseTrust(bundle)
	if err != nil {
		return false
	}
	config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: g.at(g.host).String(), Trust: trust, Now: time.Now})
	if err != nil {
		return false
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "PUT", g.url+"/api/v1/zones/"+zone, strings.NewReader(`{"kind":"Zone","metadata":{"name":"`+zone+`"}}`))
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+g.token)
	req.Header.Set("Content-Type", "application/json")
	answer, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode < 300
}

// holds waits until a server has everything that was acknowledged.
func (w *world) holds(names []string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if _, err := w.call("GET", "/api/v1/zones", "", &list); err != nil {
			return err
		}
		there := map[string]bool{}
		for _, z := range list.Items {
			there[z.Metadata.Name] = true
		}
		for _, n := range names {
			if !there[n] {
				return fmt.Errorf("%s was acknowledged and is lost on %s", n, w.url)
			}
		}
		return nil
	})
}

// A control plane with its store inside grows to three machines while changes are made and requests served. Each
// server is killed in turn, one is removed and replaced, the CA is changed: no request fails, nothing is reloaded,
// and nothing that was acknowledged is lost.
func TestControlPlaneGrows(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	one := newGrowing(nil, t, 1)
	one.start()
	two, three := newGrowing(one, t, 2), newGrowing(one, t, 3)
	all := []*growing{one, two, three}
	for _, g := range all {
		g.urls = []string{one.url, two.url, three.url}
	}
	one.origin(200, "web1")
	one.apply(one.oneZone())
	one.join("lb1", "edge", "az1", h, "")
	one.converged(1)
	addr := one.at(17).String() + ":8080"
	one.serves(addr, "www.example.com", "/")
	clients := one.world.send(addr, "www.example.com")
	changes := write(all...)
	changes.more(t, 10)

	one.process.Kill()
	one.grow.Peer = one.peer()
	one.start()
	changes.more(t, 10)
	two.joins(one)
	one.healthy(2)
	changes.more(t, 10)
	three.joins(two)
	one.healthy(3)
	changes.more(t, 10)
	clients.more(50)

	for i, g := range all {
		g.process.Kill()
		changes.more(t, 10)
		g.start()
		all[(i+1)%3].healthy(3)
	}
	clients.more(50)

	// The second machine is gone for good, and another takes its place.
	two.process.Kill()
	if _, err := three.call("DELETE", "/api/v1/store/members/"+two.at(2).String()+"?reason=test", "", nil); err != nil {
		t.Fatal(err)
	}
	changes.more(t, 10)
	if err := os.RemoveAll(two.serverDir()); err != nil {
		t.Fatal(err)
	}
	two.joins(three)
	three.healthy(3)

	// The CA is changed; the members know each other by another one.
	old := one.ca().Newest
	begun := two.changeCA(api.CABegin)
	for _, g := range all {
		g.pin(old, begun.Newest)
	}
	one.follow("know", 1, 3)
	three.changeCA(api.CAContinue)
	one.follow("use", 1, 3)
	one.changeCA(api.CAFinish)
	three.process.Kill()
	three.start()
	three.healthy(3)
	changes.more(t, 10)

	changes.end()
	clients.flawless()
	for _, g := range all {
		g.holds(changes.acked)
	}
	if n := one.reloads(); n > 0 {
		t.Errorf("%d reloads", n)
	}
	t.Logf("%d changes acknowledged", len(changes.acked))
}

// What can't join is told why, and its token is spent only by joining.
func TestServersThatCannotJoin(t *testing.T) {
	t.Parallel()
	one := newGrowing(nil, t, 1)
	one.start()
	two := newGrowing(one, t, 2)
	var made struct{ Token string }
	if _, err := one.call("POST", "/api/v1/tokens", `{"kind":"Token","metadata":{"name":"server"},"spec":{"subject":"server","server":{}}}`, &made); err != nil {
		t.Fatal(err)
	}
	refused := func(o server.Options, want string) {
		t.Helper()
		o.Dir, o.Listen = filepath.Join(weirtest.TempDir(t), "data"), two.at(2).String()+":7443"
		if o.SealingKey == "" {
			o.SealingKey = growKey
		}
		if err := server.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	grow := server.Grow{Peer: two.peer(), Join: one.url, Token: made.Token}
	refused(server.Options{Grow: grow}, "start the server again with --store-peer")
	one.process.Kill()
	one.grow.Peer = one.peer()
	one.start()
	refused(server.Options{Grow: grow, SealingKey: otherKey}, "another sealing key")
	refused(server.Options{Grow: server.Grow{Peer: "http://127.0.0.1:2380", Join: one.url, Token: made.Token}}, "must be https, a host and a port")
	refused(server.Options{Grow: server.Grow{Peer: two.peer(), Join: one.url, Token: "nonsense"}}, "not a token")
	refused(server.Options{Grow: server.Grow{Peer: one.peer(), Join: one.url, Token: made.Token}}, "is taken by")
	refused(server.Options{Grow: grow}, "it may have been used already: make a new one with weir token server")
	// A token for an agent is none for a server, nor the other way about.
	if _, err := one.call("POST", "/api/v1/tokens", `{"kind":"Token","metadata":{"name":"both"},"spec":{"subject":"server","server":{},"join":{"group":"edge","zone":"az1"}}}`, nil); err == nil {
		t.Error("a token for both is made")
	}
}

// Who has lost the majority is told which members there are, and that only the one asked is surely there.
func TestMembersAreListedWithoutMajority(t *testing.T) {
	t.Parallel()
	one := newGrowing(nil, t, 1)
	one.grow.Peer = one.peer()
	one.start()
	two := newGrowing(one, t, 2)
	two.joins(one)
	one.healthy(2)
	two.process.Kill()
	weirtest.Eventually(t, waitLong, func() error {
		var s api.StoreStatus
		if _, err := one.call("GET", "/api/v1/store", "", &s); err != nil {
			return err
		}
		away := slices.IndexFunc(s.Members, func(m api.MemberStatus) bool { return !m.Healthy })
		if len(s.Members) != 2 || len(s.Servers) != 0 || away < 0 || s.Members[away].URL != two.peer() {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}
