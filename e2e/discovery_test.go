package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// writeList puts a list of targets at port 9000 in place of the one that a source of web.json has.
func (w *world) writeList(addresses ...string) {
	w.t.Helper()
	w.writeTargets("web.json", addresses...)
}

// writeTargets is writeList for a file of any name.
func (w *world) writeTargets(file string, addresses ...string) {
	w.t.Helper()
	targets := make([]string, len(addresses))
	for i, a := range addresses {
		targets[i] = a + ":9000"
	}
	raw, err := json.Marshal([]map[string]any{{"targets": targets}})
	if err == nil {
		err = os.WriteFile(filepath.Join(w.lists, ".new"), raw, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(w.lists, ".new"), filepath.Join(w.lists, file))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// source waits until the status of a discovery source is as wanted.
func (w *world) source(name string, want func(*weir.SourceStatus) bool) (s *weir.SourceStatus) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		var o struct{ Status weir.Status }
		if _, err := w.call("GET", "/api/v1/discoverysources/"+name, "", &o); err != nil {
			return err
		}
		if s = o.Status.Source; s == nil || !want(s) {
			return fmt.Errorf("the source is %+v", o.Status)
		}
		return nil
	})
	return s
}

// troubled waits until the state of the fleet names a source, with these words.
func (w *world) troubled(name string, words ...string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		var fleet struct{ Sources []weir.Problem }
		if _, err := w.call("GET", "/api/v1/status", "", &fleet); err != nil {
			return err
		}
		for _, word := range words {
			if len(fleet.Sources) != 1 || fleet.Sources[0].Object != "DiscoverySource/"+name || !strings.Contains(fleet.Sources[0].Message, word) {
				return fmt.Errorf("of the sources is said %+v, without «%s»", fleet.Sources, word)
			}
		}
		return nil
	})
}

// servedBy waits until requests are answered by these origins and no others.
func (w *world) servedBy(addr string, want ...string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		seen := map[string]int{}
		for range 4 * len(want) {
			status, origin, err := w.get(addr, "www.example.com", "/")
			if err != nil || status != 200 {
				return fmt.Errorf("answered %d %v", status, err)
			}
			seen[origin]++
		}
		for _, origin := range want {
			if seen[origin] == 0 {
				return fmt.Errorf("%s is not among %v", origin, seen)
			}
		}
		if len(seen) != len(want) {
			return fmt.Errorf("served by %v, not by %v", seen, want)
		}
		return nil
	})
}

// TestDiscoveryFromAFile: servers that a list names take traffic without a reload; one that it drops is drained; a list
// that is empty, or missing, changes nothing until a person says that they are gone.
func TestDiscoveryFromAFile(t *testing.T) {
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	addr := w.at(17).String() + ":8080"
	for i := range 3 {
		w.origin(200+i, fmt.Sprintf("web%d", i))
	}
	first, second, third := w.at(200).String(), w.at(201).String(), w.at(202).String()
	w.writeList(first)
	before, after, found := strings.Cut(w.oneZone(), "---\nkind: Server")
	if !found {
		t.Fatal("the manifests have no server")
	}
	_, after, _ = strings.Cut(after, "---\n")
	w.apply(before + "---\n" + after + `---
kind: DiscoverySource
metadata: {name: list}
spec: {file: {path: web.json}, interval: 100ms, role: web, server: {name: "${address}", zone: az1, ports: {http: "${port}"}}}
`)
	w.join("lb1", "edge", "az1", h, "")
	w.servedBy(addr, "web0")
	reloads := w.reloads()
	w.writeList(first, second, third)
	w.servedBy(addr, "web0", "web1", "web2")
	w.writeList(first, second)
	w.servedBy(addr, "web0", "web1")

	w.writeList()
	s := w.source("list", func(s *weir.SourceStatus) bool { return s.Doubt != nil })
	w.says("discoverysources/list", "Believed", "False", "all 2 servers that it had are gone")
	w.servedBy(addr, "web0", "web1")
	if err := os.Remove(filepath.Join(w.lists, "web.json")); err != nil {
		t.Fatal(err)
	}
	w.says("discoverysources/list", "Watched", "False", "no such file")
	w.troubled("list", "no such file", "its 2 servers stay", "all 2 servers that it had are gone", "weir discoverysource confirm list")
	w.servedBy(addr, "web0", "web1")

	w.writeList(third)
	w.servedBy(addr, "web2") // two that go beside one that comes are within the floor
	w.writeList()
	s = w.source("list", func(now *weir.SourceStatus) bool { return now.Doubt != nil && now.Doubt.Number > s.Doubt.Number })
	if status, err := w.call("POST", fmt.Sprintf("/api/v1/discoverysources/list/confirm?doubt=%d&reason=moved", s.Doubt.Number), "", nil); err != nil {
		t.Fatal(status, err)
	}
	weirtest.Eventually(t, waitLong, func() error {
		if status, _, err := w.get(addr, "www.example.com", "/"); err != nil || status != 503 {
			return fmt.Errorf("answered %d %v", status, err)
		}
		return nil
	})
	if n := w.reloads(); n != reloads {
		t.Errorf("%d reloads", n-reloads)
	}
}
