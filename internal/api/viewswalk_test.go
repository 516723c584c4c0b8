package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir"
)

// viewWalk is a walk of changes and of what load balancers tell, seen by who asks again and by who asks for the first time.
type viewWalk struct {
	*world
	rng *rand.Rand
	// fresh is a handler that remembers nothing from one picture to the next.
	fresh *Handler
}

func newViewWalk(t *testing.T, seed uint64) *viewWalk {
	t.Helper()
	w := &viewWalk{world: rowsWorld(t), rng: rand.New(rand.NewPCG(seed, 7))}
	opts := w.handler.opts
	opts.Metrics, opts.Logger = prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	w.fresh = New(opts)
	return w
}

// expire makes the newest picture of a handler too old.
func expire(h *Handler) {
	h.pictures.mu.Lock()
	defer h.pictures.mu.Unlock()
	if h.pictures.newest != nil {
		h.pictures.newest.made = time.Time{}
	}
}

// anew asks one that makes a picture of its own.
func (w *viewWalk) anew(who, path string) *httptest.ResponseRecorder {
	w.t.Helper()
	w.fresh.pictures.newest = nil
	rec := newRecorder()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+w.tokens[who])
	w.fresh.ServeHTTP(rec, r)
	return rec
}

// step changes one thing of what is so.
func (w *viewWalk) step() string {
	s := w.status.stage
	next := &stage{fleet: s.fleet, aside: s.aside, statuses: map[string]*weir.Status{}, seen: map[string][]SeenServer{}}
	for k, v := range s.statuses {
		next.statuses[k] = v
	}
	for k, v := range s.seen {
		next.seen[k] = slices.Clone(v)
	}
	g := s.fleet.Groups[0]
	g.LoadBalancers, g.NotServing = slices.Clone(g.LoadBalancers), slices.Clone(g.NotServing)
	next.fleet.Groups = []GroupStatus{g}
	lb := &g.LoadBalancers[0]
	put := func(path, body string) string {
		a := w.do("admin", "PUT", path, body)
		if a.StatusCode >= 300 {
			w.t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
		}
		return path
	}
	name := fmt.Sprintf("extra-%d", w.rng.IntN(3))
	defer func() { w.status.stage = next }()
	switch w.rng.IntN(13) {
	case 0:
		seen := next.seen["blue"]
		one := &seen[w.rng.IntN(len(seen))]
		one.Up, one.State, one.Check = w.rng.IntN(2), "down", fmt.Sprint("said ", w.rng.IntN(5))
		return "a server is seen otherwise"
	case 1:
		refs := []string{"Site/www", "Site/shop", "Pool/blue", "Pool/reel", "Server/web-1", "IPAddress/vip1"}
		ref := refs[w.rng.IntN(len(refs))]
		next.statuses[ref] = &weir.Status{Conditions: []weir.Condition{
			{Type: weir.Accepted, Status: []string{"True", "False"}[w.rng.IntN(2)], Message: "because"},
			{Type: weir.Programmed, Status: "True", Ready: w.rng.IntN(2), Of: 1},
			{Type: weir.Serving, Status: []string{"True", "False", "Unknown"}[w.rng.IntN(3)], Message: "as it is"},
		}}
		return ref + " has other conditions"
	case 2:
		g.NotServing = nil
		for _, site := range []string{"shop", "films", "www"} {
			if w.rng.IntN(2) == 0 {
				g.NotServing = append(g.NotServing, Outage{Object: "Site/" + site, Down: w.rng.IntN(2) == 0, LoadBalancers: []string{"lb1"}, Reason: NotServingDown, Message: fmt.Sprint("cause ", w.rng.IntN(3))})
			}
		}
		next.fleet.Groups[0] = g
		return "other outages"
	case 3:
		lb.Reachable = !lb.Reachable
		lb.LastSeen = w.clock().Add(-time.Duration(w.rng.IntN(100)) * time.Second)
		return "the load balancer falls silent or comes back"
	case 4:
		lb.Ready, lb.Revision, lb.Drift = w.rng.IntN(2) == 0, w.store.Revision()-int64(w.rng.IntN(2)), &DriftStatus{Total: w.rng.IntN(3)}
		return "the load balancer has another revision"
	case 5:
		return put("/api/v1/servers/"+name, fmt.Sprintf(`{"kind":"Server","metadata":{"name":%q,"role":"web","labels":{"n":"%d"}},"spec":{"address":"10.0.3.%d","zone":"az1","clusters":["blue"],"ports":{"http":8080}}}`, name, w.rng.IntN(5), w.rng.IntN(200)))
	case 6:
		w.do("admin", "DELETE", "/api/v1/servers/"+name, "")
		return "without " + name
	case 7:
		return put("/api/v1/sites/"+name, fmt.Sprintf(`{"kind":"Site","metadata":{"name":%q,"role":"web"},"spec":{"hostnames":["h%d.%s.example.com"],"addresses":["vip1"],"listeners":[{"port":80}],"backends":{"default":{"az1":"blue","az2":"web"}}}}`, name, w.rng.IntN(3), name))
	case 8:
		w.do("admin", "DELETE", "/api/v1/sites/"+name, "")
		return "without site " + name
	case 9:
		return put("/api/v1/overrides/drained", fmt.Sprintf(`{"kind":"Override","metadata":{"name":"drained","role":"web"},"spec":{"server":"web-%d","state":"drain","reason":"r","expiresAt":%q}}`, 1+w.rng.IntN(2), w.clock().Add(time.Minute).Format(time.RFC3339)))
	case 10:
		return put("/api/v1/zoneshifts/z", fmt.Sprintf(`{"kind":"ZoneShift","metadata":{"name":"z","role":"web"},"spec":{"sites":["shop"],"zone":"az%d","reason":"r","expiresAt":%q}}`, 1+w.rng.IntN(2), w.clock().Add(time.Minute).Format(time.RFC3339)))
	case 11:
		return put("/api/v1/pools/blue", fmt.Sprintf(`{"kind":"Pool","metadata":{"name":"blue","role":"web"},"spec":{"selector":{"role":"web","clusters":["%s"]},"port":"http"}}`, []string{"blue", "none"}[w.rng.IntN(2)]))
	}
	w.pass(time.Duration(w.rng.IntN(90)) * time.Second)
	return "time passes"
}

