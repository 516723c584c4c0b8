package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/weirtest"
)

// leftServing ends a HAProxy that outlives its agent with the test.
func (w *world) leftServing(a *runningAgent) {
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLong)
		defer cancel()
		if p, err := hapctl.Attach(ctx, hapctl.Options{Path: a.haproxy.Path, Dir: a.folder()}); err == nil {
			_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
		}
	})
}

// all is everything that a HAProxy has which was brought to it at run time, as text: servers with their weights,
// backends, maps, certificates and lists of them.
func (w *world) all(a *runningAgent) string {
	w.t.Helper()
	client := hapctl.NewClient(filepath.Join(a.folder(), "run", "admin.sock"))
	defer client.Close()
	var lines []string
	states, err := members(w, client)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range states {
		lines = append(lines, fmt.Sprint("server ", s.Backend, "/", s.Server, " ", s.Address, ":", s.Port, " ", s.Weight, " ", s.Admin))
	}
	add := func(prefix, text string, part int) {
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) > part && !strings.HasPrefix(line, "#") {
				lines = append(lines, prefix+" "+strings.Join(words[part:], " "))
			}
		}
	}
	add("backend", w.do(a, "show", "backend"), 0)
	for _, sub := range []string{"maps/*.map", "maps/*.lst", "certs/*"} {
		files, err := filepath.Glob(filepath.Join(a.folder(), sub))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, file := range files {
			lines = append(lines, "file "+filepath.Base(file))
			if strings.HasPrefix(sub, "maps") {
				add(filepath.Base(file), w.do(a, "show", "map", "maps/"+filepath.Base(file)), 1)
			}
		}
	}
	add("certificate", w.do(a, "show", "ssl", "cert"), 0)
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// killWishes are two wishes between which every kind of operation lies, and the site that all clients ask is in
// both: pools, servers, weights, maps and certificates come and go.
func (w *world) killWishes(ca *authority) (wishes [2]string) {
	one, two := ca.issue("one.example.com").manifest("one"), ca.issue("one.example.com").manifest("one")
	wishes[0] = w.oneZone() + one + fmt.Sprintf(`---
kind: Server
metadata: {name: web2, role: web}
spec: {address: %[1]s, zone: az1, ports: {http: 9000}}
---
kind: Pool
metadata: {name: old, role: web}
spec: {members: [{name: m, address: %[1]s, port: 9000}], healthCheck: {type: none}}
---
kind: Site
metadata: {name: other, role: web}
spec: {hostnames: [one.example.com], addresses: [www], listeners: [{port: 8443, tls: {certificates: [one]}}], backends: {default: old}}
`, w.at(201))
	wishes[1] = strings.Replace(w.oneZone(), "ports: {http: 9000}}", "ports: {http: 9000}, weight: 50}", 1) + two +
		ca.issue("two.example.com").manifest("two") + fmt.Sprintf(`---
kind: Server
metadata: {name: web3, role: web}
spec: {address: %[1]s, zone: az1, ports: {http: 9000}}
---
kind: Pool
metadata: {name: new, role: web}
spec: {members: [{name: m, address: %[1]s, port: 9000}, {name: n, address: %[2]s, port: 9000}], healthCheck: {path: /ping, interval: 100ms, rise: 1}}
---
kind: Map
metadata: {name: moved, role: web}
spec: {match: exact, entries: [{key: /moved, value: default}]}
---
kind: Site
metadata: {name: other, role: web}
spec:
  hostnames: [one.example.com, two.example.com]
  addresses: [www]
  listeners: [{port: 8443, tls: {certificates: [one, two]}}, {port: 8080, redirect: https}]
  backends: {default: new}
  routes: [{match: {map: moved}}]
`, w.at(202), w.at(200))
	return wishes
}

// killGone deletes what a wish has and the one before has not.
var killGone = [2]string{"&delete=Server/web3&delete=Pool/new&delete=Map/moved&delete=Certificate/two", "&delete=Server/web2&delete=Pool/old"}

