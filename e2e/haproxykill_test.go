package e2e

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/weirtest"
)

// master is the process that a load balancer's workers are children of.
func (w *world) master(a *runningAgent) int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), waitLong)
	defer cancel()
	p, err := hapctl.Attach(ctx, hapctl.Options{Path: a.haproxy.Path, Dir: a.folder()})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Pid()
}

// followed waits until a load balancer has another worker than one that is dying, which may go on for a moment.
func (w *world) followed(a *runningAgent, worker int) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		info, err := w.socket(a).Info(w.t.Context())
		if err != nil || info.Pid == worker {
			return fmt.Errorf("the killed worker %d is followed by %d: %v", worker, info.Pid, err)
		}
		return nil
	})
}

// TestHAProxyIsKilled: its worker, its master, and both. It is started again from its files with all that it had,
// requests fail only while it was dead, and status says that it was.
func TestHAProxyIsKilled(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "web2")
		w.apply(w.twoServers())
		a := w.join("lb1", "edge", "az1", h, "")
		// Brought at run time, and weighted by an override: all of it has to come back.
		w.converged(w.apply(w.oneZone() + poolSite("late", fmt.Sprintf("members: [{name: m, address: %s, port: 9000}], healthCheck: {type: none}", w.at(200))) +
			"---\n" + override("weight: 7", time.Now().Add(time.Hour))))
		w.health("web", "web1", "up")
		w.health("web", "web2", "up")
		at := w.at(17).String() + ":8080"
		had := w.all(a)
		clients := w.send(at, "www.example.com")
		for times, who := range []string{"worker", "master", "both"} {
			clients.more(50)
			worker, master := w.worker(a), w.master(a)
			dead := time.Now()
			for _, pid := range map[string][]int{"worker": {worker}, "master": {master}, "both": {master, worker}}[who] {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			w.followed(a, worker)
			w.serves(at, "www.example.com", "/")
			back := time.Now()
			clients.more(50)
			clients.failsOnly(dead, back)
			w.converged(1)
			weirtest.Eventually(t, waitLong, func() error {
				if now := w.all(a); now != had {
					return fmt.Errorf("%s was killed: HAProxy has\n%s\nand had\n%s", who, now, had)
				}
				return nil
			})
			w.serves(at, "late.example.com", "/")
			weirtest.Eventually(t, waitLong, func() error {
				if ended := w.status().Groups[0].LoadBalancers[0].Ended; ended.Count != times+1 || ended.Last.Before(dead) {
					return fmt.Errorf("%s was killed, and status says %+v", who, ended)
				}
				return nil
			})
		}
		clients.flawless()
	})
}

// TestTwentyReloads: while clients keep their connections, no request fails; of the older HAProxy five of them.
func TestTwentyReloads(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "web2")
		w.apply(w.twoServers())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		w.health("web", "web1", "up")
		at := w.at(17).String() + ":8080"
		clients := w.send(at, "www.example.com")
		clients.more(100)
		before := w.reloads()
		reloads := 20
		if h != weirtest.HAProxies(t)[0] && os.Getenv("WEIR_SOAK") == "" {
			reloads = 5
		}
		for i := range reloads {
			w.converged(w.apply(fmt.Sprintf("kind: Tuning\nmetadata: {name: default}\nspec: {maxConnections: %d, ports: [{port: 8080, mode: http}, {port: 8443, mode: https}]}\n", 2000+i)))
			clients.more(20)
		}
		clients.flawless()
		if n := w.reloads() - before; n != reloads {
			t.Errorf("%d reloads", n)
		}
	})
}
