// Package e2e holds tests of the whole: a real control plane, real agents and real HAProxies, seen from outside
// through the API and through requests.
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/agent"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/server"
	"weir/internal/weirtest"
)

// world is a control plane with agents, on addresses of the test's own.
type world struct {
	t         *testing.T
	dir       string
	memory    string       // a folder in memory, for ticket keys
	prefix    netip.Prefix // a /24: .1 is the control plane, .16/28 … the load balancers, .200… the origins
	host      int          // of the control plane
	etcd      *weirtest.Etcd
	urls      []string // of all control planes, when there are several
	url       string
	caHash    string
	token     string
	client    *http.Client
	log       *slog.Logger
	backups   *server.Backups
	clock     func() time.Time
	lists     string        // the folder of discovery's files, "" for none
	version   string        // of what is started from now on, "test" when empty
	lease     time.Duration // of servers that register themselves
	people    *server.People
	resolvers []string      // of partners' hosts; the machine's when nil
	outside   bool          // discovery and sign-in may ask no places of the inside
	look      time.Duration // how often agents look for what others changed

	stopServer func()
	agents     map[string]*runningAgent
}

type runningAgent struct {
	name, dir string
	haproxy   weirtest.HAProxy
	edit      func(*agent.Options)
	stop      func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: weirtest.TempDir(t), memory: weirtest.MemoryDir(t), prefix: weirtest.Prefix(t), host: 1, lists: weirtest.TempDir(t), agents: map[string]*runningAgent{}}
	w.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.startServer()
	return w
}

// at gives an address of the test's own.
func (w *world) at(host int) netip.Addr {
	a := w.prefix.Addr().As4()
	a[3] = byte(host)
	return netip.AddrFrom4(a)
}

// startServer runs the control plane; after stopServer it comes back at the same address with the same data.
func (w *world) startServer() {
	w.t.Helper()
	listen := w.at(w.host).String() + ":7443"
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan server.Listening, 1), make(chan error, 1)
	destinations := []string{"127.0.0.0/8"}
	if w.outside {
		destinations = nil
	}
	go func() {
		ended <- server.Run(ctx, server.Options{
			DiscoveryDestinations: destinations, DiscoveryFiles: w.lists, Resolvers: w.resolvers, People: w.people,
			Dir: w.serverDir(), Cluster: w.cluster(), SealingKey: w.sealingKey(),
			Listen: listen, MetricsListen: w.at(w.host).String() + ":7444",
			RegistrationLease: w.lease, Backups: w.backups, Clock: w.clock, Version: cmp.Or(w.version, "test"), Log: w.log, Ready: func(l server.Listening) { ready <- l },
		})
	}()
	stopped := false
	w.stopServer = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("control plane: %v", err)
		}
	}
	w.t.Cleanup(func() { w.stopServer() })
	select {
	case l := <-ready:
		w.url, w.caHash = l.URL, l.CAHash
		text, err := os.ReadFile(l.TokenFile)
		if err != nil && w.token == "" {
			w.t.Fatal(err)
		}
		if err == nil {
			w.token = strings.TrimSpace(string(text))
		}
	case err := <-ended:
		w.t.Fatalf("start control plane: %v", err)
	case <-time.After(waitLong):
		w.t.Fatal("the control plane is not ready")
	}
	config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: w.at(w.host).String(), CAHash: w.caHash, Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}, Timeout: waitLong}
}

// call sends one request to the API and reads the JSON answer into out, if there is one.
func (w *world) call(method, path, body string, out any) (int, error) {
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	request.Header.Set("Content-Type", "application/yaml")
	if strings.HasPrefix(body, "{") {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := w.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return answer.StatusCode, err
	}
	if answer.StatusCode >= 300 {
		return answer.StatusCode, fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, raw)
	}
	if out == nil {
		return answer.StatusCode, nil
	}
	return answer.StatusCode, json.NewDecoder(bytes.NewReader(raw)).Decode(out)
}

// apply sends manifests and fails the test when they are refused. It gives the revision.
func (w *world) apply(manifests string) int64 {
	w.t.Helper()
	var answer struct{ Revision int64 }
	if _, err := w.call("POST", "/api/v1/apply?reason=test", manifests, &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Revision
}

// join makes a load balancer and runs its agent.
func (w *world) join(name, group, zone string, h weirtest.HAProxy, local string) *runningAgent {
	w.t.Helper()
	a := &runningAgent{name: name, dir: filepath.Join(w.dir, name), haproxy: h}
	w.joinAs(a, group, zone, local)
	return a
}

// joinAs is join for an agent that is run in a way of its own.
func (w *world) joinAs(a *runningAgent, group, zone, local string) {
	w.t.Helper()
	w.enrol(a, group, zone, local)
	w.startAgent(a)
}

// enrol gives an agent that does not run an identity.
func (w *world) enrol(a *runningAgent, group, zone, local string) {
	w.t.Helper()
	name := a.name
	body := fmt.Sprintf(`{"kind":"Token","metadata":{"name":"join-%s"},"spec":{"subject":"agent","join":{"group":%q,"zone":%q,"loadBalancer":%q%s}}}`, name, group, zone, name, local)
	var made struct{ Token string }
	if _, err := w.call("POST", "/api/v1/tokens", body, &made); err != nil {
		w.t.Fatal(err)
	}
	got, err := agent.Join(w.t.Context(), w.agentOptions(a), link.Join{Token: made.Token, Name: name, Agent: "test", HAProxy: a.haproxy.Full})
	if err != nil || got != name {
		w.t.Fatalf("join as %s: %q %v", name, got, err)
	}
	w.agents[name] = a
}

func (w *world) agentOptions(a *runningAgent) agent.Options {
	urls := w.urls
	if urls == nil {
		urls = []string{w.url}
	}
	o := agent.Options{Dir: a.dir, HAProxy: a.haproxy.Path, URLs: urls, Version: cmp.Or(w.version, "test"), Log: w.log, LookEvery: w.look, TicketDir: filepath.Join(w.memory, a.name), StopWithAgent: true}
	if a.edit != nil {
		a.edit(&o)
	}
	return o
}

func (w *world) startAgent(a *runningAgent) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	run, err := agent.Open(ctx, w.agentOptions(a))
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Run(ctx) }()
	stopped := false
	a.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("agent %s: %v", a.name, err)
		}
	}
	w.t.Cleanup(a.stop)
}

// fleet is the part of the API's status that tests look at.
type fleet struct {
	Revision int64
	Groups   []struct {
		Name          string
		Ready, Of     int
		Laggards      []string
		LoadBalancers []struct {
			Name, Run, Message string
			Ready              bool
			Quarantined        int
			Reloads            struct {
				Count   int
				Reasons []struct{ Text string }
			}
			Ended struct {
				Count int
				Last  time.Time
				Why   string
			}
			Warnings []struct{ Reason, Message string }
		}
	}
}

func (w *world) status() fleet {
	w.t.Helper()
	var f fleet
	if _, err := w.call("GET", "/api/v1/status", "", &f); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// converged waits until all load balancers were read back to have a revision.
func (w *world) converged(revision int64) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		f := w.status()
		if f.Revision < revision {
			return fmt.Errorf("revision %d is compiled, waiting for %d", f.Revision, revision)
		}
		for _, g := range f.Groups {
			if g.Ready != g.Of {
				return fmt.Errorf("group %s: %d of %d: %+v", g.Name, g.Ready, g.Of, g.LoadBalancers)
			}
		}
		return nil
	})
}

func (w *world) reloads() int {
	w.t.Helper()
	n := 0
	for _, g := range w.status().Groups {
		for _, lb := range g.LoadBalancers {
			n += lb.Reloads.Count
		}
	}
	return n
}

// get asks a load balancer's address for a path of a host, over a connection of its own.
func (w *world) get(addr, host, path string) (status int, origin string, err error) {
	request, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+addr+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}, Timeout: 20 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, answer.Header.Get("X-Origin"), nil
}

// serves waits for a 200 and gives the origin's name.
func (w *world) serves(addr, host, path string) string {
	w.t.Helper()
	var from string
	weirtest.Eventually(w.t, waitLong, func() error {
		status, origin, err := w.get(addr, host, path)
		if err != nil || status != 200 {
			return fmt.Errorf("%s%s at %s: %d %v", host, path, addr, status, err)
		}
		from = origin
		return nil
	})
	return from
}

// waitLong bounds what ought to take a second at most.
const waitLong = weirtest.Patience
