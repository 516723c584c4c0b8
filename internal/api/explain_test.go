package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/explain"
)

// explained asks for an explanation as somebody.
func (w *world) explained(who, query string) Explanation {
	w.t.Helper()
	var e Explanation
	r := w.do(who, "GET", "/api/v1/explain?"+query, "")
	w.want(r, 200)
	if err := json.Unmarshal(r.body, &e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

func TestExplain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("owner", "PUT", "/api/v1/routes/extra", manifest("Route", "extra", roleWeb+"spec: {site: www, match: {path: {prefix: /x}, headers: [{name: X-A, exact: \"1\"}]}, action: {deny: 403}}")), 201)
	ask := func(more string) Explanation {
		return w.explained("viewer", "url="+url.QueryEscape("http://www.example.com/x?q=1")+more)
	}
	e := ask("&header=X-A:1&from=203.0.113.9&at=2026-12-06T10:00:00Z&method=POST")
	if e.Answer.Status != 403 || e.Answer.Site != "www" || e.LoadBalancer != "lb1" || e.Request.Address != "vip1" || e.Request.At.Year() != 2026 || e.Request.Method != "POST" {
		t.Errorf("%+v", e)
	}
	if last := e.Steps[len(e.Steps)-1]; last.Object != "Route/extra" || last.Field != "" {
		t.Errorf("the route is told as %+v", last)
	}
	e = ask("&lb=lb1&healthy=true")
	if string(e.Answer.Outcome) != "served" || len(e.Answer.Zones) != 1 || e.Answer.Target != "/x?q=1" || len(e.Passed) != 1 || len(e.Assumed) == 0 {
		t.Errorf("%+v", e)
	}
	for _, r := range []struct{ who, query, status string }{
		{"viewer", "url=http%3A%2F%2Fother.example.com", "found"}, // 404 of the load balancer, told as such
		{"other", "url=http%3A%2F%2Fwww.example.com", "403"},
		{"nobody", "url=http%3A%2F%2Fwww.example.com", "403"},
		{"viewer", "url=ftp%3A%2F%2Fwww.example.com", "422"},
		{"viewer", "", "422"},
		{"viewer", "url=http%3A%2F%2Fwww.example.com&from=x", "422"},
		{"viewer", "url=http%3A%2F%2Fwww.example.com&header=a%0d%0ab:c", "422"},
		{"viewer", "url=http%3A%2F%2Fwww.example.com&lb=none", "404"},
		{"viewer", "url=http%3A%2F%2Fwww.example.com&group=none", "404"},
		{"viewer", "url=http%3A%2F%2Fwww.example.com&at=noon", "422"},
		{"viewer", "url=http%3A%2F%2Fuser:secret@www.example.com", "422"},
	} {
		got := w.do(r.who, "GET", "/api/v1/explain?"+r.query, "")
		if r.status == "found" {
			if !strings.Contains(string(got.body), `"status":404`) || got.StatusCode != 200 {
				t.Errorf("%+v: %d %s", r, got.StatusCode, got.body)
			}
		} else if got.StatusCode < 400 || !strings.HasPrefix(r.status, string(rune('0'+got.StatusCode/100))) {
			t.Errorf("%+v: %d %s", r, got.StatusCode, got.body)
		}
		if strings.Contains(string(got.body), "secret@") {
			t.Errorf("%s", got.body)
		}
	}
}

// Whoever asks says the name of the handshake, and the certificate that is shown for it may be another role's.
func TestExplainedCertificatesAreWhoseTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain, key := pair(t)
	w.want(w.do("admin", "PUT", "/api/v1/certificates/theirs", "kind: Certificate\nmetadata: {name: theirs, role: media}\nspec:\n  chain: |"+indent(chain)+"  key: |"+indent(key)), 201)
	w.want(w.do("admin", "PUT", "/api/v1/sites/films", manifest("Site", "films", ", role: media}\nspec: {hostnames: [films.example.com], addresses: [vip2], listeners: [{port: 80}, {port: 443, tls: {certificates: [theirs]}}], backends: {default: media}}")), 200)
	for who, sees := range map[string]bool{"viewer": false, "other": true, "admin": true} {
		e := w.explained(who, "url=https%3A%2F%2Ffilms.example.com%2F&address=vip1&group=edge")
		i := slices.IndexFunc(e.Steps, func(s explain.Step) bool { return s.About == "tls" })
		if i < 0 || (e.Steps[i].Object == "Certificate/theirs") != sees || strings.Contains(fmt.Sprint(e), "theirs") != sees {
			t.Errorf("%s: %+v", who, e.Steps)
		}
	}
}

// A site that load balancers serve although it is deleted, as they do until their wave comes, is nobody's to see.
func TestExplainDeletedSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.status.view()
	w.status.view = func() *weir.Set { return before }
	w.want(w.do("owner", "DELETE", "/api/v1/sites/www", ""), 200)
	for who, want := range map[string]int{"auditor": 200, "viewer": 403, "other": 403} {
		w.want(w.do(who, "GET", "/api/v1/explain?url=http%3A%2F%2Fwww.example.com", ""), want)
	}
}
