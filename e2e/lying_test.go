package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/link"
	"weir/internal/weirtest"
)

// lies runs what has a load balancer's identity and says what it likes.
func (w *world) lies(a *runningAgent) (say func(link.Report), stop func()) {
	w.t.Helper()
	c, err := link.Open(link.Options{URLs: []string{w.url}, Dir: filepath.Join(a.dir, "link")})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, func(link.State) {}) }()
	return c.Report, func() {
		cancel()
		<-ended
		if err := c.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// group waits until a group's state is as check wants it.
func (w *world) group(name string, check func(ready, of int, lb string) error) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		for _, g := range w.status().Groups {
			if g.Name == name {
				return check(g.Ready, g.Of, fmt.Sprintf("%+v", g.LoadBalancers))
			}
		}
		return fmt.Errorf("there is no group %s", name)
	})
}

// TestAgentThatLies: about states that there never were, other groups' pools, sites and load balancers, and in
// nonsense. It counts as not having what is wanted, and nothing that others see changes.
func TestAgentThatLies(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	mine := "---\nkind: Pool\nmetadata: {name: mine, role: web}\nspec: {members: [{name: web1, address: " + w.at(200).String() + ", port: 9000}], healthCheck: {type: none}}\n"
	w.apply(strings.Replace(w.twoGroups("[left]"), "addresses: [other], listeners: [{port: 8080}], backends: {default: web}", "addresses: [other], listeners: [{port: 8080}], backends: {default: mine}", 1) + mine)
	_, right := w.joinTwoGroups(h)
	w.health("web", "web1", "up")
	at := w.at(17).String() + ":8080"
	clients := w.send(at, "www.example.com")
	right.stop()
	say, stop := w.lies(right)
	since := time.Now()
	dead := map[string]map[string]link.ServerHealth{"web": {"web1": {State: link.Down, Since: since}, "ghost": {State: link.Up}}, "\x00": {"": {}}}
	held := map[string]link.Deviation{}
	for _, id := range []string{"site/www", "pool/web", "self", "nonsense", "site/\x1b[2J"} {
		held[id] = link.Deviation{State: link.Quarantined, Reason: link.RefusedAtFirst, Message: "a lie\x1b[2J", Since: since}
	}
	revision := w.weighAll(3)
	for _, lie := range []link.Report{
		{State: link.Converged, Revision: revision + 1_000_000, Seen: revision + 1_000_000, Servers: dead},
		{State: link.Converged, Revision: -7, Servers: dead, Resources: link.ResourceReport{Programmed: -1, Deviations: held}},
		{State: "\x1b[2J", Agent: strings.Repeat("x", 1<<20), Message: strings.Repeat("\x00", 1<<16), Counts: json.RawMessage("nonsense"), Plan: make([]string, 100_000)},
		{State: link.Failed, Worker: -1, Started: since.Add(1 << 60), Reloads: link.ReloadReport{Count: -5}, Ended: link.EndReport{Count: -3}, Warnings: make([]link.Warning, 1000)},
	} {
		say(lie)
		w.group("right", func(ready, of int, lb string) error {
			if ready != 0 || of != 1 || lie.Revision > revision && !strings.Contains(lb, "which nobody has made yet") || lie.State == link.Failed && !strings.Contains(lb, "failed") {
				return fmt.Errorf("a liar counts for %d of %d: %s", ready, of, lb)
			}
			return nil
		})
		w.group("left", func(ready, of int, lb string) error {
			if ready != 1 || of != 1 {
				return fmt.Errorf("%d of %d: %s", ready, of, lb)
			}
			return nil
		})
		w.says("sites/www", "Programmed", "True")
		w.says("sites/www", "Serving", "True", "1 of 1")
		if _, held := w.conditions("sites/www")["Quarantined"]; held {
			t.Error("another group's load balancer had its site quarantined")
		}
		clients.more(20)
	}
	stop()
	w.startAgent(right)
	w.converged(revision)
	clients.flawless()
}

// weighAll makes a change that both groups have to do with.
func (w *world) weighAll(weight int) int64 {
	w.t.Helper()
	member := fmt.Sprintf("members: [{name: web1, address: %s, port: 9000, weight: %d}]", w.at(200), weight)
	return w.apply("kind: Pool\nmetadata: {name: web, role: web}\nspec: {" + member + ", healthCheck: {path: /ping, interval: 100ms, rise: 1}}\n---\n" +
		"kind: Pool\nmetadata: {name: mine, role: web}\nspec: {" + member + ", healthCheck: {type: none}}\n")
}

// TestAgentThatHangs: it is stopped where it stands while changes are made; HAProxy serves, others go on, it is named,
// and it follows when it goes on.
func TestAgentThatHangs(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.apply(w.twoGroups("[left, right]"))
	_, right := w.joinTwoGroups(h)
	right.stop()
	w.leftServing(right)
	hung := w.runAgent(right, 0)
	w.converged(1)
	left, other := w.at(17).String()+":8080", w.at(33).String()+":8080"
	w.serves(other, "www.example.com", "/")
	clients, others := w.send(left, "www.example.com"), w.send(other, "www.example.com")
	if err := hung.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var last int64
	for i := range 30 {
		last = w.apply("kind: Pool\nmetadata: {name: web, role: web}\nspec: {members: [{name: web1, address: " + w.at(200).String() + fmt.Sprintf(", port: 9000, weight: %d}], healthCheck: {path: /ping, interval: 100ms, rise: 1}}\n", 10+i))
	}
	w.group("left", func(ready, of int, lb string) error {
		if ready != 1 {
			return fmt.Errorf("%d of %d: %s", ready, of, lb)
		}
		return nil
	})
	w.says("pools/web", "Programmed", "False", "1 of 2", "lb-right")
	clients.more(20)
	others.more(20)
	if err := hung.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.converged(last)
	clients.flawless()
	others.flawless()
	hung.Kill()
}
