package api

import (
	"fmt"
	"strings"
	"testing"

	"weir"
	"weir/internal/store"
)

// previewWorld has servers of two roles, of which one each is shared with the other.
func previewWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	server := func(name, role, more, spec string) string {
		return fmt.Sprintf("---\nkind: Server\nmetadata: {name: %s, role: %s%s}\nspec: {address: 10.0.0.7, zone: %s}\n", name, role, more, spec)
	}
	w.want(w.do("admin", "POST", "/api/v1/apply", "kind: Zone\nmetadata: {name: az2}\n"+
		server("web-1", "web", "", "az1, clusters: [blue], ports: {http: 8080}, weight: 7")+
		server("web-2", "web", "", "az2, clusters: [blue], ports: {http: 8080}")+
		server("web-3", "web", "", "az1, clusters: [green], ports: {http: 8080}")+
		server("web-4", "web", "", "az1, clusters: [blue]")+
		server("web-5", "web", "", "az1, clusters: [blue], ports: {http: 8080}")+
		server("static", "web", "", "az1, clusters: [blue], ports: {http: 8080}")+
		server("film-1", "media", ", shareWith: [web]", "az1, ports: {http: 8080}")+
		server("film-2", "media", "", "az1, ports: {http: 8080}")), 200)
	w.register("web-5", weir.RegistrationWithdrawn, "disk full")
	return w
}

// register says what a server's registration is, as the control plane does.
func (w *world) register(name, state, reason string) {
	w.t.Helper()
	o := w.store.View().Get(weir.Ref{Kind: "Server", Name: name}).Clone()
	o.Spec.(*weir.Server).Registration = &weir.Registration{State: state, Since: w.clock(), By: "registration", Reason: reason}
	if _, err := w.store.Apply(w.t.Context(), store.Request{Author: "test", Writes: []weir.Write{{Put: o}}, Registers: true}); err != nil {
		w.t.Fatal(err)
	}
}

func (p *PoolPreview) String() string {
	var b strings.Builder
	for _, s := range p.Servers {
		fmt.Fprintf(&b, "%s %t %s %s (%s)\n", s.Name, s.In, s.State, s.Address, s.Reason)
	}
	fmt.Fprintf(&b, "in %d out %v omitted %d hidden %d", p.In, p.Out, p.Omitted, p.Hidden)
	return b.String()
}

const bluePool = "kind: Pool\nmetadata: {name: blue, role: web}\nspec: {selector: {role: web, zone: az1, clusters: [blue]}, port: http, members: [{name: static, address: 10.0.0.9, port: 81}]}"

