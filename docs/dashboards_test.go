package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

const (
	recorded      = "../deploy/rules.yaml"
	recordedCases = "testdata/rules.yaml"
)

// metricsShown are the names of operating.md, which another test holds against what /metrics serves, with those that
// recording rules make.
func metricsShown(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, row := range rowsOf(t, operating, "## What to watch") {
		known[words(row[0])[0]] = true
	}
	for _, r := range recordingRules(t) {
		known[r.Record] = true
	}
	return known
}

type recordingRule struct{ Record, Expr string }

func recordingRules(t *testing.T) (list []recordingRule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []recordingRule }
	}
	readYAML(t, recorded, &file)
	for _, g := range file.Groups {
		list = append(list, g.Rules...)
	}
	if len(list) == 0 {
		t.Fatalf("%s has no rules", recorded)
	}
	return list
}

var metricName = regexp.MustCompile(`\bweir[:_][\w:]+`)

// unknownMetric gives a name in an expression that nobody serves, "" when there is none; an expression without any name of
// ours is one too.
func unknownMetric(expr string, known map[string]bool) string {
	names := metricName.FindAllString(expr, -1)
	if len(names) == 0 {
		return "no metric of Weir"
	}
	for _, name := range names {
		if !known[name] && !known[strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum")] {
			return name
		}
	}
	return ""
}

// TestRecordingRules holds the recording rules against made-up series, each of them, and against the metrics that there are.
func TestRecordingRules(t *testing.T) {
	t.Parallel()
	if said, ok := promtool(t, ".", "check", "rules", "--lint-fatal", recorded); !ok {
		t.Errorf("%s: %s", recorded, said)
	}
	if said, ok := promtool(t, ".", "test", "rules", recordedCases); !ok {
		t.Errorf("%s: %s", recordedCases, said)
	}
	cases, err := os.ReadFile(recordedCases)
	if err != nil {
		t.Fatal(err)
	}
	known := metricsShown(t)
	for _, r := range recordingRules(t) {
		if !strings.Contains(string(cases), "expr: '"+r.Record) {
			t.Errorf("%s does not show what %s is", recordedCases, r.Record)
		}
		if name := unknownMetric(r.Expr, known); name != "" {
			t.Errorf("%s: %s asks for %s", recorded, r.Record, name)
		}
	}
}

// TestDashboards: each expression of a dashboard asks for metrics that there are, and Prometheus understands it.
func TestDashboards(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../deploy/dashboards/*.json")
	if err != nil || len(files) != 5 {
		t.Fatalf("five dashboards are expected: %v %v", files, err)
	}
	known, uids := metricsShown(t), map[string]bool{}
	rules := "groups:\n  - name: dashboards\n    rules:\n"
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var dashboard struct {
			UID, Title string
			Templating struct {
				List []struct {
					Name, Type string
					Query      any
				}
			}
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &dashboard); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if dashboard.UID == "" || uids[dashboard.UID] || len(dashboard.Panels) == 0 {
			t.Errorf("%s: uid %q, %d panels", file, dashboard.UID, len(dashboard.Panels))
		}
		uids[dashboard.UID] = true
		fill := []string{"$__rate_interval", "5m"}
		for _, v := range dashboard.Templating.List {
			fill = append(fill, "$"+v.Name, "x")
			if query := fmt.Sprint(v.Query); v.Type == "query" && unknownMetric(query, known) != "" {
				t.Errorf("%s: the variable %s asks for %s", file, v.Name, unknownMetric(query, known))
			}
		}
		for _, p := range dashboard.Panels {
			if len(p.Targets) == 0 {
				t.Errorf("%s: %s shows nothing", file, p.Title)
			}
			for _, target := range p.Targets {
				if name := unknownMetric(target.Expr, known); name != "" {
					t.Errorf("%s: %s asks for %s", file, p.Title, name)
				}
				expr := strings.NewReplacer(fill...).Replace(target.Expr)
				if strings.Contains(expr, "$") {
					t.Errorf("%s: %s has a variable that the dashboard has not: %s", file, p.Title, expr)
				}
				n++
				rules += fmt.Sprintf("      - record: dashboard:panel:%d\n        expr: %q\n", n, expr)
			}
		}
	}
	dir := weirtest.TempDir(t)
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, ok := promtool(t, dir, "check", "rules", "rules.yaml"); !ok {
		t.Error(said)
	}
	if unknownMetric("rate(weir_requests_totals[5m])", known) == "" || unknownMetric("up", known) == "" {
		t.Error("a metric that nobody serves is not noticed")
	}
}
