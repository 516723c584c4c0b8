package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/weirtest"
)

// written is what became of each Server, in the order of the changes: who wrote it, and the state in which that left it;
// "gone" when it was deleted.
func (w *world) written() (map[string][]string, error) {
	var all []api.ChangeRecord
	for before := int64(0); ; {
		path := "/api/v1/changes?limit=1000"
		if before > 0 {
			path += fmt.Sprint("&before=", before)
		}
		var page api.ChangeList
		if _, err := w.call("GET", path, "", &page); err != nil {
			return nil, err
		}
		all = append(page.Items, all...)
		if before = page.Continue; before == 0 {
			break
		}
	}
	// Pages are the newest first.
	told := map[string][]string{}
	for i := len(all) - 1; i >= 0; i-- {
		for _, o := range all[i].Objects {
			if o.Kind != "Server" {
				continue
			}
			state := "gone"
			if o.After != nil {
				state = o.After.Spec.(*weir.Server).Registered()
			}
			told[o.Name] = append(told[o.Name], state+" by "+all[i].Author)
		}
	}
	return told, nil
}

// TestDiscoveryOfTwoControlPlanes: two processes on one etcd; the one that watches a source and marks the silent is killed,
// whichever that is, while servers come and go. The other one goes on: what has changed in between is so, each server was
// written once for each thing that happened to it, and no request fails.
func TestDiscoveryOfTwoControlPlanes(t *testing.T) {
	t.Parallel()
	one := newGrowing(nil, t, 1)
	one.etcd, one.lists, one.memory, one.lease = weirtest.StartEtcd(t, 1), weirtest.TempDir(t), weirtest.MemoryDir(t), 3*time.Second
	two := newGrowing(one, t, 2)
	two.lists, two.memory, two.lease = one.lists, one.memory, one.lease
	one.urls, two.urls = []string{one.url, two.url}, []string{one.url, two.url}
	at := one.at(17).String() + ":8080"
	var list []string
	for i := range 8 {
		one.origin(200+i, fmt.Sprint("listed-", i))
		list = append(list, one.at(200+i).String())
	}
	one.writeTargets("listed.json", list[:4]...)
	one.writeTargets("emptied.json")
	one.start()
	one.apply(one.changing())
	first := one.source("listed", func(s *weir.SourceStatus) bool { return s.Healthy == 4 }).WatchedSince
	two.token = one.token
	two.start()
	one.join("lb1", "edge", "az1", weirtest.HAProxies(t)[0], "")
	one.caHash = one.ca().Authorities[0].CA
	token := one.registrationToken("registered", "registered")
	var registered []*registrant
	for i := range 5 {
		name := fmt.Sprint("web-", i)
		one.origin(230+i, name)
		registered = append(registered, one.registrant(name, 230+i, token))
	}
	for _, r := range registered[:4] {
		r.start()
	}
	servedBy := func(kind string, names ...string) {
		t.Helper()
		one.onlyFrom(at, kind+".example.com", names...)
	}
	servedBy("listed", "listed-0", "listed-1", "listed-2", "listed-3")
	servedBy("registered", "web-0", "web-1", "web-2", "web-3")
	clients := []*traffic{one.world.send(at, "listed.example.com"), one.world.send(at, "registered.example.com")}

	// The one that does both dies; a server goes and two come in the list, one registrant dies and another is new.
	one.process.Kill()
	registered[3].process.Kill()
	one.writeTargets("listed.json", append(list[1:4:4], list[4], list[5])...)
	for _, r := range registered {
		r.w = two.world
	}
	registered[4].start()
	servedBy("listed", "listed-1", "listed-2", "listed-3", "listed-4", "listed-5")
	registered[3].is(weir.RegistrationStale)
	servedBy("registered", "web-0", "web-1", "web-2", "web-4")
	second := two.source("listed", func(s *weir.SourceStatus) bool { return s.Healthy == 5 && s.WatchedSince.After(first) }).WatchedSince

	// It comes back, and the other one dies.
	one.start()
	one.converged(1)
	two.process.Kill()
	one.writeTargets("listed.json", append(list[2:6:6], list[6])...)
	for _, r := range registered {
		r.w = one.world
	}
	registered[2].process.Kill()
	registered[3].start()
	servedBy("listed", "listed-2", "listed-3", "listed-4", "listed-5", "listed-6")
	registered[2].is(weir.RegistrationStale)
	servedBy("registered", "web-0", "web-1", "web-3", "web-4")
	one.source("listed", func(s *weir.SourceStatus) bool {
		return s.Healthy == 5 && s.Doubt == nil && s.WatchedSince.After(second)
	})
	for _, c := range clients {
		c.more(20)
		c.flawless()
	}

	told, err := one.written()
	if err != nil {
		t.Fatal(err)
	}
	comes, goes := "healthy by discovery/listed", "gone by discovery/listed"
	want := map[string][]string{
		"web-0": {"healthy by registration/web-0"}, "web-1": {"healthy by registration/web-1"}, "web-4": {"healthy by registration/web-4"},
		"web-2": {"healthy by registration/web-2", "stale by weir"}, "web-3": {"healthy by registration/web-3", "stale by weir", "healthy by registration/web-3"},
	}
	for i := range 7 {
		name := "listed-" + strings.ReplaceAll(list[i], ".", "-")
		if want[name] = []string{comes}; i < 2 {
			want[name] = append(want[name], goes)
		}
	}
	if a, b := fmt.Sprint(told), fmt.Sprint(want); a != b {
		t.Errorf("servers were written so:\n%s\nand ought to have been:\n%s", a, b)
	}
}