// TestViewsSayWhatIsSo: whoever asks again is told what one is told who asks for the first time, and that nothing has
// changed only if nothing has that they are shown.
func TestViewsSayWhatIsSo(t *testing.T) {
	t.Parallel()
	w := newViewWalk(t, 1)
	paths := []string{
		"overview", "overview?role=web", "rows/sites", "rows/sites?sort=-state&limit=2", "rows/servers?sort=state", "rows/servers?q=10.0.3", "rows/servers?pool=blue&zone=az1", "rows/pools?limit=1&offset=1",
		"rows/loadbalancers", "rows/overrides", "matrix", "graph", "graph?focus=Site/shop&limit=10", "search?q=extra", "search?q=blue",
	}
	type known struct{ tag, body string }
	last := map[string]known{}
	same, news := 0, 0
	for range 120 {
		what := w.step()
		for _, who := range []string{"admin", "viewer", "other"} {
			for _, path := range paths {
				if w.rng.IntN(3) > 0 {
					continue // seldom asked: more than one thing has changed by then
				}
				expire(w.handler)
				path = "/api/v1/" + path
				key := who + " " + path
				got := w.do(who, "GET", path, "", "If-None-Match", last[key].tag)
				want := w.anew(who, path)
				if want.Code != http.StatusOK && (want.Code != http.StatusForbidden || want.Code != got.StatusCode) {
					t.Fatalf("%s, and %s: %d %s", what, key, want.Code, want.Body)
				}
				if want.Code != http.StatusOK {
					continue
				}
				body := timeless(t, want.Body.Bytes())
				switch got.StatusCode {
				case http.StatusNotModified:
					same++
					if body != last[key].body {
						t.Fatalf("%s, and %s says that nothing has changed of\n%s\nbut there is\n%s", what, key, last[key].body, body)
					}
				case http.StatusOK:
					news++
					if told := timeless(t, got.body); told != body {
						t.Fatalf("%s, and %s says\n%s\nwhere one who asks first is told\n%s", what, key, told, body)
					}
					last[key] = known{got.Header.Get("ETag"), body}
				default:
					t.Fatalf("%s, and %s: %d %s", what, key, got.StatusCode, got.body)
				}
			}
		}
	}
	if same < 50 || news < 50 {
		t.Errorf("%d times nothing had changed, %d times something had", same, news)
	}
}

// timeless is an answer without the clock.
func timeless(t *testing.T, raw []byte) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	delete(v, "time")
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPagesWhileObjectsGo: each page is whole by itself, also when what was on the one before is gone, or nothing is left.
func TestPagesWhileObjectsGo(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	var docs []string
	for i := range 9 {
		docs = append(docs, fmt.Sprintf("kind: Server\nmetadata: {name: page-%d, role: web}\nspec: {address: 10.0.4.%d, zone: az1, ports: {http: 80}}", i, i))
	}
	w.want(w.do("admin", "POST", "/api/v1/apply", strings.Join(docs, "\n---\n")), 200)
	page := func(offset int) RowsAnswer {
		t.Helper()
		return read[RowsAnswer](t, w.do("admin", "GET", fmt.Sprintf("/api/v1/rows/servers?q=page-&limit=4&offset=%d", offset), ""))
	}
	names := func(a RowsAnswer) string {
		var list []string
		for _, r := range a.Rows {
			list = append(list, r.Name)
		}
		return fmt.Sprintf("%s of %d", strings.Join(list, " "), a.Total)
	}
	if got := names(page(0)); got != "page-0 page-1 page-2 page-3 of 9" {
		t.Errorf("the first page: %s", got)
	}
	w.want(w.do("admin", "DELETE", "/api/v1/servers/page-1", ""), 200)
	w.want(w.do("admin", "DELETE", "/api/v1/servers/page-8", ""), 200)
	if got := names(page(4)); got != "page-5 page-6 page-7 of 7" {
		t.Errorf("the second page, of what is left: %s", got)
	}
	for _, offset := range []int{7, 8, 1_000_000} {
		if a := page(offset); len(a.Rows) != 0 || a.Rows == nil || a.Total != 7 {
			t.Errorf("from %d on: %+v", offset, a)
		}
	}
	w.want(w.do("admin", "GET", "/api/v1/rows/servers?offset=1000001", ""), 400)
	if m := read[Matrix](t, w.do("admin", "GET", "/api/v1/matrix?offset=999999", "")); len(m.Rows) != 0 || m.Total == 0 || len(m.Zones) == 0 {
		t.Errorf("the matrix beyond its end: %+v", m)
	}
}

