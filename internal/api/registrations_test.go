package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"weir"
	"weir/internal/registrar"
	"weir/internal/secrets"
)

// field is an API at which servers register, over TLS.
type field struct {
	*world
	url   string
	token string
}

// newField makes a registration token called web, with terms.
func newField(t *testing.T, terms string) *field {
	t.Helper()
	f := &field{world: newWorld(t)}
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan struct{})
	go func() { f.handler.opts.Registrar.Follow(ctx); close(followed) }()
	t.Cleanup(func() { cancel(); <-followed })
	pair, err := f.ca.IssueServer([]string{"localhost"}, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(f.handler)
	server.TLS = secrets.ServerTLS(secrets.ServerConfig{Certificate: func() *tls.Certificate { return &pair }, Trust: f.ca.Trust, Now: f.clock})
	server.StartTLS()
	t.Cleanup(server.Close)
	f.url = server.URL
	f.token = f.newToken("web", terms)
	return f
}

func (f *field) newToken(name, terms string) string {
	f.t.Helper()
	body := fmt.Sprintf("kind: Token\nmetadata: {name: %s}\nspec: {subject: registration, registration: %s}", name, terms)
	return read[tokenText](f.t, f.do("admin", "POST", "/api/v1/tokens", body)).Token
}

// machine is a server that registers itself.
type machine struct {
	f    *field
	name string
	key  *ecdsa.PrivateKey
	pair *tls.Certificate
}

func (f *field) machine(name string) *machine {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	return &machine{f: f, name: name, key: key}
}

func (m *machine) ask(method, path, body string, headers ...string) answer {
	m.f.t.Helper()
	config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: "127.0.0.1", Trust: m.f.ca.Trust(), Certificate: func() *tls.Certificate { return m.pair }, Now: m.f.clock})
	if err != nil {
		m.f.t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(m.f.t.Context(), method, m.f.url+path, strings.NewReader(body))
	if err != nil {
		m.f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		m.f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		m.f.t.Fatal(err)
	}
	return answer{resp, raw}
}

func (m *machine) csr(name string) string {
	m.f.t.Helper()
	csr, err := secrets.CSR(m.key, name)
	if err != nil {
		m.f.t.Fatal(err)
	}
	body, err := json.Marshal(ExchangeRequest{Name: name, CSR: string(csr)})
	if err != nil {
		m.f.t.Fatal(err)
	}
	return string(body)
}

func (m *machine) exchange(token string) answer {
	return m.ask("POST", "/api/v1/registrations", m.csr(m.name), "Authorization", "Bearer "+token)
}

// take keeps a certificate that was given.
func (m *machine) take(a answer) *machine {
	m.f.t.Helper()
	identity := read[registrar.Identity](m.f.t, a)
	pair, err := secrets.AgentCertificate(m.key, []byte(identity.Certificate))
	if err != nil {
		m.f.t.Fatal(err)
	}
	m.pair = &pair
	return m
}

func (m *machine) says(body string) answer {
	return m.ask("PUT", "/api/v1/registrations/"+m.name, body)
}

func (f *field) server(name string) *weir.Object {
	return f.store.View().Get(weir.Ref{Kind: "Server", Name: name})
}

const webTerms = "{role: web, zone: az1, clusters: [front, back], names: [web-*]}"

