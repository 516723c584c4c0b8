package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func (g Graph) words() string {
	var nodes, edges []string
	for _, n := range g.Nodes {
		text := n.ID
		if n.Folds > 0 {
			text += fmt.Sprintf("×%d", n.Folds)
		}
		nodes = append(nodes, text)
	}
	for _, e := range g.Edges {
		edges = append(edges, e.From+">"+e.To)
	}
	return strings.Join(nodes, " ") + " | " + strings.Join(edges, " ")
}

// TestGraph follows what leads where.
func TestGraph(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	get := func(who, query string) Graph {
		t.Helper()
		return read[Graph](t, w.do(who, "GET", "/api/v1/graph"+query, ""))
	}
	want := "LoadBalancer/lb1 LoadBalancerGroup/edge IPAddress/vip1 Site/shop Pool/blue Pool/web Server/web-1 Server/web-2 | " +
		"IPAddress/vip1>Site/shop LoadBalancer/lb1>LoadBalancerGroup/edge LoadBalancerGroup/edge>IPAddress/vip1 Pool/blue>Server/web-1 Pool/blue>Server/web-2 Site/shop>Pool/blue Site/shop>Pool/web"
	shop := get("viewer", "?focus=Site/shop")
	if got := shop.words(); got != want {
		t.Errorf("the way of shop is\n%s, want\n%s", got, want)
	}
	i := slices.IndexFunc(shop.Edges, func(e GraphEdge) bool { return e.To == "Pool/blue" })
	if !slices.Equal(shop.Edges[i].Zones, []string{"az1"}) || shop.Edges[i].Requests != 5 {
		t.Errorf("to its pool leads %+v", shop.Edges[i])
	}
	if got := get("viewer", "?focus=Server/web-1").words(); !strings.HasPrefix(got, "LoadBalancer/lb1 LoadBalancerGroup/edge IPAddress/vip1 Site/shop Pool/blue Server/web-1 |") {
		t.Errorf("to a server leads %s", got)
	}
	if got := get("viewer", "").words(); strings.Contains(got, "media") || strings.Contains(got, "film") || strings.Contains(got, "vip2") || !strings.Contains(got, "Pool/shared") {
		t.Errorf("the viewer of web sees %s", got)
	}
	if got := get("admin", "?role=media").words(); strings.Contains(got, "shop") || !strings.Contains(got, "Server/film-1") || !strings.Contains(got, "LoadBalancerGroup/edge") {
		t.Errorf("of media are %s", got)
	}
	if got := get("admin", "?group=edge").words(); !strings.Contains(got, "Pool/media") || strings.Contains(got, "Pool/shared") {
		t.Errorf("of the group are %s", got)
	}
	w.want(w.do("viewer", "GET", "/api/v1/graph?focus=Site/films", ""), 403)
	w.want(w.do("viewer", "GET", "/api/v1/graph?focus=Site/none", ""), 400)
	w.want(w.do("viewer", "GET", "/api/v1/graph?limit=9", ""), 400)
}

// TestGraphOfCalls: a way out leads to the partners that rules let its applications call, which become one node where they
// are many; whose partner one may not see is not there.
func TestGraphOfCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := `
kind: Site
metadata: {name: out, role: web}
spec: {hostnames: [out.example.com], addresses: [vip1], listeners: [{port: 80}], egress: {environments: [prod]}}
---
kind: EgressClient
metadata: {name: c-prod, role: web}
spec: {environment: prod, sources: [10.1.0.0/16]}
---
kind: EgressClient
metadata: {name: c-test, role: web}
spec: {environment: test, sources: [10.1.0.0/16]}
---
kind: SLA
metadata: {name: high}
`
	call := func(partner, role, client string) {
		text += fmt.Sprintf(`---
kind: Partner
metadata: {name: %[1]s, role: %[2]s, shareWith: [web]}
spec: {endpoints: [{environment: prod, service: www, host: a.example.net, addresses: [192.0.2.1]}]}
---
kind: EgressRule
metadata: {name: %[1]s, role: web}
spec: {clients: [%[3]s], partner: %[1]s, environment: prod, slas: [high]}
`, partner, role, client)
	}
	for i := range 40 {
		call(fmt.Sprintf("many-%02d", i), "web", "c-prod")
	}
	call("films", "media", "c-prod")
	call("tested", "web", "c-test")
	w.want(w.do("admin", "POST", "/api/v1/apply", text), 200)
	g := read[Graph](t, w.do("viewer", "GET", "/api/v1/graph?focus=Site/out", ""))
	if got := g.words(); !strings.Contains(got, "Site/out>Partner/many-39") || strings.Contains(got, "films") || strings.Contains(got, "tested") {
		t.Errorf("the way out leads to %s", got)
	}
	g = read[Graph](t, w.do("viewer", "GET", "/api/v1/graph?focus=Site/out&limit=12", ""))
	if got := g.words(); !strings.Contains(got, "Partner:role web×40") || !strings.Contains(got, "Site/out>Partner:role web") {
		t.Errorf("folded it leads to %s", got)
	}
	if got := read[Graph](t, w.do("other", "GET", "/api/v1/graph", "")).words(); strings.Contains(got, "many-") || !strings.Contains(got, "Partner/films") {
		t.Errorf("another role sees %s", got)
	}
}

// TestGraphFolds keeps a graph small, however much there is, and opens what is asked for.
func TestGraphFolds(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "---\nkind: Server\nmetadata: {name: more-%02d, role: web}\nspec: {address: 10.9.0.%d, zone: az1, clusters: [blue], ports: {http: 8080}}\n", i, i+1)
	}
	w.want(w.do("admin", "POST", "/api/v1/apply", b.String()), 200)
	for _, c := range []struct{ who, query, want string }{
		{"viewer", "?limit=30", "Server:of Pool/blue×42"},
		{"admin", "?limit=13", "Pool:web×2 Pool:media×2 Pool/shared"},
		{"admin", "?limit=10", "IPAddress:edge×2 Site/films Site:role web×2"},
		{"viewer", "?limit=30&open=Server:of%20Pool/blue", "Server/more-39"},
		{"admin", "?limit=12", "Site:role web×2 Pool:web×2"},
		{"admin", "?limit=10&open=Server:role%20web", "Server/film-1 Server:web az1×41 Server/web-2"},
		{"admin", "?limit=10&open=Server:role%20web,Server:web%20az1", "Server/film-1 Server:of Pool/blue×41 Server/web-2"},
	} {
		g := read[Graph](t, w.do(c.who, "GET", "/api/v1/graph"+c.query, ""))
		if got := g.words(); !strings.Contains(got, c.want) || !strings.Contains(c.query, "open") && len(g.Nodes) > 30 {
			t.Errorf("%s: %d nodes, %s", c.query, len(g.Nodes), got)
		}
		for _, n := range g.Nodes {
			if n.Folds > 0 && (n.Kind == "Server" && (n.State != StateDown || n.Why == "" || n.States[StateDown] != 1)) {
				t.Errorf("%+v", n)
			}
		}
		for _, e := range g.Edges {
			for _, end := range []string{e.From, e.To} {
				if !slices.ContainsFunc(g.Nodes, func(n GraphNode) bool { return n.ID == end }) {
					t.Errorf("%s: an edge leads to %s, which is not there", c.query, end)
				}
			}
		}
	}
}
