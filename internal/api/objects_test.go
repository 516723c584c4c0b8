package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"weir"
)

const poolB = "kind: Pool\nmetadata: {name: b, role: web}\nspec: {members: [{name: a, address: 10.0.0.9, port: 80}]}\n"

func TestAnObjectComesAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.store.Revision()
	w.want(w.do("owner", "GET", "/api/v1/pools/b", ""), 404).problem(t)
	made := w.want(w.do("owner", "PUT", "/api/v1/pools/b?reason=first", poolB), 201)
	tag := made.Header.Get("ETag")
	if want := fmt.Sprintf("%q", fmt.Sprint(before+1)); tag != want || made.Header.Get("Weir-Revision") != fmt.Sprint(before+1) {
		t.Fatalf("ETag %s, want %s", tag, want)
	}
	got := w.want(w.do("owner", "GET", "/api/v1/pools/b", ""), 200)
	if string(got.body) != string(made.body) || got.Header.Get("ETag") != tag {
		t.Errorf("PUT answered %s\nGET %s", made.body, got.body)
	}
	o, err := weir.DecodeStored(got.body)
	if err != nil {
		t.Fatal(err)
	}
	if o.Spec.(*weir.Pool).Balance != "roundrobin" || o.Status == nil || len(o.Status.Conditions) != 1 {
		t.Errorf("no defaults or no status: %s", got.body)
	}
	w.want(w.do("owner", "GET", "/api/v1/pools/b", "", "If-None-Match", `"0", W/`+tag), 304)
	again := w.want(w.do("owner", "PUT", "/api/v1/pools/b", string(got.body), "Content-Type", "application/json"), 200)
	if again.Header.Get("ETag") != tag || w.store.Revision() != before+1 {
		t.Error("putting what was got made a change")
	}
	rec := read[changeText](t, w.do("owner", "GET", fmt.Sprintf("/api/v1/changes/%d", before+1), ""))
	if rec.Author != "owner" || rec.Reason != "first" || len(rec.Objects) != 1 || string(rec.Objects[0].Before) != "" {
		t.Errorf("change: %+v", rec)
	}
	w.want(w.do("owner", "DELETE", "/api/v1/pools/b", "", "If-Match", tag), 200)
	w.want(w.do("owner", "DELETE", "/api/v1/pools/b", ""), 404)
	w.want(w.do("owner", "DELETE", "/api/v1/pools/web", ""), 400) // Site/www refers to it
}

func TestConditions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-Match", "*"), 412)
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-Match", `"1"`), 412)
	tag := w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-None-Match", "*"), 201).Header.Get("ETag")
	p := w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-None-Match", "*"), 412).problem(t)
	if p.Type != problemTypes+"stale" {
		t.Errorf("type %s", p.Type)
	}
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-Match", tag), 200)
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-Match", "*"), 200)
	for _, bad := range []string{"1", `W/"1"`, `"1", "2"`, `""`, `"-1"`, `"01"`} {
		w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-Match", bad), 400)
	}
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB, "If-None-Match", tag), 400)
}

// TestWritersRace: of many who saw the same revision, one wins.
func TestWritersRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tag := w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB), 201).Header.Get("ETag")
	var group sync.WaitGroup
	statuses := make([]int, 12)
	for i := range statuses {
		group.Go(func() {
			body := strings.Replace(poolB, "port: 80", fmt.Sprintf("port: %d", 1000+i), 1)
			statuses[i] = w.do("owner", "PUT", "/api/v1/pools/b", body, "If-Match", tag).StatusCode
		})
	}
	group.Wait()
	won := 0
	for _, s := range statuses {
		switch s {
		case 200:
			won++
		case 412:
		default:
			t.Errorf("status %d", s)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won: %v", won, statuses)
	}
}

func TestCollections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var names []string
	var body strings.Builder
	for i := range 25 {
		names = append(names, fmt.Sprintf("s%02d", i))
		fmt.Fprintf(&body, "---\nkind: Server\nmetadata: {name: s%02d, role: web, labels: {n: \"%d\"}}\nspec: {address: 10.0.1.%d, zone: az1}\n", i, i%2, i+1)
	}
	w.want(w.do("owner", "POST", "/api/v1/apply", body.String()), 200)
	all := w.names("owner", "/api/v1/servers")
	if strings.Join(all, " ") != strings.Join(names, " ") {
		t.Errorf("got %v", all)
	}
	var paged []string
	mark, pages := "", 0
	for {
		a := w.want(w.do("owner", "GET", "/api/v1/servers?limit=10"+mark, ""), 200)
		var l struct {
			Items    []struct{ Metadata weir.Metadata }
			Continue string
		}
		if err := json.Unmarshal(a.body, &l); err != nil {
			t.Fatal(err)
		}
		for _, o := range l.Items {
			paged = append(paged, o.Metadata.Name)
		}
		pages++
		if l.Continue == "" {
			break
		}
		mark = "&continue=" + l.Continue
	}
	if pages != 3 || strings.Join(paged, " ") != strings.Join(names, " ") {
		t.Errorf("%d pages: %v", pages, paged)
	}
	for query, want := range map[string]int{
		"labels=n=1": 12, "labels=n!=1": 13, "labels=n": 25, "labels=!n": 0, "labels=n=1,x": 0, "labels=n=0,!x,x!=3": 13,
		"prefix=s1": 10, "prefix=s1&labels=n=1": 5, "role=web": 25, "limit=25": 25,
	} {
		if got := w.names("owner", "/api/v1/servers?"+query); len(got) != want {
			t.Errorf("%s: %d objects, want %d", query, len(got), want)
		}
	}
	for _, bad := range []string{"limit=0", "limit=x", "continue=x", "labels==", "labels=a%0ab", "watch=maybe", "from=1", "limt=1", "limit=1&limit=2"} {
		w.want(w.do("owner", "GET", "/api/v1/servers?"+bad, ""), 400).problem(t)
	}
	// What is listed can be applied, and changes nothing.
	before := w.store.Revision()
	list := w.want(w.do("owner", "GET", "/api/v1/servers", ""), 200)
	a := read[applyText](t, w.do("owner", "POST", "/api/v1/apply", string(list.body), "Content-Type", "application/json"))
	if w.store.Revision() != before || a.Revision != before || len(a.Objects) != 25 {
		t.Errorf("applying a list: %d, %d objects", a.Revision, len(a.Objects))
	}
}

// changeText is a ChangeRecord as a client reads it.
type changeText struct {
	Revision, Undoes int64
	Author, Reason   string
	Credential       string
	Omitted          int
	Objects          []struct {
		Kind, Name    string
		Before, After json.RawMessage
	}
}

// applyText is ApplyAnswer as a client reads it.
type applyText struct {
	Revision int64
	DryRun   bool
	Change   struct{ Objects []weir.Ref }
	Objects  []json.RawMessage
	Plan     *PlanAnswer
	Skipped  []weir.Ref
}

func (w *world) names(who, path string) []string {
	w.t.Helper()
	var l struct {
		Items []struct{ Metadata weir.Metadata }
	}
	a := w.want(w.do(who, "GET", path, ""), 200)
	if err := json.Unmarshal(a.body, &l); err != nil {
		w.t.Fatalf("%v: %s", err, a.body)
	}
	var names []string
	for _, o := range l.Items {
		names = append(names, o.Metadata.Name)
	}
	return names
}

// TestHostileBodies are all refused with a problem that says where.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.store.Revision()
	for name, c := range map[string]struct {
		body, kind, want string
		status           int
	}{
		"empty":              {" \n", "application/yaml", "empty", 400},
		"comment only":       {"# nothing", "application/yaml", "holds no object", 400},
		"not yaml":           {"kind: [", "application/yaml", "body", 400},
		"not json":           {"{\"kind\": \"Pool\",\n}", "application/json", `"line":2`, 400},
		"yaml as json":       {poolB, "application/json", "is not JSON", 400},
		"two json values":    {"{} {}", "application/json", "is not JSON", 400},
		"NUL":                {"kind: Zone\nmetadata: {name: \"a\x00\"}", "application/yaml", "NUL", 400},
		"NUL in json":        {`{"kind":"Zone","metadata":{"name":"a\u0000b"}}`, "application/json", "metadata.name", 400},
		"alias":              {"kind: Zone\nmetadata: {name: &x a, role: *x}", "application/yaml", "anchors and aliases", 400},
		"duplicate key":      {"kind: Zone\nmetadata: {name: a}\nspec: {capacity: 1, capacity: 2}", "application/yaml", "spec.capacity", 400},
		"duplicate json key": {`{"kind":"Zone","metadata":{"name":"a"},"spec":{"capacity":1,"capacity":2}}`, "application/json", "set twice", 400},
		"unknown field":      {"kind: Zone\nmetadata: {name: a}\nspec: {size: 1}", "application/yaml", "spec.size", 400},
		"unknown kind":       {"kind: Zonk\nmetadata: {name: a}", "application/yaml", "is no kind", 400},
		"deep json":          {strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000), "application/json", "JSON", 400},
		"deep yaml":          {strings.Repeat("[", 50_000), "application/yaml", "depth", 400},
		"not utf-8":          {"kind: \xff", "application/yaml", "UTF-8", 400},
		"utf-16":             {"\xff\xfek\x00", "application/yaml", "UTF-8", 400},
		"form":               {"a=b", "application/x-www-form-urlencoded", "Content-Type", 415},
		"no type":            {"a: b", "", "Content-Type", 415},
		"odd type":           {"a: b", "application/json;;", "Content-Type", 415},
		"latin-1":            {"a: b", "application/json; charset=latin-1", "charset", 415},
		"injection":          {"kind: Pool\nmetadata: {name: a, role: web}\nspec: {healthCheck: {path: \"/%[src]\\nuse\"}}", "application/yaml", "spec.healthCheck.path", 400},
		"name":               {"kind: Zone\nmetadata: {name: \"a;b\"}", "application/yaml", "metadata.name", 400},
		"twice":              {poolB + "---\n" + poolB, "application/yaml", "written twice", 400},
		"change":             {"kind: Change\nmetadata: {name: a}\nspec: {author: me}", "application/yaml", "can't be written", 400},
		"no such reference":  {"kind: Pool\nmetadata: {name: a, role: nix}\nspec: {}", "application/yaml", "nix", 400},
		"compressed":         {"x", "gzip", "Content-Encoding", 415},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{"Content-Type", c.kind}
			if c.kind == "gzip" {
				headers = []string{"Content-Type", "application/yaml", "Content-Encoding", "gzip"}
			}
			a := w.do("admin", "POST", "/api/v1/apply", c.body, headers...)
			if p := a.problem(t); p.Status != c.status || !strings.Contains(string(a.body), c.want) {
				t.Errorf("status %d, %.400s\nwant %d, %q", p.Status, a.body, c.status, c.want)
			}
		})
	}
	if w.store.Revision() != before {
		t.Error("something was written")
	}
}

func TestHugeBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := func(n int) string {
		return "kind: ErrorPage\nmetadata: {name: p, role: web}\nspec: {body: \"" + strings.Repeat("x", n) + "\"}"
	}
	w.want(w.do("owner", "PUT", "/api/v1/errorpages/p", page(maxObjectBody)), 413).problem(t)
	p := w.want(w.do("owner", "PUT", "/api/v1/errorpages/p", page(maxObjectBody/2)), 400).problem(t)
	if len(p.Errors) != 1 || p.Errors[0].Path != "spec.body" || p.Errors[0].Object != "ErrorPage/p" {
		t.Errorf("%+v", p)
	}
	req := w.request("owner", "POST", "/api/v1/apply", "x")
	req.ContentLength = maxManifestBody + 1 // what is announced is not waited for
	req.Body = http.NoBody
	rec := newRecorder()
	w.handler.ServeHTTP(rec, req)
	if rec.Code != 413 {
		t.Errorf("status %d", rec.Code)
	}
	// Very many broken rules are cut off.
	p = w.want(w.do("owner", "POST", "/api/v1/apply", "["+strings.Repeat("a,", 3000)+"]"), 400).problem(t)
	if len(p.Errors) != maxErrors || p.Omitted == 0 {
		t.Errorf("%d errors, %d omitted", len(p.Errors), p.Omitted)
	}
}

// TestJSONStringsSurvive: a YAML reader decodes the bodies, and JSON must not notice.
func TestJSONStringsSurvive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, body := range map[string]string{
		"slash": `a\/b`, "pair": `\ud83d\ude00`, "raw": "é😀\u2028\u0085\u007f", "escapes": `\t\b\f\n\r\"\\ \u00e9\u0001`,
		"yaml": `%d: {a} [b] # c \u0027 & * ! | > \" : x`, "bom": "\ufeff", "blank": "  x  ",
	} {
		raw := fmt.Sprintf("{\n\t\"kind\": \"ErrorPage\", \"metadata\": {\"name\": \"p-%s\", \"role\": \"web\"},\n\t\"spec\": {\"body\": \"%s\"}}", name, body)
		var want string
		if err := json.Unmarshal([]byte(`"`+body+`"`), &want); err != nil {
			t.Fatal(err)
		}
		a := w.want(w.do("owner", "PUT", "/api/v1/errorpages/p-"+name, raw, "Content-Type", "application/json"), 201)
		o, err := weir.DecodeStored(a.body)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Spec.(*weir.ErrorPage).Body; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestTheAddressAndTheBodyMustAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, want := range map[string]string{
		"/api/v1/pools/c":   "metadata.name",
		"/api/v1/servers/b": "kind",
	} {
		p := w.want(w.do("owner", "PUT", path, poolB), 400).problem(t)
		if len(p.Errors) != 1 || p.Errors[0].Path != want {
			t.Errorf("%s: %+v", path, p)
		}
	}
	w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB+"---\n"+poolB), 400)
	w.want(w.do("owner", "PUT", "/api/v1/pools/b?dryrun=true", poolB), 400) // misspelt: must not write
	if w.store.View().Get(weir.Ref{Kind: "Pool", Name: "b"}) != nil {
		t.Error("written all the same")
	}
	w.want(w.do("owner", "PATCH", "/api/v1/pools/b", poolB), 405)
	a := w.want(w.do("owner", "POST", "/api/v1/pools/b", poolB), 405)
	if a.Header.Get("Allow") != "DELETE, GET, PUT" {
		t.Errorf("Allow: %s", a.Header.Get("Allow"))
	}
	for _, path := range []string{"/", "/api", "/api/v1/puddles", "/api/v1/pools/b/c", "/api/v2/pools", "/metrics"} {
		w.want(w.do("owner", "GET", path, ""), 404).problem(t)
	}
}