func TestAServerRegisters(t *testing.T) {
	t.Parallel()
	f := newField(t, webTerms)
	m := f.machine("web-1")
	m.take(f.want(m.exchange(f.token), 200))
	a := read[registrar.Answer](t, m.says(`{"ports": {"http": 8080}, "labels": {"tier": "front"}, "state": "healthy"}`))
	if a.State != "healthy" || a.Lease.String() != "30s" || a.Heartbeat.String() != "10s" || a.ManagedBy != "" {
		t.Errorf("%+v", a)
	}
	o := f.server("web-1")
	s := o.Spec.(*weir.Server)
	if o.Metadata.Role != "web" || o.Metadata.ManagedBy != "registration" || o.Metadata.Labels["tier"] != "front" {
		t.Errorf("%+v", o.Metadata)
	}
	if s.Address.String() != "127.0.0.1" || s.Zone != "az1" || strings.Join(s.Clusters, " ") != "front back" || s.Ports["http"] != 8080 || *s.Weight != 100 {
		t.Errorf("%+v", s)
	}
	if is := s.Registration; is.State != "healthy" || is.By != "registration/web" || is.Since.IsZero() {
		t.Errorf("%+v", is)
	}
	change := read[ChangeList](t, f.do("admin", "GET", "/api/v1/changes?kind=Server&limit=1", ""))
	if one := change.Items[0]; one.Author != "registration/web-1" || one.Reason != "registered with token web: healthy" {
		t.Errorf("%+v", one)
	}
	// The same again writes nothing; what differs does.
	before := f.store.Revision()
	for range 3 {
		f.want(m.says(`{"ports": {"http": 8080}, "labels": {"tier": "front"}, "state": "healthy"}`), 200)
	}
	if f.store.Revision() != before {
		t.Error("the same again was written")
	}
	f.want(m.says(`{"ports": {"http": 8081}, "clusters": ["back"], "state": "withdrawn", "reason": "disk is full"}`), 200)
	s = f.server("web-1").Spec.(*weir.Server)
	if s.Ports["http"] != 8081 || len(s.Clusters) != 1 || s.Registration.State != "withdrawn" || s.Registration.Reason != "disk is full" {
		t.Errorf("%+v %+v", s, s.Registration)
	}
	f.want(m.says(`{"ports": {"http": 8081}, "state": "healthy"}`), 200)
	a = read[registrar.Answer](t, m.ask("DELETE", "/api/v1/registrations/web-1?reason=stopped", ""))
	if a.State != "withdrawn" || a.Reason != "stopped" {
		t.Errorf("%+v", a)
	}
	if is := f.server("web-1").Spec.(*weir.Server).Registration; is.State != "withdrawn" || is.Reason != "stopped" {
		t.Errorf("%+v", is)
	}
	// Heartbeats are not worth a line of the log each.
	if n := strings.Count(f.log.String(), `"PUT /api/v1/registrations/{name}"`) + strings.Count(f.log.String(), `"route":"/api/v1/registrations/{name}"`); n != 4 {
		t.Errorf("%d lines in the log, want 4:\n%s", n, f.log)
	}
	for _, secret := range []string{f.token, strings.Split(f.token, "_")[2]} {
		if strings.Contains(f.everything()+f.log.String()+f.auditText(), secret) {
			t.Error("the token is kept or told somewhere")
		}
	}
}

