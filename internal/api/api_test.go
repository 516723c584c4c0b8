package api

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
	"weir/internal/registrar"
	"weir/internal/secrets"
	"weir/internal/signin"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// world is an API on a real store, with people of every right.
type world struct {
	t       testing.TB
	store   *store.Store
	handler *Handler
	server  *httptest.Server
	status  *fakeStatus
	audit   string
	tokens  map[string]string // by subject
	log     *weirtest.Buffer
	metrics *prometheus.Registry
	restore *fakeRestore
	logs    *fakeLogs
	tryer   *fakeTries
	spool   string
	ca      *secrets.CA
	desk    *signin.Desk
	close   func() // the store, once

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// fakePlanner plans one load balancer a change, so that what reaches it can be seen.
type fakePlanner struct{}

func (fakePlanner) Plan(_ context.Context, before, after *weir.Set, written []weir.Ref) (PlanAnswer, error) {
	var p PlanAnswer
	lb := LoadBalancerPlan{Name: "lb1", Group: "edge", Zone: "az1"}
	for _, r := range written {
		word := "change "
		switch {
		case before.Get(r) == nil:
			word = "add "
		case after.Get(r) == nil:
			word = "delete "
		}
		lb.Sentences = append(lb.Sentences, word+r.String())
		p.Problems = append(p.Problems, weir.Problem{Object: r.String(), Message: "seen"})
	}
	p.Problems = append(p.Problems, weir.Problem{Object: "Pool/media", Message: "of another role"})
	p.LoadBalancers = []LoadBalancerPlan{lb}
	for _, site := range []string{"films", "www"} { // whatever was written
		p.Impact = append(p.Impact, PlanImpact{Site: site, Touches: "all requests", Spare: &PlanSpare{Without: "az1", Zone: "az2", Carries: 150}})
	}
	return p, nil
}

type fakeStatus struct {
	progress []Progress
	view     func() *weir.Set
	// stage, when there is one, is what is so for views.
	stage *stage
}

func (*fakeStatus) Status(o *weir.Object) *weir.Status {
	return &weir.Status{Conditions: []weir.Condition{{Type: weir.Accepted, Status: "True", Message: o.Ref().String()}}, Issuer: issuerStatus(o), Source: sourceStatus(o)}
}

func (f *fakeStatus) Fleet() FleetStatus {
	if f.stage != nil {
		return f.stage.fleet
	}
	return FleetStatus{Version: "test", Revision: 1, NotIssued: []weir.Problem{{Object: "Pool/web"}, {Object: "Pool/media"}}, Partners: []weir.Problem{{Object: "Pool/web"}, {Object: "Pool/media"}}, Groups: []GroupStatus{{
		Name: "edge", Problems: []weir.Problem{{Object: "Pool/web"}, {Object: "Pool/media"}},
		NotServing: []Outage{{Object: "Site/films", Down: true}, {Object: "Site/www"}},
		TicketKeys: &TicketKeysStatus{Generation: 7, Message: "all 2 have generation 7"},
		Waves:      &WaveStatus{State: "halted", Target: 7, Changes: []int64{1}, Queued: []int64{2}, Why: "Site/films answers 5xx", Message: "Site/films, too", Last: &WaveOutcome{Why: "Site/films"}},
		LoadBalancers: []LoadBalancerStatus{{
			Name: "lb1", Deviations: []Deviation{{Object: "Pool/web"}, {Object: "Pool/media"}},
			Reloads: ReloadsStatus{Reasons: []ReloadReason{{Object: "Pool/media", Text: "x"}, {Text: "y"}}},
			Drift: &DriftStatus{
				Total: 3, Undone: 1, Now: []Drift{{Object: "Pool/media", Text: "x"}, {Object: "Pool/web", Text: "y"}, {Text: "entry films.example added by hand"}},
				Past: []Drift{{Object: "Pool/media", Text: "x"}},
			},
		}},
	}}}
}

func (f *fakeStatus) Wait(context.Context, int64) iter.Seq[Progress] {
	return func(yield func(Progress) bool) {
		for _, p := range f.progress {
			if !yield(p) {
				return
			}
		}
	}
}

func (*fakeStatus) SiteCounts() map[string]SiteCounts {
	return map[string]SiteCounts{"www": {Requests: 7}, "films": {Requests: 8}, "gone": {Requests: 9}}
}

func (*fakeStatus) ServerHealth(pool string) []ServerHealth {
	return []ServerHealth{{Server: pool + "-1", Up: 1, Of: 1}}
}

func (*fakeStatus) Render(context.Context, string) (map[string]string, error) {
	return map[string]string{"haproxy.cfg": "global\n"}, nil
}

func (f *fakeStatus) Node(loadBalancer string) (ir.Node, func(pool, server string) bool, bool) {
	node, _, err := compile.Node(f.view(), loadBalancer)
	return node, nil, err == nil
}

func (f *fakeStatus) Concerns(_ int64, group string) bool {
	return f.stage == nil || !slices.Contains(f.stage.aside, group)
}

// seed is what every world begins with: two roles with the same things.
const seed = `
kind: Zone
metadata: {name: az1}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [203.0.113.0/28]}
---
kind: LoadBalancer
metadata: {name: lb1}
spec: {group: edge, zone: az1}
---
kind: Tuning
metadata: {name: big}
---
kind: Role
metadata: {name: web}
---
kind: Role
metadata: {name: media}
---
kind: Pool
metadata: {name: web, role: web, labels: {tier: front}}
spec: {members: [{name: a, address: 10.0.0.1, port: 80}]}
---
kind: Pool
metadata: {name: media, role: media}
spec: {members: [{name: m, address: 10.0.0.2, port: 80}]}
---
kind: Pool
metadata: {name: shared}
spec: {members: [{name: s, address: 10.0.0.3, port: 80}]}
---
kind: IPAddress
metadata: {name: vip1, role: web}
spec: {address: 203.0.113.1, groups: [edge]}
---
kind: IPAddress
metadata: {name: vip2, role: media}
spec: {address: 203.0.113.2, groups: [edge]}
---
kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: web, green: web}}
---
kind: Site
metadata: {name: films, role: media}
spec: {hostnames: [films.example.com], addresses: [vip2], listeners: [{port: 80}], backends: {default: media}}
---
kind: Secret
metadata: {name: key-web, role: web}
spec: {data: "canary-secret-web"}
---
kind: Secret
metadata: {name: key-none}
spec: {data: "canary-secret-none"}
`

// people are a subject for every right on role web, an owner of the other role, an admin, one who may see all,
// and one without any grant.
var people = map[string]weir.Grant{
	"admin":    {Role: "*", Right: weir.Admin},
	"auditor":  {Role: "*", Right: weir.Viewer},
	"viewer":   {Role: "web", Right: weir.Viewer},
	"operator": {Role: "web", Right: weir.Operator},
	"owner":    {Role: "web", Right: weir.Owner},
	"other":    {Role: "media", Right: weir.Owner},
	"nobody":   {},
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, now: time.Now().UTC().Truncate(time.Second), status: &fakeStatus{}, restore: &fakeRestore{}, logs: &fakeLogs{}, tryer: &fakeTries{}, spool: t.TempDir(), log: &weirtest.Buffer{},
		tokens: map[string]string{}, metrics: prometheus.NewRegistry(), audit: filepath.Join(t.TempDir(), "audit.log"),
	}
	ring, err := secrets.OpenOrCreateKeyring(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	w.store, err = store.Open(t.Context(), store.Options{Dir: t.TempDir(), Keyring: ring, Clock: w.clock, Check: weir.Check})
	if err != nil {
		t.Fatal(err)
	}
	w.status.view = w.store.View
	w.close = sync.OnceFunc(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.close)
	audit, err := secrets.OpenAudit(w.audit, 1<<20, 2, w.clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = audit.Close() })
	text, err := secrets.NewCA(w.now)
	if err != nil {
		t.Fatal(err)
	}
	if w.ca, err = secrets.ParseCA(text, w.clock); err != nil {
		t.Fatal(err)
	}
	w.desk = w.newDesk()
	w.handler = New(Options{
		SignIn:    w.desk,
		Registrar: registrar.New(registrar.Options{Store: w.store, CA: w.ca, Clock: w.clock}),
		Store:     w.store, Planner: fakePlanner{}, Status: w.status, Audit: audit, Clock: w.clock, Version: "test",
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)), CAHash: func() string { return "sha256:" + strings.Repeat("ab", 32) }, CA: &fakeCA{}, Members: fakeMembers{}, Metrics: w.metrics,
		Restore: w.restore, Spool: w.spool, Waves: &fakeWaves{}, TicketKeys: fakeTickets{}, Sources: fakeSources{}, Series: fakeSeries{},
		Logs:      w.logs,
		Tries:     w.tryer,
		Checks:    fakeChecks{},
		Work:      fakeWork{w.clock},
		Heartbeat: 20 * time.Millisecond,
	})
	w.server = httptest.NewUnstartedServer(w.handler)
	Limits(w.server.Config)
	w.server.Start()
	t.Cleanup(w.server.Close)
	w.populate()
	return w
}

