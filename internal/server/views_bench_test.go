package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
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
func crowd() (writes []weir.Write) {
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
	for i := range manyServers {
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

// BenchmarkViews tells what each view costs with 10,000 servers, 1,000 sites and 50 load balancers: "first" where nobody
// has asked before, "changed" where a server was changed since, "again" where nothing was.
func BenchmarkViews(b *testing.B) {
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
	writes := append(crowd(),
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
	for i := range manyLBs {
		servers := map[string]map[string]link.ServerHealth{}
		for _, p := range g.node.Pools {
			servers[p.Name] = map[string]link.ServerHealth{}
			for n, one := range p.Servers {
				h := link.ServerHealth{State: link.Up, Since: time.Now(), Check: "L7OK 200 in 2ms"}
				if n == 0 && len(p.Name)%7 == 0 {
					h.State = link.Down
				}
				servers[p.Name][one.Name] = h
			}
		}
		status.tellers[fmt.Sprintf("lb-%02d", i)] = &teller{heard: true, has: true, sound: true, Reported: link.Reported{At: time.Now().Add(24 * time.Hour), Report: link.Report{State: link.Converged, Servers: servers}}}
	}
	handler := api.New(api.Options{Store: s, Planner: f, Status: status})
	ask := func(b *testing.B, h http.Handler, path string) {
		b.Helper()
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			text, _ := io.ReadAll(w.Body)
			b.Fatalf("%s: %d %s", path, w.Code, text)
		}
		b.ReportMetric(float64(w.Body.Len()), "B/answer")
	}
	// change gives a server another weight in the name of who asks, for whom the next picture is made anew.
	n := 0
	change := func(b *testing.B) {
		b.Helper()
		n++
		o := s.View().Get(weir.Ref{Kind: "Server", Name: fmt.Sprintf("srv-%05d", n*7919%manyServers)}).Clone()
		weight := 1 + n%200
		o.Spec.(*weir.Server).Weight = &weight
		body, err := json.Marshal(o)
		if err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPut, "/api/v1/servers/"+o.Metadata.Name, bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatalf("change a server: %d %s", w.Code, w.Body)
		}
	}
	for _, path := range []string{
		"/api/v1/overview", "/api/v1/rows/sites", "/api/v1/rows/servers?sort=state", "/api/v1/rows/servers?q=srv-09", "/api/v1/search?q=site-0999.example", "/api/v1/search?q=10.0.39.15",
		"/api/v1/graph", "/api/v1/graph?focus=Site/site-0500", "/api/v1/matrix",
	} {
		b.Run("first"+path[len("/api/v1"):], func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				anew := api.New(api.Options{Store: s, Planner: f, Status: status})
				b.StartTimer()
				ask(b, anew, path)
			}
		})
		b.Run("changed"+path[len("/api/v1"):], func(b *testing.B) {
			ask(b, handler, path)
			for b.Loop() {
				b.StopTimer()
				change(b)
				b.StartTimer()
				ask(b, handler, path)
			}
		})
		b.Run("again"+path[len("/api/v1"):], func(b *testing.B) {
			ask(b, handler, path)
			for b.Loop() {
				ask(b, handler, path)
			}
		})
	}
}