// TestRegistrationsAreRefused: each refusal says what to do, and writes nothing.
func TestRegistrationsAreRefused(t *testing.T) {
	t.Parallel()
	f := newField(t, webTerms)
	f.want(f.do("admin", "PUT", "/api/v1/servers/web-of-media", "kind: Server\nmetadata: {name: web-of-media, role: media}\nspec: {address: 10.0.0.7, zone: az1}"), 201)
	f.want(f.do("admin", "PUT", "/api/v1/servers/web-of-consul", "kind: Server\nmetadata: {name: web-of-consul, role: web, managedBy: discovery/consul}\nspec: {address: 10.0.0.7, zone: az1}"), 201)
	f.want(f.do("admin", "PUT", "/api/v1/servers/web-by-hand", "kind: Server\nmetadata: {name: web-by-hand, role: web}\nspec: {address: 10.0.0.7, zone: az1}"), 201)
	other := f.newToken("other", webTerms)
	held := f.machine("web-held")
	held.take(held.exchange(other))
	f.want(held.says(`{"state": "healthy"}`), 200)
	far := f.newToken("far", "{role: web, zone: az1, names: [web-*], networks: [10.0.0.0/8]}")
	near := f.newToken("near", "{role: web, zone: az1, names: [web-*], networks: [127.0.0.0/8], anyAddress: true}")

	before := f.store.Revision()
	for what, c := range map[string]struct {
		name, token string
		status      int
		want        string
	}{
		"a name that does not fit": {"db-1", f.token, 403, "token web lets servers named web-* register; db-1 is not named so"},
		"no name":                  {"", f.token, 400, "name is required"},
		"a path as a name":         {"../web-1", f.token, 400, "may hold only"},
		"another network":          {"web-1", far, 403, "token far lets servers register from 10.0.0.0/8; web-1 asks from 127.0.0.1"},
		"another role's":           {"web-of-media", f.token, 403, "belongs to another role"},
		"another writer's":         {"web-of-consul", f.token, 403, "written by discovery/consul"},
		"another token's":          {"web-held", f.token, 403, "registered with token other"},
		"somebody's API token":     {"web-1", f.tokens["admin"], 401, "registration token"},
		"nonsense":                 {"web-1", "weir_registration_x", 401, "registration token"},
	} {
		a := f.want(f.machine(c.name).exchange(c.token), c.status)
		if p := a.problem(t); !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %s %v", what, p.Detail, p.Errors)
		}
	}
	m := f.machine("web-1")
	m.take(f.want(m.exchange(f.token), 200))
	for body, want := range map[string]string{
		`{"state": "healthy", "address": "10.0.0.9"}`:        "403 is not the address that this server asks from, 127.0.0.1",
		`{"state": "healthy", "zone": "az2"}`:                "403 must be az1, not az2",
		`{"state": "healthy", "clusters": ["mine"]}`:         `403 \"mine\" is none of front, back`,
		`{"state": "stale"}`:                                 "400 state",
		`{"state": "withdrawn"}`:                             "400 say in words why",
		`{"state": "healthy", "weight": 1000}`:               "400 spec.weight",
		`{"state": "healthy", "role": "media"}`:              "400 role",
		`{"state": "healthy"`:                                "400 is not JSON",
		`[]`:                                                 "400 ",
		`{"state": "healthy", "labels": {"a b": "c"}}`:       "400 metadata.labels",
		`{"state": "healthy", "ports": {"http": 70000}}`:     "400 ports",
		`{"state": "draining", "reason": "a\u0000b"}`:        "400 ",
		`{"state": "healthy", "address": "10.0.0.9"}` + "{}": "400 is not JSON",
	} {
		a := m.says(body)
		if a.problem(t); !strings.Contains(fmt.Sprint(a.StatusCode)+" "+string(a.body), want[:4]) || !strings.Contains(string(a.body), want[4:]) {
			t.Errorf("%s: %d %s, want %s", body, a.StatusCode, a.body, want)
		}
	}
	for _, path := range []string{"/api/v1/registrations/web-2", "/api/v1/registrations/web-held"} {
		for method, body := range map[string]string{"PUT": `{"state": "healthy"}`, "DELETE": ""} {
			a := f.want(m.ask(method, path, body), 403)
			if !strings.Contains(string(a.body), "speaks for itself alone") {
				t.Errorf("%s", a.body)
			}
		}
	}
	f.want(m.ask("DELETE", "/api/v1/registrations/web-1", ""), 404)
	f.want(m.ask("POST", "/api/v1/registrations/web-1/renew", m.csr("web-2")), 403)
	// Its certificate is good for nothing else, and an agent's is not for this.
	f.want(m.ask("GET", "/api/v1/servers", ""), 401)
	if f.store.Revision() != before {
		t.Error("something was written")
	}
	if text := f.auditText(); strings.Count(text, `"what":"POST /api/v1/registrations"`) < 6 || !strings.Contains(text, "db-1 is not named so") {
		t.Errorf("refusals are not in the audit file:\n%s", text)
	}
	// With another address allowed it must lie in the networks all the same.
	free := f.machine("web-free")
	free.take(f.want(free.exchange(near), 200))
	f.want(free.says(`{"state": "healthy", "address": "10.0.0.9"}`), 403)
	f.want(free.says(`{"state": "healthy", "address": "127.9.9.9"}`), 200)
}

