package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// twoGroups declares two groups of one range on one machine: the load balancer of "left" binds the addresses as
// they are, that of "right" 16 further. Address www is in the groups named, other in right alone.
func (w *world) twoGroups(groups string) string {
	return fmt.Sprintf(`
kind: Zone
metadata: {name: az1}
---
kind: Role
metadata: {name: web}
---
kind: Tuning
metadata: {name: default}
spec: {ports: [{port: 8080, mode: http}]}
---
kind: LoadBalancerGroup
metadata: {name: left}
spec: {ranges: [%[1]s/28], tuning: default}
---
kind: LoadBalancerGroup
metadata: {name: right}
spec: {ranges: [%[1]s/28], tuning: default}
---
kind: IPAddress
metadata: {name: www, role: web}
spec: {address: %[2]s, homeZone: az1, groups: %[3]s}
---
kind: IPAddress
metadata: {name: other, role: web}
spec: {address: %[4]s, homeZone: az1, groups: [right]}
---
kind: Pool
metadata: {name: web, role: web}
spec: {members: [{name: web1, address: %[5]s, port: 9000}], healthCheck: {path: /ping, interval: 100ms, rise: 1}}
---
kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: web}}
---
kind: Site
metadata: {name: other, role: web}
spec: {hostnames: [other.example.com], addresses: [other], listeners: [{port: 8080}], backends: {default: web}}
`, w.at(16), w.at(17), groups, w.at(18), w.at(200))
}

func (w *world) moveAddress(groups string) int64 {
	return w.apply(fmt.Sprintf("kind: IPAddress\nmetadata: {name: www, role: web}\nspec: {address: %s, homeZone: az1, groups: %s}\n", w.at(17), groups))
}

func (w *world) joinTwoGroups(h weirtest.HAProxy) (left, right *runningAgent) {
	left = w.join("lb-left", "left", "az1", h, "")
	right = w.join("lb-right", "right", "az1", h, fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, w.at(16), w.at(32)))
	w.converged(1)
	return left, right
}

// TestSiteMovesBetweenGroups: the address is in both groups for a while, traffic goes over, and no request fails.
func TestSiteMovesBetweenGroups(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.apply(w.twoGroups("[left]"))
		w.joinTwoGroups(h)
		leftVIP, rightVIP := w.at(17).String()+":8080", w.at(33).String()+":8080"
		w.serves(leftVIP, "www.example.com", "/")
		before := w.send(leftVIP, "www.example.com")
		before.more(100)
		if status, _, err := w.get(rightVIP, "www.example.com", "/"); err == nil {
			t.Errorf("the group that does not have the address answers %d", status)
		}
		w.converged(w.moveAddress("[left, right]"))
		// Programmed in both groups: from here on clients may come to either.
		w.says("sites/www", "Programmed", "True", "2")
		weirtest.Eventually(t, waitLong, func() error {
			if c := w.conditions("sites/www")["Serving"]; c.Status != "True" {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
		after := w.send(rightVIP, "www.example.com")
		after.more(100)
		before.more(100)
		before.flawless()
		w.converged(w.moveAddress("[right]"))
		weirtest.Eventually(t, waitLong, func() error {
			if status, _, err := w.get(leftVIP, "www.example.com", "/"); err == nil {
				return fmt.Errorf("the group that lost the address answers %d", status)
			}
			return nil
		})
		after.more(100)
		after.flawless()
		if h.Version >= "3.4" && w.reloads() > 0 {
			t.Errorf("the move took reloads: %+v", w.status())
		}
	})
}

// TestFaultInOneGroupTouchesNoOther: HAProxy killed, agent dead, bad objects, in one of two groups of one machine.
func TestFaultInOneGroupTouchesNoOther(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.apply(w.twoGroups("[left]"))
	left, right := w.joinTwoGroups(h)
	vip := w.at(34).String() + ":8080"
	w.serves(vip, "other.example.com", "/")
	worker, reloads := w.worker(right), w.reloads()
	other := w.send(vip, "other.example.com")

	w.killHAProxy(left)
	w.serves(w.at(17).String()+":8080", "www.example.com", "/")
	other.more(50)

	bad := strings.ReplaceAll(badSite("routed", ", routes: [{match: {path: {regex: '/x{3,1}'}}, backend: default}]"), "p0", "web")
	w.apply(bad)
	w.says("sites/routed", "Quarantined", "True", "lb-left")
	w.serves(w.at(17).String()+":8080", "www.example.com", "/")
	other.more(50)

	left.stop()
	w.apply("kind: Site\nmetadata: {name: new, role: web}\nspec: {hostnames: [new.example.com], addresses: [other], listeners: [{port: 8080}], backends: {default: web}}")
	w.serves(vip, "new.example.com", "/")
	other.more(50)
	other.flawless()
	if w.worker(right) != worker || w.reloads() != reloads {
		t.Errorf("worker %d is now %d; reloads %d, now %d", worker, w.worker(right), reloads, w.reloads())
	}
}

// worker is the process that serves.
func (w *world) worker(a *runningAgent) int {
	w.t.Helper()
	info, err := w.socket(a).Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return info.Pid
}

// TestGroupsShareNoFileAndNoPort looks at the two HAProxies of a machine.
func TestGroupsShareNoFileAndNoPort(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.apply(w.twoGroups("[left, right]"))
	left, right := w.joinTwoGroups(h)
	for name, of := range map[string]func(*runningAgent) []string{"place": w.places, "open file": w.openFiles} {
		a, b := of(left), of(right)
		if len(a) == 0 || len(b) == 0 {
			t.Errorf("%s: nothing to compare: %q %q", name, a, b)
		}
		for _, one := range a {
			if slices.Contains(b, one) {
				t.Errorf("both groups have %s %s", name, one)
			}
		}
	}
}

// places are what a configuration listens at and logs to.
func (w *world) places(a *runningAgent) []string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.folder(), "haproxy.cfg"))
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && words[0] == "bind":
			list = append(list, strings.Split(words[1], ",")...)
		case len(words) > 1 && words[0] == "log":
			list = append(list, words[1])
		}
	}
	return list
}

// openFiles are what a worker has open; devices are everybody's, and so is what this test was started with.
func (w *world) openFiles(a *runningAgent) []string {
	w.t.Helper()
	return slices.DeleteFunc(w.filesOf(fmt.Sprint(w.worker(a))), func(name string) bool { return slices.Contains(w.filesOf("self"), name) })
}

func (w *world) filesOf(process string) []string {
	w.t.Helper()
	dir := filepath.Join("/proc", process, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && !strings.HasPrefix(to, "/dev/") && !strings.HasPrefix(to, "anon_inode:") {
			list = append(list, to)
		}
	}
	return list
}
