package e2e

import (
	"fmt"
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestPeerFault2: a new certificate is served at once, without a reload: of a new site, renewed, and the ECDSA and
// RSA twins of one name, of which each client gets the one that it understands.
func TestPeerFault2(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.apply(w.oneZone())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		ca := newAuthority(t, "ca")
		reloads, at := w.reloads(), w.at(17).String()+":8443"
		client := tlsClient{w: w, roots: ca.pool(), sni: "twin.example.com"}
		if _, err := client.shake(at); err == nil {
			t.Error("a host without a certificate got a handshake")
		}
		first := ca.issue("twin.example.com")
		w.converged(w.apply(first.manifest("twin-ec") + secureSite("twin", "twin.example.com", "[twin-ec]")))
		if got := client.serves(at, "twin.example.com", "/"); got.leaf.PublicKeyAlgorithm.String() != "ECDSA" {
			t.Errorf("shown: %s", got.leaf.PublicKeyAlgorithm)
		}
		// Its twin.
		w.converged(w.apply(ca.sign(rsaKey(t, 2048), "twin.example.com").manifest("twin-rsa") + secureSite("twin", "twin.example.com", "[twin-ec, twin-rsa]")))
		for kind, suites := range map[string][]uint16{"RSA": onlyRSA, "ECDSA": onlyECDSA} {
			one := client
			one.ciphers = suites
			if got := one.serves(at, "twin.example.com", "/"); got.leaf.PublicKeyAlgorithm.String() != kind {
				t.Errorf("a client of %s is shown %s", kind, got.leaf.PublicKeyAlgorithm)
			}
		}
		// Renewed: the very next handshake shows it.
		before := client.serves(at, "twin.example.com", "/").leaf
		w.converged(w.apply(ca.issue("twin.example.com").manifest("twin-ec")))
		one := client
		one.ciphers = onlyECDSA
		state, err := one.shake(at)
		if err != nil {
			t.Fatal(err)
		}
		if got := state.PeerCertificates[0]; got.SerialNumber.Cmp(before.SerialNumber) == 0 {
			t.Errorf("the old certificate is shown after %+v", w.conditions("certificates/twin-ec"))
		}
		if w.reloads() != reloads {
			t.Errorf("certificates took a reload: %+v", w.status())
		}
	})
}

// everything reads all objects of all kinds, as they are applied: without status, and without revision, which is
// the store's.
func (w *world) everything() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, kind := range weir.Kinds() {
		if kind.ReadOnly {
			continue
		}
		var list struct{ Items []map[string]any }
		if _, err := w.call("GET", "/api/v1/"+kind.Plural, "", &list); err != nil {
			w.t.Fatal(err)
		}
		for _, o := range list.Items {
			delete(o, "status")
			delete(o, "revision")
			all[kind.Name+"/"+o["metadata"].(map[string]any)["name"].(string)] = toJSON(o)
		}
	}
	return all
}

