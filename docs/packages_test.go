package docs

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// packages are what make packages builds, in an order in which they can be installed.
var packages = []string{"weir", "weir-server", "weir-register", "weir-agent"}

// machine is a folder that dpkg takes for a machine, on which systemd runs; the programs that packages call only note
// how they were called.
type machine struct {
	t         *testing.T
	root, log string
	path      string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), log: filepath.Join(t.TempDir(), "calls")}
	stubs := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "run/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.put("var/lib/dpkg/status", "")
	for _, name := range []string{"adduser", "deluser", "systemctl", "deb-systemd-helper", "deb-systemd-invoke"} {
		script := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>'%s'\n", name, m.log)
		if err := os.WriteFile(filepath.Join(stubs, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.path = stubs + ":/usr/sbin:/usr/bin:/sbin:/bin"
	return m
}

func (m *machine) put(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// dpkg gives what the packages' scripts called.
func (m *machine) dpkg(args ...string) []string {
	m.t.Helper()
	_ = os.Remove(m.log)
	args = append([]string{"--root=" + m.root, "--force-script-chrootless", "--force-depends", "--force-confold", "--log=" + m.log + ".dpkg"}, args...)
	cmd := exec.Command("dpkg", args...)
	if os.Geteuid() != 0 {
		cmd = exec.Command("fakeroot", append([]string{"dpkg"}, args...)...)
	}
	cmd.Env = []string{"PATH=" + m.path, "DEBIAN_FRONTEND=noninteractive"}
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
	calls, err := os.ReadFile(m.log)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(calls)), "\n")
}

func (m *machine) has(name string) bool {
	_, err := os.Stat(filepath.Join(m.root, name))
	return err == nil
}

// buildPackages makes them of a program that is built already, and gives their files and digests.
func buildPackages(t *testing.T, program, version string) (files []string, sums string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("../scripts/packages.sh", dir)
	cmd.Env = append(os.Environ(), "WEIR="+program, "VERSION="+version, "SOURCE_DATE_EPOCH=1900000000", "DPKG_DEB_COMPRESSOR_LEVEL=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("scripts/packages.sh: %v\n%s", err, out)
	}
	for _, name := range packages {
		found, err := filepath.Glob(filepath.Join(dir, name+"_"+version+"_*.deb"))
		if err != nil || len(found) != 1 {
			t.Fatalf("package %s: %v %v", name, found, err)
		}
		raw, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found[0])
		sums += fmt.Sprintf("%s %x\n", name, sha256.Sum256(raw))
	}
	return files, sums
}

// TestPackages: they are the same bytes each time, are installed without starting anything, on upgrade start the agents anew
// and nothing else, keep what a person wrote, and leave what can't be made again.
func TestPackages(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Logf("dpkg-deb is not on this machine, where no packages are made")
		return
	}
	program := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	first, sums := buildPackages(t, program, "1.0.0")
	if _, again := buildPackages(t, program, "1.0.0"); again != sums {
		t.Errorf("built twice, they differ:\n%s%s", sums, again)
	}
	second, _ := buildPackages(t, program, "1.0.1")

	m := newMachine(t)
	calls := m.dpkg(append([]string{"--install"}, first...)...)
	for _, want := range []string{
		"adduser --quiet --system --group --no-create-home --home /var/lib/weir weir", "deb-systemd-helper enable weir-server.service",
		"adduser --quiet --system --group --no-create-home --home /var/lib/weir-register weir-register", "deb-systemd-helper enable weir-register.service",
		"adduser --quiet --system --group --no-create-home --home /var/lib/weir-agent weir-agent",
	} {
		if !slices.Contains(calls, want) {
			t.Errorf("%q is missing in\n%s", want, strings.Join(calls, "\n"))
		}
	}
	if i := slices.IndexFunc(calls, func(c string) bool { return strings.HasPrefix(c, "deb-systemd-invoke") }); i >= 0 {
		t.Errorf("installing does %q", calls[i])
	}
	out, err := exec.Command(filepath.Join(m.root, "usr/bin/weir"), "version", "--client").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "weir ") {
		t.Errorf("the program that was installed says %q: %v", out, err)
	}
	for _, name := range []string{"weir-server.service", "weir-register.service", "weir-agent@.service"} {
		unit, err := os.ReadFile(filepath.Join(m.root, "usr/lib/systemd/system", name))
		if err != nil || !strings.Contains(string(unit), "ExecStart=/usr/bin/weir ") {
			t.Errorf("%s runs another program: %v\n%s", name, err, unit)
		}
	}

	const settings = "WEIR_SERVER_FLAGS=--name weir.example.com\n"
	m.put("etc/weir/server.env", settings)
	m.put("etc/weir/agent-lb1.env", "WEIR_AGENT_FLAGS=\n")
	m.put("etc/weir/service.yaml", "name: web-1\n")
	for _, dir := range []string{"var/lib/weir", "var/lib/weir-register", "var/lib/weir-agent/lb1"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var invoked []string
	for _, call := range m.dpkg(append([]string{"--install"}, second...)...) {
		if strings.HasPrefix(call, "deb-systemd-invoke") || strings.HasPrefix(call, "systemctl") && call != "systemctl --system daemon-reload" {
			invoked = append(invoked, call)
		}
	}
	slices.Sort(invoked) // dpkg's order
	if want := []string{"deb-systemd-invoke try-restart weir-agent@*.service", "deb-systemd-invoke try-restart weir-server.service"}; !slices.Equal(invoked, want) {
		t.Errorf("an upgrade does %q, want %q", invoked, want)
	}
	if text, err := os.ReadFile(filepath.Join(m.root, "etc/weir/server.env")); err != nil || string(text) != settings {
		t.Errorf("an upgrade makes of what a person wrote %q: %v", text, err)
	}

	calls = m.dpkg("--remove", "weir-agent", "weir-register", "weir-server", "weir")
	for _, want := range []string{"deb-systemd-invoke stop weir-agent@*.service", "deb-systemd-invoke stop weir-server.service", "deb-systemd-invoke stop weir-register.service"} {
		if !slices.Contains(calls, want) {
			t.Errorf("%q is missing in\n%s", want, strings.Join(calls, "\n"))
		}
	}
	m.dpkg("--purge", "weir-agent", "weir-register", "weir-server", "weir")
	for name, want := range map[string]bool{
		"usr/bin/weir": false, "usr/lib/systemd/system/weir-server.service": false, "etc/weir/server.env": false,
		"usr/lib/systemd/system/weir-register.service": false, "var/lib/weir-register": false, "etc/weir/service.yaml": true,
		"var/lib/weir": true, "var/lib/weir-agent/lb1": true,
	} {
		if m.has(name) != want {
			t.Errorf("after a purge, %s is there: %v", name, !want)
		}
	}
}
