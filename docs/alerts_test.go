package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"weir/internal/weirtest"
)

const (
	alerts      = "../deploy/alerts.yaml"
	alertsCases = "testdata/alerts.yaml"
)

// promtool runs Prometheus' own checker in a folder and gives what it says; ok is whether it was content.
func promtool(t *testing.T, dir string, args ...string) (said string, ok bool) {
	t.Helper()
	binary := filepath.Join(weirtest.Root(t), ".tools", "promtool", "usr", "bin", "promtool")
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("find promtool: %v; run scripts/programs.sh promtool to get it", err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

type ruleFile struct {
	Groups []struct {
		Rules []struct{ Alert, Expr string }
	}
}

type ruleCases struct {
	Tests []struct {
		Cases []struct {
			Alert string `yaml:"alertname"`
			Fires []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

func readYAML(t *testing.T, file string, to any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestAlerts holds the example alerts against made-up series: each of them is shown to fire and to be silent, and asks for
// metrics only that operating.md has, which another test holds against the server's.
func TestAlerts(t *testing.T) {
	t.Parallel()
	if said, ok := promtool(t, ".", "check", "rules", "--lint-fatal", alerts); !ok {
		t.Errorf("%s: %s", alerts, said)
	}
	if said, ok := promtool(t, ".", "test", "rules", alertsCases); !ok {
		t.Errorf("%s: %s", alertsCases, said)
	}
	known := map[string]bool{}
	for _, row := range rowsOf(t, operating, "## What to watch") {
		known[words(row[0])[0]] = true
	}
	var cases ruleCases
	readYAML(t, alertsCases, &cases)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range cases.Tests {
		for _, c := range test.Cases {
			fires[c.Alert] = fires[c.Alert] || len(c.Fires) > 0
			silent[c.Alert] = silent[c.Alert] || len(c.Fires) == 0
		}
	}
	var rules ruleFile
	readYAML(t, alerts, &rules)
	metric := regexp.MustCompile(`\bweir_\w+`)
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			if !fires[r.Alert] || !silent[r.Alert] {
				t.Errorf("%s: %s is not shown to fire and to be silent", alertsCases, r.Alert)
			}
			names := metric.FindAllString(r.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: %s asks for no metric of Weir", alerts, r.Alert)
			}
			for _, name := range names {
				if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
					t.Errorf("%s: %s asks for %s, which %s does not have", alerts, r.Alert, name, operating)
				}
			}
		}
	}
}

// TestWrongAlertsAreNoticed breaks a rule, and the cases must fail.
func TestWrongAlertsAreNoticed(t *testing.T) {
	t.Parallel()
	dir := weirtest.TempDir(t)
	for from, to := range map[string]string{alerts: "deploy/alerts.yaml", alertsCases: "docs/testdata/alerts.yaml"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if from == alerts {
			text = []byte(strings.Replace(string(text), "< 14 * 86400", "< 14", 1))
		}
		to = filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, ok := promtool(t, filepath.Join(dir, "docs"), "test", "rules", alertsCases); ok || !strings.Contains(said, "WeirCertificateEndsSoon") {
		t.Errorf("the rule says nothing any more, and promtool is content: %s", said)
	}
}
