package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// TestServesFromDisk: with the control plane gone, agents and HAProxies start again and serve all there was, over
// TLS too, with a server that is down known to be down, and what is refused kept out.
func TestServesFromDisk(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w, ca := secureWorld(t, h, "")
		second := w.origin(201, "web2")
		w.converged(w.apply(w.twoServers()))
		a := w.agents["lb1"]
		w.converged(w.apply(strings.ReplaceAll(badSite("routed", ", routes: [{match: {path: {regex: '/x{3,1}'}}, backend: default}]"), "p0", "web")))
		w.says("sites/routed", "Quarantined", "True")
		client := tlsClient{w: w, roots: ca.pool(), sni: "one.example.com"}
		plain, secure := w.at(17).String()+":8080", w.at(17).String()+":8443"
		w.health("web", "web2", "up")
		all := func() {
			t.Helper()
			w.onlyFrom(plain, "www.example.com", "web1", "web2")
			client.serves(secure, "one.example.com", "/")
			if got := w.asked(plain, "one.example.com").StatusCode; got != 308 {
				t.Errorf("the redirect answers %d", got)
			}
		}
		all()
		w.stopServer()
		all()
		a.stop()
		w.startAgent(a)
		all()
		w.killHAProxy(a)
		all()
		second.Stop()
		w.onlyFrom(plain, "www.example.com", "web1")
		w.startServer()
		w.converged(1)
		w.says("sites/routed", "Quarantined", "True")
		w.health("web", "web2", "down")
	})
}

// asked is ask without following redirects.
func (w *world) asked(at, host string) *http.Response {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+at+"/", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Host = host
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	answer.Body.Close()
	return answer
}

// TestReloadHandsRouteToNewPool: the pool comes with a reload, on every version, its servers have not been checked
// by then, and the site fails no request.
func TestReloadHandsRouteToNewPool(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "other")
		w.apply(w.oneZone())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		clients := w.send(at, "www.example.com")
		clients.more(50)
		reloads := w.reloads()
		w.converged(w.apply(fmt.Sprintf(`
kind: Tuning
metadata: {name: default}
spec: {ports: [{port: 8080, mode: http}, {port: 8443, mode: https}, {port: 8081, mode: http}]}
---
kind: Pool
metadata: {name: slow, role: web}
spec: {members: [{name: m, address: %s, port: 9000}], healthCheck: {path: /ping, interval: 10s, rise: 3}}
---
kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.example.com], addresses: [www], listeners: [{port: 8080}, {port: 8081}], backends: {default: slow}}
`, w.at(201))))
		w.onlyFrom(at, "www.example.com", "other")
		clients.more(50)
		clients.flawless()
		if w.reloads() == reloads {
			t.Error("nothing was reloaded: that shows nothing")
		}
	})
}

// TestUndoBringsTrafficBack: a site is broken by a change, and the change is undone; the history has who, why,
// before and after of both.
func TestUndoBringsTrafficBack(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.origin(200, "web1")
	w.origin(201, "other")
	w.apply(w.oneZone())
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	at := w.at(17).String() + ":8080"
	w.onlyFrom(at, "www.example.com", "web1")
	before := w.everything()
	var applied struct{ Revision int64 }
	// One change with a new object, a changed one and a deleted one.
	body := fmt.Sprintf(`
kind: Pool
metadata: {name: wrong, role: web}
spec: {members: [{name: m, address: %s, port: 9000}], healthCheck: {type: none}}
---
kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: wrong}}
`, w.at(201))
	if _, err := w.call("POST", "/api/v1/apply?reason=rollout%20881&delete=Pool/web", body, &applied); err != nil {
		t.Fatal(err)
	}
	w.converged(applied.Revision)
	w.onlyFrom(at, "www.example.com", "other")
	clients := w.send(at, "www.example.com")
	var undone struct{ Revision int64 }
	if _, err := w.call("POST", fmt.Sprintf("/api/v1/changes/%d/undo?reason=was%%20bad", applied.Revision), "", &undone); err != nil {
		t.Fatal(err)
	}
	w.converged(undone.Revision)
	w.onlyFrom(at, "www.example.com", "web1")
	clients.flawless()
	if got := differing(before, w.everything()); len(got) > 0 {
		t.Errorf("undone, and these differ: %v", got)
	}
	type side = map[string]any
	type change struct {
		Author, Reason string
		Undoes         int64
		Objects        []struct {
			Kind, Name    string
			Before, After side
		}
	}
	for revision, want := range map[int64]struct {
		reason string
		undoes int64
		sides  map[string]string // before and after of each object, by whether it is there
	}{
		applied.Revision: {"rollout 881", 0, map[string]string{"wrong": "-+", "www": "++", "web": "+-"}},
		undone.Revision:  {"was bad", applied.Revision, map[string]string{"wrong": "+-", "www": "++", "web": "-+"}},
	} {
		var c change
		if _, err := w.call("GET", fmt.Sprintf("/api/v1/changes/%d", revision), "", &c); err != nil {
			t.Fatal(err)
		}
		if c.Author != "admin" || c.Reason != want.reason || c.Undoes != want.undoes || len(c.Objects) != len(want.sides) {
			t.Errorf("change %d: %+v", revision, c)
		}
		for _, o := range c.Objects {
			sign := map[bool]string{true: "-", false: "+"}
			if got := sign[o.Before == nil] + sign[o.After == nil]; got != want.sides[o.Name] {
				t.Errorf("change %d: %s/%s has sides %s, want %s", revision, o.Kind, o.Name, got, want.sides[o.Name])
			}
			if o.Name == "www" && toJSON(o.Before) == toJSON(o.After) {
				t.Errorf("change %d: before and after of the site are alike", revision)
			}
		}
	}
}
