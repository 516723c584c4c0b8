package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/series"
	"weir/internal/weirtest"
)

// Every figure of every kind has an expression that Prometheus understands, of metrics that operating.md has, whatever the
// object is called.
func TestExpressionsAreUnderstood(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, n := "groups:\n  - name: figures\n    rules:\n", 0
	metric := regexp.MustCompile(`\bweir_\w+`)
	for _, object := range []string{"Site/www", "Pool/web", "Server/a", "Pool/web/Server/a\"} or up{x=\"", "LoadBalancer/lb1", "Fleet"} {
		for _, f := range series.FiguresOf(series.KindOf(object)) {
			expr := expression(object, f.Name, 10*time.Second)
			names := metric.FindAllString(expr, -1)
			if len(names) == 0 {
				t.Errorf("%s of %s is %q", f.Name, object, expr)
			}
			for _, name := range names {
				if !strings.Contains(string(table), "| `"+strings.TrimSuffix(name, "_bucket")+"` |") {
					t.Errorf("%s of %s asks for %s, which nobody serves", f.Name, object, name)
				}
			}
			n++
			rules += fmt.Sprintf("      - record: figure:%d\n        expr: %q\n", n, expr)
		}
	}
	file := filepath.Join(weirtest.TempDir(t), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool := filepath.Join(weirtest.Root(t), ".tools", "promtool", "usr", "bin", "promtool")
	if said, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// What goes back more than an hour is asked of Prometheus, once for each figure, at the ends of the points; what it says of
// an error is told on, bounded, and the last hour is told from memory.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	says := func(int) (int, string) { return 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}` }
	asked := 0
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/base/api/v1/query_range" || r.Method != http.MethodPost || r.FormValue("query") == "" {
			t.Errorf("%s %s %q", r.Method, r.URL, r.FormValue("query"))
		}
		status, text := says(asked)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, strings.NewReplacer("START", r.FormValue("start"), "END", r.FormValue("end")).Replace(text))
	}))
	t.Cleanup(fake.Close)
	b := newAnnalsBed(t)
	source, err := newPrometheusSource(fake.URL + "/base/")
	if err != nil {
		t.Fatal(err)
	}
	b.annals.prometheus = source
	b.now = b.now.Add(2 * time.Hour)
	q := api.SeriesQuery{Objects: []string{"Site/www"}, Figures: []string{"requests"}, From: b.now.Add(-24 * time.Hour), Step: time.Hour, Points: 24}
	says = func(int) (int, string) {
		return 200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[START,"1.5"],[END,"2.5"],[END,"NaN x"],[1,"9"]]}]}}`
	}
	s, err := b.annals.Series(t.Context(), q)
	if err != nil || s.Source != "prometheus" || s.From != q.From.Unix() || s.Step != 3600 {
		t.Fatalf("%+v %v", s, err)
	}
	points := s.Of[0].Figures["requests"]
	if len(points) != 24 || points[0] != 1.5 || points[23] != 2.5 || series.Known(float64(points[7])) {
		t.Errorf("%v", points)
	}
	for text, want := range map[string]string{
		`{"status":"error","errorType":"bad_data","error":"too many points"}`: "too many points",
		`{"status":"error","error":"` + strings.Repeat("x", 5000) + `"}`:      "xxx…",
		`<html>`: "no JSON",
		`{"status":"success","data":{"resultType":"vector","result":[]}}`:                            "type vector",
		`{"status":"success","data":{"resultType":"matrix","result":[{"values":[]},{"values":[]}]}}`: "2 series",
		`{"status":"success","data":"` + strings.Repeat("x", prometheusAnswer) + `"}`:                "longer than",
	} {
		says = func(int) (int, string) { return 422, text }
		_, err := b.annals.Series(t.Context(), q)
		if weir.KindOf(err) != weir.Unavailable || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("%.60s: %.300v", text, err)
		}
	}
	before := asked
	many := q
	for i := range 61 {
		many.Objects = append(many.Objects, fmt.Sprint("Site/", i))
	}
	if _, err := b.annals.Series(t.Context(), many); weir.KindOf(err) != weir.Invalid || asked != before {
		t.Errorf("%v after %d questions", err, asked-before)
	}
	recent := api.SeriesQuery{Objects: q.Objects, Figures: q.Figures, From: b.now.Add(-time.Hour), Step: 10 * time.Second, Points: 360}
	if s, err := b.annals.Series(t.Context(), recent); err != nil || s.Source != "memory" || asked != before {
		t.Errorf("the last hour: %+v %v", s, err)
	}
	fake.Close()
	if _, err := b.annals.Series(t.Context(), q); weir.KindOf(err) != weir.Unavailable || strings.Contains(err.Error(), "/base") {
		t.Errorf("one that is away: %v", err)
	}
	for _, text := range []string{"prometheus:9090", "ftp://x", "http://", "http://x/?a=b"} {
		if _, err := newPrometheusSource(text); err == nil {
			t.Errorf("%q is taken for a URL", text)
		}
	}
}
