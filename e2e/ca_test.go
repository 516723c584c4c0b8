package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// pin makes the world's own client believe these CAs, on connections of its own.
func (w *world) pin(hashes ...string) {
	w.t.Helper()
	config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: w.at(w.host).String(), CAHash: strings.Join(hashes, ","), Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.client != nil {
		w.client.CloseIdleConnections()
	}
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}, Timeout: waitLong}
}

func (w *world) ca() api.CAStatus {
	w.t.Helper()
	var s api.CAStatus
	if _, err := w.call("GET", "/api/v1/ca", "", &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// changeCA takes a step of a change of CA, again while somebody has not followed the one before.
func (w *world) changeCA(step api.CAStep) api.CAChange {
	w.t.Helper()
	var change api.CAChange
	weirtest.Eventually(w.t, waitLong, func() error {
		_, err := w.call("POST", "/api/v1/ca/rotate?step="+string(step), "", &change)
		return err
	})
	if !change.Changed {
		w.t.Fatalf("%s changed nothing: %+v", step, change)
	}
	return change
}

// follow waits until all load balancers and servers use the newest CA, or know it.
func (w *world) follow(what string, of, servers int) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		s := w.ca()
		good := func(f api.CAFollower) bool { return f.Knows && (f.Uses || what == "know") }
		n := s.Know
		if what == "use" {
			n = s.Use
		}
		if n != of || s.Of != of || len(s.Servers) != servers || !slices.ContainsFunc(s.Servers, good) || slices.ContainsFunc(s.Servers, func(f api.CAFollower) bool { return !good(f) }) {
			return fmt.Errorf("waiting until %d load balancers and %d servers %s it: %+v", of, servers, what, s)
		}
		return nil
	})
}

// The CA is changed under two load balancers with traffic on them: nobody notices.
func TestCAChangesUnderTraffic(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.apply(w.oneZone())
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	addr := w.at(17).String() + ":8080"
	w.serves(addr, "www.example.com", "/")
	clients := w.send(addr, "www.example.com")
	clients.more(50)
	old := w.caHash

	begun := w.changeCA(api.CABegin)
	w.follow("know", 1, 1)
	w.pin(old, begun.Newest)
	clients.more(50)
	w.changeCA(api.CAContinue)
	w.follow("use", 1, 1)
	w.converged(w.apply("kind: Zone\nmetadata: {name: while-issuing}\n"))
	clients.more(50)
	w.changeCA(api.CAFinish)
	w.pin(begun.Newest)
	w.converged(w.apply("kind: Zone\nmetadata: {name: finished}\n"))
	w.follow("use", 1, 1)

	clients.flawless()
	if n := w.reloads(); n > 0 {
		t.Errorf("%d reloads", n)
	}
	// All goes on after everybody has begun anew, from what they have on disk.
	w.agents["lb1"].stop()
	w.stopServer()
	w.caHash = begun.Newest
	w.startServer()
	if w.caHash != begun.Newest {
		t.Errorf("started anew the CA is %s", w.caHash)
	}
	w.startAgent(w.agents["lb1"])
	w.converged(w.apply("kind: Zone\nmetadata: {name: again}\n"))
	w.follow("use", 1, 1)
}

// Two control planes of one store both take over each step, whichever was asked for it; one that was away takes over
// what it missed.
func TestCAOfTwoControlPlanes(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	one, two := newCluster(t)
	one.origin(200, "web1")
	one.apply(one.oneZone())
	one.join("lb1", "edge", "az1", h, "")
	one.converged(1)
	old := one.caHash
	begun := one.changeCA(api.CABegin)
	two.follow("know", 1, 2)
	for _, w := range []*world{one, two} {
		w.pin(old, begun.Newest)
	}
	two.changeCA(api.CAContinue)
	one.follow("use", 1, 2)
	for _, w := range []*world{one, two} {
		w.pin(begun.Newest)
		if s := w.ca(); s.Authorities[0].CA != begun.Newest || len(s.Authorities) != 2 {
			t.Errorf("%s says %+v", w.url, s)
		}
	}
	two.stopServer()
	one.follow("use", 1, 1)
	one.changeCA(api.CAFinish)
	two.caHash = begun.Newest
	two.startServer()
	two.follow("use", 1, 2)
	two.converged(two.apply("kind: Zone\nmetadata: {name: from-two}\n"))
	one.converged(one.apply("kind: Zone\nmetadata: {name: from-one}\n"))
}
