package api

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/internal/ir"
)

// fakeTries is a fleet of which lb2 is not there, and whose checks pass at port 80 alone.
type fakeTries struct {
	mu    sync.Mutex
	asked []string
	nodes []ir.Node
}

// Connected implements TrySource.
func (f *fakeTries) Connected(lb string) bool { return lb != "lb2" }

// Try implements TrySource.
func (f *fakeTries) Try(_ context.Context, lb string, node ir.Node) (map[string]Tried, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if lb == "lb2" {
		return nil, weir.Errorf(weir.Unavailable, "the agent of load balancer lb2 is not connected to the control plane")
	}
	results := map[string]Tried{}
	names := lb
	for _, s := range node.Pools[0].Servers {
		names += " " + s.Name
		results[s.Name] = Tried{Passed: s.Address.Port() == 80, Status: map[bool]string{true: "L7OK", false: "L7STS"}[s.Address.Port() == 80], Said: "said \x1b[2J", TookMs: 3}
	}
	f.asked, f.nodes = append(f.asked, names), append(f.nodes, node)
	return results, nil
}

const triedPool = `kind: Pool
metadata: {name: coming, role: web}
spec: {members: [{name: a, address: 10.0.0.1, port: 80}, {name: b, address: 10.0.0.2, port: 81}], healthCheck: {path: /ping}}
`

// TestTryPool: a pool that is not there is checked by a load balancer as it would be, and what each check said is told;
// it is recorded who had it done, and nothing is saved.
func TestTryPool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", secondBalancers), 200)
	before := w.store.Revision()
	got := read[TryAnswer](t, w.do("owner", "POST", "/api/v1/pools/try", triedPool))
	want := []Tried{
		{LoadBalancer: "lb1", Server: "a", Address: "10.0.0.1", Port: 80, Passed: true, Status: "L7OK", TookMs: 3, Said: "said \ufffd[2J"},
		{LoadBalancer: "lb1", Server: "b", Address: "10.0.0.2", Port: 81, Status: "L7STS", TookMs: 3, Said: "said \ufffd[2J"},
	}
	if !slices.Equal(got.Tried, want) || got.Pool != "coming" {
		t.Errorf("%+v", got)
	}
	check := w.tryer.nodes[0].Pools[0].Check
	if check.Path != "/ping" || check.Method == "" || check.Rise == 0 || w.tryer.nodes[0].Group.Name != "edge" || len(w.tryer.nodes[0].Sites) > 0 {
		t.Errorf("asked with %+v", w.tryer.nodes[0])
	}
	one := read[TryAnswer](t, w.do("owner", "POST", "/api/v1/pools/try?server=b&loadBalancer=lb3", triedPool))
	if len(one.Tried) != 1 || one.Tried[0].Server != "b" || one.Tried[0].LoadBalancer != "lb3" {
		t.Errorf("%+v", one)
	}
	var many strings.Builder
	for i := range 30 {
		fmt.Fprintf(&many, "{name: s%d, address: 10.0.1.%d, port: 80},", i, i+1)
	}
	all := read[TryAnswer](t, w.do("owner", "POST", "/api/v1/pools/try", manifest("Pool", "many", roleWeb+"spec: {members: ["+many.String()+"]}")))
	if len(all.Tried) != maxTried || all.Omitted != 30-maxTried {
		t.Errorf("%d tried, %d omitted", len(all.Tried), all.Omitted)
	}
	if w.store.Revision() != before {
		t.Error("something was saved")
	}
	text, err := os.ReadFile(w.audit)
	if err != nil || !strings.Contains(string(text), "lb1 checks 10.0.0.1:80, 10.0.0.2:81") || !strings.Contains(string(text), "Pool/coming") {
		t.Errorf("the audit file: %s, %v", text, err)
	}
}

// TestTryPoolIsRefused: whoever may not save the pool may not try it, nor servers that it does not have, nor from load
// balancers that its role may not use, nor as often as they like.
func TestTryPoolIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", secondBalancers+"---\nkind: Role\nmetadata: {name: web}\nspec: {groups: [edge]}\n"), 200)
	for _, try := range []struct {
		who, query, body string
		status           int
		word             string
	}{
		{"operator", "", triedPool, 403, "owner"},
		{"other", "", triedPool, 403, "owner"},
		{"owner", "", strings.Replace(triedPool, "role: web", "role: media", 1), 403, "owner"},
		{"other", "", strings.Replace(strings.Replace(triedPool, "coming", "web", 1), "role: web", "role: media", 1), 403, "Pool/web"}, // of a pool that is there, of another role
		{"owner", "", manifest("Pool", "p", roleWeb+"spec: {selector: {role: media}, port: 80}"), 400, "media"},
		{"owner", "", strings.Replace(triedPool, "path: /ping", "type: none", 1), 400, "no health check"},
		{"owner", "", strings.Replace(triedPool, "port: 81", "port: 0", 1), 400, "port"},
		{"owner", "?server=c", triedPool, 400, "member"},
		{"owner", "?loadBalancer=nosuch", triedPool, 404, "nosuch"},
		{"owner", "?loadBalancer=lb9", triedPool, 403, "far"},
		{"owner", "?loadBalancer=lb2", triedPool, 503, "lb2"},
		{"owner", "", manifest("Pool", "p", roleWeb+"spec: {selector: {role: web}, port: 80}"), 409, "no server"},
	} {
		p := w.want(w.do(try.who, "POST", "/api/v1/pools/try"+try.query, try.body), try.status).problem(t)
		if !strings.Contains(fmt.Sprint(p.Detail, p.Errors), try.word) {
			t.Errorf("%+v: %s %v", try, p.Detail, p.Errors)
		}
	}
	if len(w.tryer.asked) > 0 {
		t.Errorf("asked all the same: %q", w.tryer.asked)
	}
	status := 0
	for range tryBurst + 1 {
		status = w.do("owner", "POST", "/api/v1/pools/try", triedPool).StatusCode
	}
	if status != 429 || len(w.tryer.asked) >= tryBurst+1 {
		t.Errorf("status %d after %d tries", status, len(w.tryer.asked))
	}
	w.want(w.do("admin", "POST", "/api/v1/pools/try", triedPool), 200) // who has not tried yet
	w.pass(tryEvery)
	w.want(w.do("owner", "POST", "/api/v1/pools/try", triedPool), 200)
}