// TestViewsTakeHostileText: whatever is looked for is text that is found or not, and no answer is anything but JSON.
func TestViewsTakeHostileText(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	for _, text := range []string{
		`"><script>alert(1)</script>`, "' OR 1=1 --", "../../etc/passwd", ".*", "(", "%", "\x00", "\xff\xfe", "\u202eexe.bus", "a\r\nSet-Cookie: x=1", strings.Repeat("a", 5000), strings.Repeat("é", 150), "Site/", "/", ":", "::", "::/0", "[", "http://[::1", "0.0.0.0/0", "Kind/x/y",
	} {
		q := url.QueryEscape(text)
		for _, path := range []string{"rows/servers?q=" + q, "rows/sites?role=" + q, "rows/sites?group=" + q, "rows/sites?zone=" + q, "rows/servers?pool=" + q, "rows/sites?sort=" + q, "rows/sites?state=" + q, "rows/" + url.PathEscape(text), "search?q=" + q, "graph?focus=" + q, "graph?open=" + q, "graph?group=" + q, "graph?role=" + q, "matrix?q=" + q, "overview?role=" + q} {
			for _, who := range []string{"admin", "viewer"} {
				a := w.do(who, "GET", "/api/v1/"+path, "")
				kind := a.Header.Get("Content-Type")
				if a.StatusCode >= 500 || !json.Valid(a.body) && a.StatusCode != http.StatusMovedPermanently && !strings.HasPrefix(kind, "text/plain") {
					t.Errorf("%s %.80s: %d %s: %.200s", who, path, a.StatusCode, kind, a.body)
				}
				if bytes.Contains(a.body, []byte("films.example")) && who == "viewer" {
					t.Errorf("%.80s shows the viewer of web what is of media: %.200s", path, a.body)
				}
				if a.Header.Get("Set-Cookie") != "" || strings.HasPrefix(kind, "text/html") && a.StatusCode < 300 {
					t.Errorf("%.80s: %v", path, a.Header)
				}
			}
		}
	}
}

// TestViewsWhileNobodyIsHeard: when every load balancer is silent, nobody says that anything serves or is down on its word.
func TestViewsWhileNobodyIsHeard(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	g := &w.status.stage.fleet.Groups[0]
	g.NotServing = nil
	g.LoadBalancers[0].Reachable, g.LoadBalancers[0].LastSeen = false, w.clock().Add(-2*time.Minute)
	sites := read[RowsAnswer](t, w.do("admin", "GET", "/api/v1/rows/sites", ""))
	if sites.States[StateUnknown] != 3 || sites.Rows[0].Why != "no load balancer that it is for was heard lately" {
		t.Errorf("the sites: %v, %+v", sites, sites.Rows[0].Why)
	}
	o := read[Overview](t, w.do("admin", "GET", "/api/v1/overview", ""))
	if o.Sites[StateUnknown] != 3 || o.LoadBalancers[StateDown] != 1 || !strings.Contains(o.words(), "LoadBalancer/lb1 down on []: silent for 2m0s") {
		t.Errorf("the overview: %v %v %s", o.Sites, o.LoadBalancers, o.words())
	}
	m := read[Matrix](t, w.do("admin", "GET", "/api/v1/matrix?state=unknown", ""))
	if m.Total == 0 || m.Rows[0].State != StateUnknown {
		t.Errorf("the matrix: %+v", m)
	}
	for _, n := range read[Graph](t, w.do("admin", "GET", "/api/v1/graph", "")).Nodes {
		if n.Kind == "Site" && n.State != StateUnknown || n.Kind == "LoadBalancer" && n.State != StateDown {
			t.Errorf("on the map %s is %s", n.ID, n.State)
		}
	}
	if hits := read[SearchAnswer](t, w.do("admin", "GET", "/api/v1/search?q=shop.example", "")).Hits; len(hits) == 0 || hits[0].State != StateUnknown {
		t.Errorf("the search: %+v", hits)
	}
}