// TestAnInventorysServerSaysItIsHealthy: the rest is the inventory's.
func TestAnInventorysServerSaysItIsHealthy(t *testing.T) {
	t.Parallel()
	f := newField(t, webTerms)
	f.want(f.do("admin", "PUT", "/api/v1/servers/web-1", "kind: Server\nmetadata: {name: web-1, role: web, managedBy: inventory}\nspec: {address: 127.0.0.1, zone: az1, weight: 7}"), 201)
	f.want(f.do("admin", "PUT", "/api/v1/servers/web-2", "kind: Server\nmetadata: {name: web-2, role: web}\nspec: {address: 10.0.0.1, zone: az1}"), 201)
	m := f.machine("web-1")
	m.take(m.exchange(f.token))
	a := read[registrar.Answer](t, m.says(`{"state": "healthy", "weight": 200, "labels": {"a": "b"}}`))
	o := f.server("web-1")
	if s := o.Spec.(*weir.Server); a.ManagedBy != "inventory" || *s.Weight != 7 || len(o.Metadata.Labels) != 0 || s.Registered() != "healthy" || o.Metadata.ManagedBy != "inventory" {
		t.Errorf("%+v %+v %+v", a, o.Metadata, s)
	}
	other := f.machine("web-2")
	other.take(other.exchange(f.token))
	if a := f.want(other.says(`{"state": "healthy"}`), 403); !strings.Contains(string(a.body), "has the address 10.0.0.1, as a person wrote it, and registers with 127.0.0.1") {
		t.Errorf("%s", a.body)
	}
}

// TestRegistrationTokensEnd: what they let in ends with them, and another takes over their names.
func TestRegistrationTokensEnd(t *testing.T) {
	t.Parallel()
	f := newField(t, webTerms)
	m := f.machine("web-1")
	m.take(m.exchange(f.token))
	f.want(m.says(`{"state": "healthy"}`), 200)
	f.want(m.says(`{"state": "healthy"}`), 200)
	f.want(f.do("admin", "DELETE", "/api/v1/tokens/web", ""), 200)
	for _, a := range []answer{m.says(`{"state": "healthy"}`), m.ask("DELETE", "/api/v1/registrations/web-1", ""), m.ask("POST", "/api/v1/registrations/web-1/renew", m.csr("web-1")), m.exchange(f.token)} {
		if f.want(a, 401); !strings.Contains(string(a.body), "token") {
			t.Errorf("%s", a.body)
		}
	}
	// Another token of the same name is another token.
	again := f.newToken("web", webTerms)
	f.want(m.says(`{"state": "healthy"}`), 401)
	m.take(f.want(m.exchange(again), 200))
	f.want(m.says(`{"state": "healthy"}`), 200)
	f.want(f.do("admin", "DELETE", "/api/v1/tokens/web", ""), 200)
	next := f.newToken("next", webTerms)
	m.take(f.want(m.exchange(next), 200))
	f.want(m.says(`{"state": "healthy"}`), 200)
	if is := f.server("web-1").Spec.(*weir.Server).Registration; is.By != "registration/next" {
		t.Errorf("%+v", is)
	}
	f.pass(91 * 24 * 3600e9)
	f.want(f.machine("web-9").exchange(next), 401)
}

// TestAServerAsksForItsPools: with its certificate, for itself, and for nothing else.
func TestAServerAsksForItsPools(t *testing.T) {
	t.Parallel()
	f := newField(t, webTerms)
	for name, role := range map[string]string{"mine": "web", "theirs": "media"} {
		f.want(f.do("admin", "PUT", "/api/v1/pools/"+name, "kind: Pool\nmetadata: {name: "+name+", role: "+role+"}\nspec: {selector: {role: "+role+"}, port: 80, admission: both}"), 201)
	}
	m := f.machine("web-1")
	m.take(m.exchange(f.token))
	f.want(m.ask("GET", "/api/v1/servers/web-1/pools", ""), 404)
	f.want(m.says(`{"state": "healthy"}`), 200)
	got := read[ServerPools](t, m.ask("GET", "/api/v1/servers/web-1/pools", ""))
	if len(got.Pools) != 1 || got.Pools[0].Pool != "mine" || got.Registration != "healthy" {
		t.Errorf("%+v", got)
	}
	f.want(m.ask("GET", "/api/v1/servers/web-2/pools", ""), 403)
	f.want(m.ask("GET", "/api/v1/servers/web-1", ""), 401)
	f.want(f.machine("web-1").ask("GET", "/api/v1/servers/web-1/pools", ""), 401)
	f.want(f.do("admin", "DELETE", "/api/v1/tokens/web", ""), 200)
	f.want(m.ask("GET", "/api/v1/servers/web-1/pools", ""), 401)
}