// differing names the objects that are not the same in two readings.
func differing(a, b map[string]string) []string {
	var list []string
	for name := range a {
		if a[name] != b[name] {
			list = append(list, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			list = append(list, name)
		}
	}
	return list
}

// TestPeerFault4: a PUT of one object loses nothing of others, and what is not known is refused, never dropped.
func TestPeerFault4(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(w.oneZone() + w.manyRoutes())
	before := w.everything()
	pool := w.raw("pools/r-api")
	delete(pool, "status")
	spec := pool["spec"].(map[string]any)
	spec["balance"] = "leastconn"
	if _, err := w.call("PUT", "/api/v1/pools/r-api", toJSON(pool), nil); err != nil {
		t.Fatal(err)
	}
	after := w.everything()
	if got := differing(before, after); len(got) != 1 || got[0] != "Pool/r-api" {
		t.Errorf("a PUT of Pool/r-api changed %v", got)
	}
	for path, unknown := range map[string]func(){
		"spec.comment":             func() { spec["comment"] = "x" },
		"spec.healthCheck.inter":   func() { spec["healthCheck"].(map[string]any)["inter"] = "2s" },
		"spec.members[0].disabled": func() { spec["members"].([]any)[0].(map[string]any)["disabled"] = true },
		"metadata.annotations":     func() { pool["metadata"].(map[string]any)["annotations"] = map[string]any{} },
	} {
		pool = w.raw("pools/r-api")
		delete(pool, "status")
		spec = pool["spec"].(map[string]any)
		unknown()
		status, err := w.call("PUT", "/api/v1/pools/r-api", toJSON(pool), nil)
		if status != 400 || !strings.Contains(fmt.Sprint(err), path) {
			t.Errorf("%s: %d %v", path, status, err)
		}
		if status, err = w.call("POST", "/api/v1/apply", toJSON(pool), nil); status != 400 || !strings.Contains(fmt.Sprint(err), path) {
			t.Errorf("%s applied: %d %v", path, status, err)
		}
	}
	if got := differing(after, w.everything()); len(got) > 0 {
		t.Errorf("refused writes changed %v", got)
	}
}

// TestExportAppliesToNothing: everything read back and applied again, in JSON and as a list, is an empty plan and
// no change.
func TestExportAppliesToNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.origin(200, "web1")
	ca := newAuthority(t, "ca")
	w.apply(w.oneZone() + w.manyRoutes() + ca.issue("www.example.com").manifest("www") + secureSite("secure", "secure.example.com", "[www]") +
		keyPair{chain: ca.pem}.manifest("ca") + "---\nkind: Secret\nmetadata: {name: s, role: web}\nspec: {data: hidden}\n" + odds)
	w.join("lb1", "edge", "az1", weirtest.HAProxies(t)[0], "")
	w.converged(1)
	revision := w.status().Revision
	before := w.everything()
	var objects []string
	for name, o := range before {
		if !strings.HasPrefix(name, "Token/") {
			objects = append(objects, o)
		}
	}
	list := `{"kind":"List","items":[` + strings.Join(objects, ",") + "]}"
	var plan struct {
		Revision int64
		Change   struct{ Objects []any }
		Plan     struct{ LoadBalancers, Problems []any }
	}
	if _, err := w.call("POST", "/api/v1/plan", list, &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Change.Objects)+len(plan.Plan.LoadBalancers)+len(plan.Plan.Problems) > 0 || plan.Revision != revision {
		t.Errorf("revision %d, plan %+v", revision, plan)
	}
	if again := w.apply(list); again != revision {
		t.Errorf("applied again, revision %d became %d", revision, again)
	}
	for name, o := range before {
		kind, one, _ := strings.Cut(name, "/")
		k, _ := weir.KindByName(kind)
		if kind == "Token" {
			continue
		}
		var answer struct{ Revision int64 }
		if _, err := w.call("PUT", "/api/v1/"+k.Plural+"/"+one+"?reason=again", o, &answer); err != nil {
			t.Error(err)
		}
	}
	if now := w.status().Revision; now != revision {
		t.Errorf("each put again, revision %d became %d", revision, now)
	}
	if got := differing(before, w.everything()); len(got) > 0 {
		t.Errorf("applied again, and these differ: %v", got)
	}
}

// odds are objects with fields that have a short and a long form, or defaults.
const odds = `---
kind: Grant
metadata: {name: g}
spec: {subject: "someone@example.com", role: web, right: operator}
---
kind: ErrorPage
metadata: {name: page, role: web}
spec: {body: "<h1>é \"quoted\" %[src]</h1>\n#\n"}
---
kind: Pool
metadata: {name: odd, role: web, labels: {team: a_b, x: ""}, shareWith: [media]}
spec:
  members: [{name: m, address: "2001:db8::1", port: 80, weight: 0}]
  queue: none
  port: 80
  slowStart: 90s
  serverTimeout: 1500ms
  maxConnections: {perServer: 5}
  healthCheck: {type: none}
---
kind: Role
metadata: {name: media}
spec: {contact: "the media people", hostnames: ["*.media.example.com"], quotas: {Site: 3}}
---
kind: Override
metadata: {name: o, role: web}
spec: {server: web1, weight: 0, reason: "it's broken", expiresAt: 2100-01-01T12:00:00+02:00}
---
kind: Site
metadata: {name: idn, role: web}
spec:
  hostnames: ["Bücher.Example", "*.x.example."]
  addresses: [www]
  listeners: [{port: 8080}]
  backends: {default: {az1: web}}
  errorPages: {503: page}
`
