package e2e

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"weir/internal/server"
	"weir/internal/weirtest"
)

// sealingKey is the same for all control planes on one etcd; on a store of its own each makes one.
func (w *world) sealingKey() string {
	if w.etcd == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString([]byte("the key of the tests on clusters"))
}

// cluster is the etcd outside, nil for a store of the control plane's own.
func (w *world) cluster() *server.Cluster {
	if w.etcd == nil {
		return nil
	}
	return &server.Cluster{Endpoints: w.etcd.Endpoints(), TLS: w.etcd.TLS()}
}

// newCluster gives two control planes on an etcd of three members.
func newCluster(t *testing.T) (one, two *world) {
	t.Helper()
	one = &world{t: t, dir: weirtest.TempDir(t), prefix: weirtest.Prefix(t), host: 1, agents: map[string]*runningAgent{}, etcd: weirtest.StartEtcd(t, 3)}
	one.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	one.startServer()
	two = &world{t: t, dir: one.dir, prefix: one.prefix, host: 2, agents: one.agents, etcd: one.etcd, log: one.log, token: one.token}
	two.startServer()
	one.urls = []string{one.url, two.url}
	two.urls = one.urls
	return one, two
}

// Two control planes on an etcd of three: agents and people on either, both know all load balancers, and either
// may go, and members of etcd with it, while requests go on and nothing that was accepted is lost.
func TestTwoControlPlanes(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	one, two := newCluster(t)
	if one.caHash != two.caHash {
		t.Fatalf("two authorities: %s, %s", one.caHash, two.caHash)
	}
	one.origin(200, "web1")
	one.apply(one.oneZone())
	one.join("lb1", "edge", "az1", h, "")
	two.converged(1)
	at := one.at(17).String() + ":8080"
	one.serves(at, "www.example.com", "/")
	clients := one.send(at, "www.example.com")
	clients.more(50)

	all := func(what string, w *world) {
		t.Helper()
		w.converged(w.apply(fmt.Sprintf("kind: Zone\nmetadata: {name: %s}\n", what)))
		clients.more(20)
	}
	all("from-one", one)
	all("from-two", two)
	one.health("web", "web1", "up")
	two.health("web", "web1", "up")

	// The control plane that the agent talks to goes, whichever it is; the other one has the agent then.
	one.stopServer()
	all("one-is-away", two)
	one.startServer()
	one.converged(1)
	two.stopServer()
	all("two-is-away", one)
	two.startServer()
	two.converged(1)

	for i, m := range one.etcd.Members() {
		m.Kill()
		all(fmt.Sprint("without-member-", i), one)
		all(fmt.Sprint("without-member-", i, "-too"), two)
		m.Start()
		m.AwaitReady()
	}
	clients.end()
	if n := one.reloads(); n > 0 {
		t.Errorf("%d reloads", n)
	}
	zones := func(w *world) []string {
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if _, err := w.call("GET", "/api/v1/zones", "", &list); err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, z := range list.Items {
			names[z.Metadata.Name] = true
		}
		return slices.Sorted(maps.Keys(names))
	}
	if a, b := zones(one), zones(two); len(a) < 10 || !slices.Equal(a, b) {
		t.Errorf("zones\n%s\n%s", strings.Join(a, " "), strings.Join(b, " "))
	}
}
