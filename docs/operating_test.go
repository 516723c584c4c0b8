package docs

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const operating = "docs/operating.md"

// metrics holds the table of metrics against what the demo's control plane shows.
func (s *sandbox) metrics(t *testing.T) {
	answer, err := http.Get("http://" + s.base + "0.1:7444/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range rowsOf(t, operating, "## What to watch") {
		name := words(row[0])[0]
		documented[name] = true
		family, ok := families[name]
		if !ok && (strings.Contains(row[2], "of an Issuer of type acme") || strings.Contains(row[2], "over a RateLimit") || strings.Contains(row[2], "of a Split") || strings.Contains(row[2], "came over TLS") || strings.Contains(row[2], "alls to partners")) {
			continue // the demo has none; TestLimited, TestDiverted, TestHAProxyTLS and TestCallsAreCounted show the latter four
		}
		if !ok {
			t.Errorf("%s: /metrics does not show %s", operating, name)
			continue
		}
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		if !slices.Equal(labels, words(row[1])) {
			t.Errorf("%s: the labels of %s are %v", operating, name, labels)
		}
	}
	for name := range families {
		if !documented[name] {
			t.Errorf("%s does not tell what %s means", operating, name)
		}
	}
}

// known are the directives that our units use, by section.
var known = map[string][]string{
	"Unit": {"Description", "Wants", "After", "ConditionPathExists", "StartLimitIntervalSec"},
	"Service": {
		"AmbientCapabilities", "CapabilityBoundingSet", "EnvironmentFile", "ExecStart", "FileDescriptorStoreMax", "Group", "KillMode", "LimitNOFILE", "LockPersonality",
		"MemoryDenyWriteExecute", "NoNewPrivileges", "NotifyAccess", "OOMPolicy", "PrivateDevices", "PrivateMounts", "PrivateTmp", "ProtectClock", "ProtectControlGroups", "ProtectHome",
		"ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ReadWritePaths", "RemoveIPC", "Restart",
		"RestartSec", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RuntimeDirectory",
		"RuntimeDirectoryMode", "RuntimeDirectoryPreserve", "StateDirectory",
		"StateDirectoryMode", "SupplementaryGroups", "SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter", "TimeoutStopSec", "Type", "UMask", "User",
	},
	"Install": {"WantedBy"},
}

// TestUnits reads the systemd units, and lets systemd itself verify them where it is installed.
func TestUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob("../deploy/*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("three units are expected: %v %v", units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := wrongInUnit(string(text)); wrong != "" {
			t.Errorf("%s: %s", unit, wrong)
		}
		verify(t, filepath.Base(unit), string(text))
	}
}

// TestUnitForTakingOver: the drop-in and the unit together are still a good unit.
func TestUnitForTakingOver(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../deploy/weir-agent@.service")
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile("../deploy/takeover.conf")
	if err != nil {
		t.Fatal(err)
	}
	both := string(unit) + string(more)
	if wrong := wrongInUnit(both); wrong != "" {
		t.Error(wrong)
	}
	verify(t, "weir-agent@.service", both)
}

// mostExposed is what systemd-analyze says of a unit, in tenths: 0 is none, 100 a program without bounds.
var mostExposed = map[string]string{"weir-server.service": "12", "weir-agent@.service": "21", "weir-register.service": "21"}

var flagInUnit = regexp.MustCompile(` --([a-z-]+)`)

// wrongInUnit says what a unit has that the file format, the program or its purpose does not allow.
func wrongInUnit(text string) string {
	section, values := "", map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !slices.Contains(known[section], key) {
			return "«" + line + "» is no directive of section " + section
		}
		values[key] = value
	}
	command, ok := strings.CutPrefix(values["ExecStart"], "/usr/local/bin/weir ")
	if !ok {
		return "ExecStart runs something else"
	}
	if values["User"] == "" || values["NoNewPrivileges"] != "yes" || values["ProtectSystem"] != "strict" {
		return "it is not hardened"
	}
	name, _, _ := strings.Cut(command, " ")
	if name == "agent" && values["KillMode"] != "process" {
		return "HAProxy would end with the agent"
	}
	cli, err := os.ReadFile("cli.md")
	if err != nil {
		return err.Error()
	}
	_, of, _ := strings.Cut(string(cli), "\n### weir "+name+"\n")
	of, _, _ = strings.Cut(of, "\n### ")
	for _, m := range flagInUnit.FindAllStringSubmatch(command, -1) {
		if !strings.Contains(of, "`--"+m[1]+" ") && !strings.Contains(of, "`--"+m[1]+"`") {
			return "weir " + name + " has no flag --" + m[1]
		}
	}
	return ""
}

func TestWrongUnitsAreNoticed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../deploy/weir-agent@.service")
	if err != nil {
		t.Fatal(err)
	}
	for old, wrong := range map[string]string{
		"KillMode=process":   "KillMode=control-group",
		"NoNewPrivileges=":   "NoNewPrivilegs=",
		" --log json":        " --logs json",
		"User=weir-agent":    "#",
		"/usr/local/bin/wei": "/bin/wei",
	} {
		if wrongInUnit(strings.Replace(string(text), old, wrong, 1)) == "" {
			t.Errorf("%s instead of %s is not noticed", wrong, old)
		}
	}
}

// verify asks systemd, with a program in place of ours that is not installed here.
func verify(t *testing.T, name, text string) {
	t.Helper()
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Logf("%s: systemd-analyze is not on this machine; the directives have been looked at", name)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/usr/local/bin/weir", strings.ReplaceAll(self, "%", "%%"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "verify", "--man=no", file).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
	out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", "--threshold="+mostExposed[name], file).CombinedOutput()
	if err != nil || mostExposed[name] == "" {
		t.Errorf("%s is less hardened than it was: %v\n%s", name, err, out)
	}
}