func TestPreviewOfAPool(t *testing.T) {
	t.Parallel()
	w := previewWorld(t)
	before := w.everything()
	for _, c := range []struct{ who, query, body, want string }{
		{"viewer", "", bluePool, `static true in 10.0.0.9:81 (once its health check passes)
web-1 true in 10.0.0.7:8080 (once its health check passes)
static false member  (the pool has a static member of its name)
web-2 false zone  (in zone az2; the pool takes az1)
web-3 false cluster  (in cluster green; the pool takes blue)
web-4 false port  (it has no port "http")
web-5 false withdrawn 10.0.0.7:8080 (its registration is withdrawn: disk full)
in 2 out map[cluster:1 member:1 port:1 withdrawn:1 zone:1] omitted 0 hidden 0`},
		{"viewer", "?others=1", strings.Replace(bluePool, "port: http", "port: http, admission: registration, healthCheck: {type: none}", 1), `static true in 10.0.0.9:81 (it takes traffic at once)
static false member  (the pool has a static member of its name)
in 1 out map[cluster:1 member:1 port:1 waiting:1 withdrawn:1 zone:1] omitted 5 hidden 0`},
		// Of another role only what is shared is shown.
		{"viewer", "", "kind: Pool\nmetadata: {name: x, role: web}\nspec: {selector: {role: media}, port: http}", `film-1 true in 10.0.0.7:8080 (once its health check passes)
in 1 out map[] omitted 0 hidden 1`},
		{"viewer", "", "kind: Pool\nmetadata: {name: x, role: web}\nspec: {selector: {role: media}, port: http, healthCheck: {type: none}}", `film-1 true in 10.0.0.7:8080 (it takes traffic at once)
in 1 out map[] omitted 0 hidden 1`},
		{"auditor", "", "kind: Pool\nmetadata: {name: x, role: web}\nspec: {selector: {role: media}, port: 80}", `film-1 true in 10.0.0.7:80 (once its health check passes)
film-2 false shared  (it is of role media, which does not share it with the pool's role)
in 1 out map[shared:1] omitted 0 hidden 0`},
		// A pool without a role selects whomever it likes; who asks sees no more for it.
		{"viewer", "", "kind: Pool\nmetadata: {name: x}\nspec: {selector: {role: media}, port: http}", `in 0 out map[] omitted 0 hidden 2`},
		{"viewer", "", "kind: Pool\nmetadata: {name: x, role: web}\nspec: {members: [{name: a, address: 10.0.0.1, port: 80}], healthCheck: {type: none}}", `a true in 10.0.0.1:80 (it takes traffic at once)
in 1 out map[] omitted 0 hidden 0`},
	} {
		got := read[PoolPreview](t, w.want(w.do(c.who, "POST", "/api/v1/pools/preview"+c.query, c.body), 200))
		if got.String() != c.want {
			t.Errorf("%s of %s:\n%s\nwant\n%s", c.who, c.body, &got, c.want)
		}
	}
	w.want(w.do("viewer", "POST", "/api/v1/pools/preview", strings.Replace(bluePool, "role: web}", "role: media}", 1)), 403)
	w.want(w.do("viewer", "POST", "/api/v1/pools/preview", strings.Replace(bluePool, "port: 81", "port: 0", 1)), 400)
	w.want(w.do("viewer", "POST", "/api/v1/pools/preview", manifest("Zone", "az3", "}")), 400)
	w.want(w.do("viewer", "POST", "/api/v1/pools/preview?others=-1", bluePool), 400)
	if w.everything() != before {
		t.Error("a preview left a trace")
	}
	w.want(w.do("owner", "PUT", "/api/v1/pools/blue", bluePool), 201)
	if got := read[PoolPreview](t, w.want(w.do("viewer", "GET", "/api/v1/pools/blue/preview?others=0", ""), 200)); got.In != 2 || got.Omitted != 5 || got.Pool != "blue" {
		t.Errorf("of the pool that is there: %s", &got)
	}
	w.want(w.do("viewer", "GET", "/api/v1/pools/none/preview", ""), 404)
}

func TestPoolsOfAServer(t *testing.T) {
	t.Parallel()
	w := previewWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", bluePool+
		"\n---\nkind: Pool\nmetadata: {name: all, role: web}\nspec: {selector: {role: web}, port: 90, admission: registration}"+
		"\n---\nkind: Pool\nmetadata: {name: films, role: web}\nspec: {selector: {role: media}, port: http}"+
		"\n---\nkind: Override\nmetadata: {name: o, role: web}\nspec: {server: web-1, state: drain, reason: test, expiresAt: 2100-01-01T00:00:00Z}"), 200)
	pools := func(who, server string) string {
		v := read[ServerPools](t, w.want(w.do(who, "GET", "/api/v1/servers/"+server+"/pools", ""), 200))
		var list []string
		for _, p := range v.Pools {
			list = append(list, fmt.Sprintf("%s:%d %t %s %v", p.Pool, p.Port, p.In, p.State, p.Overrides))
		}
		return v.Registration + "| " + strings.Join(list, ", ")
	}
	for server, want := range map[string]string{
		"web-1":  "| all:90 false waiting [o], blue:8080 true in [o]",
		"web-4":  "| all:90 false waiting [], blue:0 false port []",
		"web-5":  "withdrawn| all:90 false withdrawn [], blue:8080 false withdrawn []",
		"static": "| all:90 false waiting [], blue:0 false member []",
	} {
		if got := pools("viewer", server); got != want {
			t.Errorf("%s: %s, want %s", server, got, want)
		}
	}
	if got := pools("other", "film-1"); got != "| films:8080 true in []" {
		t.Errorf("film-1: %s", got)
	}
	// What fell silent stays in as long as the pool's floor asks for it.
	w.register("web-2", weir.RegistrationStale, "")
	if got := pools("viewer", "web-2"); got != "stale| all:90 true held []" {
		t.Errorf("the only one, silent: %s", got)
	}
	w.register("web-3", weir.RegistrationHealthy, "")
	w.register("web-4", weir.RegistrationHealthy, "")
	if got := pools("viewer", "web-2"); got != "stale| all:90 false stale []" {
		t.Errorf("silent beside two: %s", got)
	}
	w.want(w.do("other", "GET", "/api/v1/servers/web-1/pools", ""), 403)
	w.want(w.do("viewer", "GET", "/api/v1/servers/none/pools", ""), 404)
}