func (w *world) populate() {
	w.t.Helper()
	list, err := weir.Decode("seed", []byte(seed))
	if err != nil {
		w.t.Fatal(err)
	}
	var writes []weir.Write
	for _, o := range list {
		writes = append(writes, weir.Write{Put: o})
	}
	for subject, g := range people {
		text, hash := secrets.NewToken("api")
		w.tokens[subject] = text
		writes = append(writes, weir.Write{Put: &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "t-" + subject}, Spec: &weir.Token{Subject: subject, Hash: hash}}})
		if g.Right != "" {
			g.Subject = subject
			writes = append(writes, weir.Write{Put: &weir.Object{Kind: "Grant", Metadata: weir.Metadata{Name: "g-" + subject}, Spec: &g}})
		}
	}
	if _, err := w.store.Apply(w.t.Context(), store.Request{Author: "seed", Writes: writes}); err != nil {
		w.t.Fatal(err)
	}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) problem(t testing.TB) Problem {
	t.Helper()
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("status %d has the type %q and no problem: %.300s", a.StatusCode, ct, a.body)
	}
	var p Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != a.StatusCode || !strings.HasPrefix(p.Type, problemTypes) || p.Title == "" || p.Detail == "" || p.Instance == "" {
		t.Errorf("incomplete problem: %s", a.body)
	}
	return p
}

func read[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	if a.StatusCode >= 300 {
		t.Fatalf("status %d: %s", a.StatusCode, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// do sends a request as somebody; headers come in pairs.
func (w *world) do(who, method, path, body string, headers ...string) answer {
	w.t.Helper()
	req := w.request(who, method, path, body, headers...)
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp, raw}
}

func (w *world) request(who, method, path, body string, headers ...string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/yaml")
	}
	if token := w.tokens[who]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	} else if who != "" {
		req.Header.Set("Authorization", who)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

func (w *world) want(a answer, status int) answer {
	w.t.Helper()
	if a.StatusCode != status {
		w.t.Fatalf("%s %s: status %d, want %d: %.500s", a.Request.Method, a.Request.URL, a.StatusCode, status, a.body)
	}
	return a
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }
