package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/store"
)

// The fleet that the console is made for.
const (
	manyServers = 10_000
	manySites   = 1_000
	manyLBs     = 50
)

// crowdedStatus is a fleet of which all load balancers have told that all is well but for a few servers.
type crowdedStatus struct {
	*fleet
	tellers map[string]*teller
}

// Moment implements api.StatusSource, with what was told.
func (s *crowdedStatus) Moment() api.Moment {
	m := s.moment()
	m.tellers = s.tellers
	return m
}

// Status implements api.StatusSource, with what was told.
func (s *crowdedStatus) Status(o *weir.Object) *weir.Status { return s.Moment().Status(o) }

// Fleet implements api.StatusSource: what of each load balancer's report does not serve is worked out as ever.
func (s *crowdedStatus) Fleet() api.FleetStatus {
	status, groups := s.standing()
	m := s.moment()
	m.tellers = s.tellers
	for i := range status.Groups {
		g := &status.Groups[i]
		for j := range g.LoadBalancers {
			lb := &g.LoadBalancers[j]
			lb.Run, lb.Ready, lb.Reachable, lb.LastSeen = "converged", true, true, s.clock()
			for _, o := range m.outages(groups[g.Name], ir.Self{Name: lb.Name}) {
				o.LoadBalancers = []string{lb.Name}
				g.NotServing = append(g.NotServing, o)
			}
		}
	}
	return status
}

// crowd makes the objects of the fleet.
func crowd(servers int) (writes []weir.Write) {
	put := func(kind, name, role string, spec weir.Spec) {
		spec.Normalize()
		writes = append(writes, weir.Write{Put: &weir.Object{Kind: kind, Metadata: weir.Metadata{Name: name, Role: role}, Spec: spec}})
	}
	zones := []string{"az1", "az2", "az3"}
	for _, z := range zones {
		put("Zone", z, "", &weir.Zone{})
	}
	put("Role", "web", "", &weir.Role{})
	put("LoadBalancerGroup", "edge", "", &weir.LoadBalancerGroup{Ranges: []netip.Prefix{netip.MustParsePrefix("10.200.0.0/16")}})
	for i := range manyLBs {
		put("LoadBalancer", fmt.Sprintf("lb-%02d", i), "", &weir.LoadBalancer{Group: "edge", Zone: zones[i%3], State: weir.Active})
	}
	for i := range servers {
		put("Server", fmt.Sprintf("srv-%05d", i), "web", &weir.Server{Address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Zone: zones[i%3], Clusters: []string{fmt.Sprintf("c%d", i%manySites)}, Ports: map[string]weir.Port{"http": 8080}})
	}
	for i := range manySites {
		name := fmt.Sprintf("site-%04d", i)
		backend := weir.Backend{Zones: map[string]string{}}
		for _, z := range zones {
			put("Pool", name+"-"+z, "web", &weir.Pool{Selector: &weir.Selector{Role: "web", Zone: z, Clusters: []string{fmt.Sprintf("c%d", i)}}, Port: "http"})
			backend.Zones[z] = name + "-" + z
		}
		put("IPAddress", name, "web", &weir.IPAddress{Address: netip.AddrFrom4([4]byte{10, 200, byte(i >> 8), byte(i)}), HomeZone: zones[i%3], Groups: []string{"edge"}})
		put("Site", name, "web", &weir.Site{Hostnames: []string{name + ".example.com"}, Addresses: []string{name}, Listeners: []weir.Listener{{Port: 80}}, Backends: map[string]weir.Backend{"default": backend}})
	}
	return writes
}

// viewsBed is a control plane of which somebody asks views.
type viewsBed struct {
	store   *store.Store
	fleet   *fleet
	status  *crowdedStatus
	handler *api.Handler
	token   string
	servers int
	changes int
}

func newViewsBed(b *testing.B, servers int) *viewsBed {
	b.Helper()
	ring, err := secrets.OpenOrCreateKeyring(b.TempDir() + "/key")
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir(), Keyring: ring, Check: weir.Check})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	f := testFleet(b, s)
	token, hash := secrets.NewToken("api")
	writes := append(crowd(servers),
		weir.Write{Put: &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "t"}, Spec: &weir.Token{Subject: "ann", Hash: hash}}},
		weir.Write{Put: &weir.Object{Kind: "Grant", Metadata: weir.Metadata{Name: "g"}, Spec: &weir.Grant{Subject: "ann", Role: "*", Right: weir.Admin}}})
	if _, err := s.Apply(b.Context(), store.Request{Author: "seed", Writes: writes}); err != nil {
		b.Fatal(err)
	}
	if err := f.load(b.Context()); err != nil {
		b.Fatal(err)
	}
	status := &crowdedStatus{fleet: f, tellers: map[string]*teller{}}
	g := f.groups["edge"]
	seen := map[string]map[string]link.ServerHealth{}
	for i := range manyLBs {
		if servers == manyServers { // of more, all tell the same for want of memory
			seen = map[string]map[string]link.ServerHealth{}
		}
		for _, p := range g.node.Pools {
			seen[p.Name] = map[string]link.ServerHealth{}
			for n, one := range p.Servers {
				h := link.ServerHealth{State: link.Up, Since: time.Now(), Check: "L7OK 200 in 2ms"}
				if n == 0 && len(p.Name)%7 == 0 {
					h.State = link.Down
				}
				seen[p.Name][one.Name] = h
			}
		}
		status.tellers[fmt.Sprintf("lb-%02d", i)] = &teller{heard: true, has: true, sound: true, Reported: link.Reported{At: time.Now().Add(24 * time.Hour), Report: link.Report{State: link.Converged, Servers: seen}}}
	}
	v := &viewsBed{store: s, fleet: f, status: status, token: token, servers: servers}
	v.handler = v.anew()
	return v
}

// anew gives a handler that nobody has asked yet.
func (v *viewsBed) anew() *api.Handler {
	return api.New(api.Options{Store: v.store, Planner: v.fleet, Status: v.status})
}

func (v *viewsBed) ask(b *testing.B, h http.Handler, path string) {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+v.token)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusOK {
		text, _ := io.ReadAll(w.Body)
		b.Fatalf("%s: %d %s", path, w.Code, text)
	}
	b.ReportMetric(float64(w.Body.Len()), "B/answer")
}

// change gives a server another weight in the name of who asks, for whom the next picture is made anew.
func (v *viewsBed) change(b *testing.B) {
	b.Helper()
	v.changes++
	o := v.store.View().Get(weir.Ref{Kind: "Server", Name: fmt.Sprintf("srv-%05d", v.changes*7919%v.servers)}).Clone()
	weight := 1 + v.changes%200
	o.Spec.(*weir.Server).Weight = &weight
	body, err := json.Marshal(o)
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPut, "/api/v1/servers/"+o.Metadata.Name, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+v.token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if v.handler.ServeHTTP(w, r); w.Code != http.StatusOK {
		b.Fatalf("change a server: %d %s", w.Code, w.Body)
	}
}

// run measures a view as it is asked for first, after a change, and again.
func (v *viewsBed) run(b *testing.B, path string) {
	b.Run("first"+path[len("/api/v1"):], func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			anew := v.anew()
			b.StartTimer()
			v.ask(b, anew, path)
		}
	})
	b.Run("changed"+path[len("/api/v1"):], func(b *testing.B) {
		v.ask(b, v.handler, path)
		for b.Loop() {
			b.StopTimer()
			v.change(b)
			b.StartTimer()
			v.ask(b, v.handler, path)
		}
	})
	b.Run("again"+path[len("/api/v1"):], func(b *testing.B) {
		v.ask(b, v.handler, path)
		for b.Loop() {
			v.ask(b, v.handler, path)
		}
	})
}

// BenchmarkViews tells what each view costs with 10,000 servers, 1,000 sites and 50 load balancers: "first" where nobody
// has asked before, "changed" where a server was changed since, "again" where nothing was.
func BenchmarkViews(b *testing.B) {
	v := newViewsBed(b, manyServers)
	for _, path := range []string{
		"/api/v1/overview", "/api/v1/rows/sites", "/api/v1/rows/servers?sort=state", "/api/v1/rows/servers?q=srv-09", "/api/v1/search?q=site-0999.example", "/api/v1/search?q=10.0.39.15",
		"/api/v1/graph", "/api/v1/graph?focus=Site/site-0500", "/api/v1/matrix",
	} {
		v.run(b, path)
	}
}

// BenchmarkLists tells what pages of servers and a search cost with ten times as many servers, and what is in memory for
// them.
func BenchmarkLists(b *testing.B) {
	for _, servers := range []int{manyServers, 10 * manyServers} {
		b.Run(fmt.Sprint(servers), func(b *testing.B) {
			v := newViewsBed(b, servers)
			before := heapInUse()
			for _, path := range []string{"/api/v1/rows/servers?sort=-weight", "/api/v1/rows/servers?sort=state&q=srv-09", "/api/v1/rows/servers?q=10.0.39.15", "/api/v1/search?q=srv-00999"} {
				v.run(b, path)
			}
			b.Run("memory", func(b *testing.B) {
				for b.Loop() {
					v.ask(b, v.handler, "/api/v1/rows/servers?q=srv-09")
				}
				b.ReportMetric(float64(heapInUse()-before)/(1<<20), "MiB")
				runtime.KeepAlive(v)
			})
		})
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
