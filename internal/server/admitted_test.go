package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/api"
	"weir/internal/link"
	"weir/internal/store"
)

// TestConditionsTellOfRegistrations: who is in which pool, and why not, in the words that people read.
func TestConditionsTellOfRegistrations(t *testing.T) {
	t.Parallel()
	s, f := newTestFleet(t)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var writes []weir.Write
	for _, text := range []string{
		"kind: Zone\nmetadata: {name: az1}",
		"kind: Role\nmetadata: {name: web}\nspec: {contact: ann}",
		"kind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [10.0.0.0/28]}",
		"kind: IPAddress\nmetadata: {name: vip}\nspec: {address: 10.0.0.1, homeZone: az1, groups: [edge]}",
		"kind: Pool\nmetadata: {name: strict, role: web}\nspec: {selector: {role: web}, port: 80, admission: both}",
		"kind: Pool\nmetadata: {name: open, role: web}\nspec: {selector: {role: web}, port: 80}",
		"kind: Pool\nmetadata: {name: spare, role: web}\nspec: {selector: {role: web, zone: az1}, port: 80, admission: both}",
		"kind: Site\nmetadata: {name: www, role: web}\nspec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], backends: {default: strict, open: open}, routes: [{match: {path: {prefix: /open}}, backend: open}]}",
		"kind: Server\nmetadata: {name: other}\nspec: {address: 10.1.0.99, zone: az1}",
	} {
		writes = append(writes, weir.Write{Put: decoded(t, text)})
	}
	put := func(states ...string) {
		t.Helper()
		for i, state := range states {
			o := decoded(t, fmt.Sprintf("kind: Server\nmetadata: {name: s%d, role: web}\nspec: {address: 10.1.0.%d, zone: az1}", i, i+1))
			if state != "" {
				o.Spec.(*weir.Server).Registration = &weir.Registration{State: state, Since: at, By: "registration", Reason: "GET /ping: 503"}
			}
			writes = append(writes, weir.Write{Put: o})
		}
		before := s.View()
		done, err := s.Apply(t.Context(), store.Request{Author: "ann", Registers: true, Writes: writes})
		if err != nil {
			t.Fatal(err)
		}
		if writes = nil; before.Revision == 0 {
			if err := f.load(t.Context()); err != nil {
				t.Fatal(err)
			}
			return
		}
		var refs []weir.Ref
		for _, o := range done.Change.Objects {
			refs = append(refs, o.Ref)
		}
		f.compiler.Follow(done.After, refs)
		f.compile(done.After, f.compiler.Groups(before, done.After, refs), refs)
	}
	is := func(ref, want string) {
		t.Helper()
		kind, name, _ := strings.Cut(ref, "/")
		for _, c := range f.Status(s.View().Get(weir.Ref{Kind: kind, Name: name})).Conditions {
			if c.Type == weir.Admitted {
				if got := fmt.Sprintf("%s %s %d/%d: %s", c.Status, c.Reason, c.Ready, c.Of, c.Message); got != want {
					t.Errorf("%s\nis   %s\nwant %s", ref, got, want)
				}
				return
			}
		}
		if want != "" {
			t.Errorf("%s has no such condition; want %s", ref, want)
		}
	}
	outages := func(want ...api.Outage) {
		t.Helper()
		f.mu.RLock()
		g := f.groups["edge"]
		f.mu.RUnlock()
		got := outagesOf(g, link.Report{State: link.Applying}, nil)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("not serving is\n%v\nwant\n%v", got, want)
		}
	}

	put("", "")
	is("Pool/strict", "False Waiting 0/2: 0 of 2 servers may take traffic: 2 wait for their registration (s0, s1)")
	is("Pool/open", "")
	is("Pool/spare", "Unknown NotInUse 0/0: no Site uses the pool yet")
	is("Server/other", "Unknown NotSelected 0/0: no pool selects it")
	is("Server/s0", "False Waiting 1/3: in pool open; left out of pools spare, strict for want of a registration")
	outages(api.Outage{Object: "Site/www", Reason: api.NotServingNotAdmitted, Message: "backend default: pool strict: no server is admitted: 2 wait for their registration (s0, s1)"})
	if sums := f.Fleet().Servers; sums != nil {
		t.Errorf("nothing is registered: %+v", sums)
	}

	put("healthy", "healthy", "healthy", "stale", "draining", "withdrawn")
	is("Pool/strict", "False Stale 3/6: 3 of 6 servers may take traffic: 1 fell silent and is out (s3), 1 drains (s4), 1 is withdrawn (s5)")
	is("Pool/open", "True Withdrawn 4/6: 4 of 6 servers may take traffic: 1 drains (s4), 1 is withdrawn (s5)")
	is("Server/s0", "True In 3/3: in pools open, spare, strict")
	is("Server/s3", "False Stale 1/3: in pool open; left out of pools spare, strict: it fell silent (registration: GET /ping: 503)")
	is("Server/s4", "False Draining 0/3: drains in pools open, spare, strict (registration: GET /ping: 503)")
	is("Server/s5", "False Withdrawn 0/3: left out of pools open, spare, strict: it is withdrawn (registration: GET /ping: 503)")
	outages()
	if sums := f.Fleet().Servers; sums == nil || *sums != (api.RegisteredServers{Healthy: 3, Draining: 1, Withdrawn: 1, Stale: 1, Unregistered: 1}) {
		t.Errorf("sums are %+v", sums)
	}

	put("healthy", "stale", "stale", "stale", "healthy", "healthy")
	put("healthy", "stale", "stale", "stale", "withdrawn", "withdrawn")
	is("Pool/strict", "False Held 4/6: 4 of 6 servers may take traffic: 3 fell silent and stay in by the floor of 50% and 1 healthy (s1, s2, s3), 2 are withdrawn (s4, s5)")
	is("Server/s1", "False Stale 2/3: in pool open; it fell silent, and the floor keeps it in pool strict; left out of pool spare: it fell silent (registration: GET /ping: 503)")
	outages(api.Outage{Object: "Pool/strict", Reason: api.NotServingSilent, Message: "3 fell silent and stay in (s1, s2, s3)"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(collected(func(out chan<- prometheus.Metric) { f.admissionFigures(f.groups, out) }))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			lines = append(lines, fmt.Sprintf("%s %s %g", strings.TrimPrefix(family.GetName(), "weir_"), m.GetLabel()[0].GetValue(), m.GetGauge().GetValue()))
		}
	}
	want := "pool_admitted_servers strict 4, pool_held_servers strict 3, servers draining 0, servers healthy 1, servers none 1, servers stale 3, servers withdrawn 2"
	if got := strings.Join(lines, ", "); got != want {
		t.Errorf("metrics are %s; want %s", got, want)
	}
}