// TestAgentIsKilledBetweenAnyTwoSteps: at every fault point on the way from one wish to another and back, every sixth
// one without WEIR_SOAK. The next agent brings HAProxy to just what one has that reads its files, and no request of a
// site that is in both fails.
func TestAgentIsKilledBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.look = time.Hour // what was missed must not be mended by looking again
		stride := 6
		if os.Getenv("WEIR_SOAK") != "" {
			stride = 1
		}
		for i := range 3 {
			w.origin(200+i, fmt.Sprint("web", 1+i))
		}
		wishes := w.killWishes(newAuthority(t, "ca"))
		w.apply(w.oneZone())
		a := w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		a.stop()
		w.leftServing(a)
		first := ""
		wish := func(i int) int64 {
			t.Helper()
			var answer struct{ Revision int64 }
			if _, err := w.call("POST", "/api/v1/apply?reason=test"+first, wishes[i], &answer); err != nil {
				t.Fatal(err)
			}
			first = killGone[1-i]
			return answer.Revision
		}
		// What HAProxy has of either when it has read it from its files.
		var whole [2]string
		for _, i := range []int{1, 0} {
			revision := wish(i)
			p := w.runAgent(a, 0)
			w.converged(revision)
			w.killHAProxy(a)
			w.serves(w.at(17).String()+":8080", "www.example.com", "/")
			w.converged(revision)
			whole[i] = w.all(a)
			p.Kill()
		}
		clients := w.send(w.at(17).String()+":8080", "www.example.com")
		clients.more(20)
		points := map[string]bool{}
		missing := func() []string {
			kinds := []string{"start", "write", "rename", "tell"}
			if h.Version >= "3.4" { // on 3.2 most of it is one reload, whose few words may fall between the points tried
				kinds = append(kinds, "say")
			}
			return slices.DeleteFunc(kinds, func(want string) bool {
				return slices.ContainsFunc(slices.Collect(maps.Keys(points)), func(point string) bool { return strings.HasPrefix(point, want+" ") })
			})
		}
		// Which points are passed over differs from time to time: those are tried too when a kind of them never came.
		for i, first := 0, 1; first <= stride && len(missing()) > 0; first++ {
			for n, over := first, 0; over < 2; n, i = n+stride*i, 1-i {
				revision := wish(1 - i)
				p := w.runAgent(a, n)
				if point := w.killedOrConverged(p, revision); point == "" {
					over++ // there is no such point on the way
				} else {
					over, points[point] = 0, true
				}
				p.Kill()
				next := w.runAgent(a, 0)
				w.converged(revision)
				if now := w.all(a); now != whole[1-i] {
					t.Fatalf("%s: HAProxy has\n%s\nand should\n%s\n%s", p.Output(), now, whole[1-i], next.Output())
				}
				next.Kill()
			}
		}
		clients.flawless()
		// The last one was killed as well, and may have been writing: what it left goes with the next one's work.
		p := w.runAgent(a, 0)
		weirtest.Eventually(t, waitLong, func() error {
			if left := a.halves(t); len(left) > 0 {
				return fmt.Errorf("these were being written when an agent was killed, and stay: %v", left)
			}
			return nil
		})
		p.Kill()
		t.Logf("%d points", len(points))
		if never := missing(); len(never) > 0 {
			t.Errorf("no agent was killed before it could %v: %v", never, slices.Sorted(maps.Keys(points)))
		}
	})
}

// halves are the files beside others that were never put in their place.
func (a *runningAgent) halves(t *testing.T) (left []string) {
	t.Helper()
	err := filepath.WalkDir(a.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".") {
			left = append(left, strings.TrimPrefix(path, a.dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// killedOrConverged waits for an agent that is to be killed on its way to a revision, and names the point. It is ""
// when the agent got there.
func (w *world) killedOrConverged(p *weirtest.Process, revision int64) (point string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		select {
		case <-p.Done():
			_, after, ok := strings.Cut(p.Output(), "killed at ")
			if _, point, _ = strings.Cut(strings.TrimSpace(after), ": "); !ok {
				point = "no point"
			}
			return nil
		default:
		}
		if f := w.status(); f.Groups[0].Ready != 1 || f.Revision < revision {
			return fmt.Errorf("neither killed nor there: %s", p.Output())
		}
		return nil
	})
	if point == "no point" {
		w.t.Fatalf("the agent ended by itself: %s", p.Output())
	}
	return point
}