// TestTwoMachinesOfOneName: the second is told, whichever key it has; one that was made anew is let in.
func TestTwoMachinesOfOneName(t *testing.T) {
	t.Parallel()
	f := newField(t, "{role: web, zone: az1, names: [web-*], anyAddress: true}")
	one, two := f.machine("web-1"), f.machine("web-1")
	one.take(one.exchange(f.token))
	two.take(two.exchange(f.token))
	f.want(one.says(`{"state": "healthy", "address": "127.0.0.7"}`), 200)
	if a := f.want(two.says(`{"state": "healthy", "address": "127.0.0.8"}`), 409); !strings.Contains(string(a.body), "by another machine, at 127.0.0.7") {
		t.Errorf("%s", a.body)
	}
	f.want(two.ask("DELETE", "/api/v1/registrations/web-1", ""), 409)
	f.want(two.says(`{"state": "healthy", "address": "127.0.0.7"}`), 200)
	f.want(one.ask("DELETE", "/api/v1/registrations/web-1", ""), 409)
	f.want(two.ask("DELETE", "/api/v1/registrations/web-1", ""), 200)
	f.want(one.says(`{"state": "healthy", "address": "127.0.0.9"}`), 200)
}

// TestFlappingRegistrationsAreDamped: from the fourth fall on it is kept out for a while, and its writes are bounded.
func TestFlappingRegistrationsAreDamped(t *testing.T) {
	t.Parallel()
	f := newField(t, webTerms)
	m := f.machine("web-1")
	m.take(m.exchange(f.token))
	for range 4 {
		f.want(m.says(`{"state": "healthy"}`), 200)
		f.want(m.says(`{"state": "withdrawn", "reason": "check app: 500"}`), 200)
	}
	a := read[registrar.Answer](t, m.says(`{"state": "healthy"}`))
	if a.State != "stale" || !strings.Contains(a.Reason, "kept out until") {
		t.Errorf("%+v", a)
	}
	for range 3 {
		if a := read[registrar.Answer](t, m.says(`{"state": "healthy"}`)); a.State != "stale" {
			t.Errorf("%+v", a)
		}
	}
	f.pass(150e9)
	if a := read[registrar.Answer](t, m.says(`{"state": "healthy"}`)); a.State != "healthy" || a.Reason != "" {
		t.Errorf("after it has come to rest: %+v", a)
	}
	refused := 0
	for i := range 60 {
		a := m.says(fmt.Sprintf(`{"state": "healthy", "weight": %d}`, 1+i))
		if a.StatusCode == 429 {
			refused++
		}
	}
	if refused < 30 {
		t.Errorf("%d of 60 changes at once were refused", refused)
	}
	// That it takes no more traffic is heard all the same.
	f.want(m.says(`{"state": "withdrawn", "reason": "stopping"}`), 200)
}

// TestTriesToExchangeAreBounded: an address that guesses waits, and one that knows does not.
func TestTriesToExchangeAreBounded(t *testing.T) {
	t.Parallel()
	f := newField(t, webTerms)
	m := f.machine("web-1")
	for range 3 * refusalBurst {
		f.want(m.exchange(f.token), 200)
	}
	last := 0
	for range refusalBurst + 1 {
		last = m.exchange("weir_registration_guess").StatusCode
	}
	if last != 429 {
		t.Errorf("status %d", last)
	}
	f.want(m.exchange(f.token), 429)
	f.pass(11e9)
	f.want(m.exchange(f.token), 200)
}
