package weirtest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// nobody is the ordinary user that the script runs as when the tests run as root.
const nobody = 65534

// unreachable is a mirror that refuses: what works with it works without a network.
const unreachable = "http://127.0.0.1:1/debian"

// checkout is a copy of scripts/haproxy.sh and what it needs in a folder of its own with a space in its name.
type checkout struct {
	t   *testing.T
	dir string
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	top := TempDir(t)
	c := &checkout{t: t, dir: filepath.Join(top, "a b")}
	for _, name := range []string{"haproxy.sh", "debian.sh"} {
		script, err := os.ReadFile(filepath.Join(Root(t), "scripts", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(c.dir, "scripts", name), string(script))
	}
	c.giveAway(top)
	return c
}

// withCache copies the packages that were fetched for this module, so that nothing has to be
// fetched for the copy.
func (c *checkout) withCache() *checkout {
	c.t.Helper()
	from, to := filepath.Join(Root(c.t), ".tools", "cache"), filepath.Join(c.dir, ".tools", "cache")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		c.t.Fatalf("copy the fetched packages (scripts/haproxy.sh --update fetches them again): %v", err)
	}
	c.giveAway(c.dir)
	return c
}

// giveAway makes the ordinary user own everything in the folder.
func (c *checkout) giveAway(top string) {
	c.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// command is the script with arguments, run by an ordinary user from another folder.
func (c *checkout) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command("bash", append([]string{filepath.Join(c.dir, "scripts", "haproxy.sh")}, args...)...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "HAPROXY=", "WEIR_DEBIAN_MIRROR="+unreachable)
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// run returns what the script printed, and fails the test when the script failed.
func (c *checkout) run(env []string, args ...string) (stdout, stderr string) {
	c.t.Helper()
	cmd := c.command(env, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("haproxy.sh %v: %v: %s", args, err, errs.String())
	}
	return string(out), errs.String()
}

// refuse returns what the script said, and fails the test when the script did not fail.
func (c *checkout) refuse(env []string, args ...string) string {
	c.t.Helper()
	out, err := c.command(env, args...).CombinedOutput()
	if err == nil {
		c.t.Fatalf("haproxy.sh %v passed, want an error: %s", args, out)
	}
	return string(out)
}

// complete checks that both versions start and that nothing half-made lies about.
func (c *checkout) complete() {
	c.t.Helper()
	if _, err := findHAProxies(c.dir); err != nil {
		c.t.Error(err)
	}
	c.tidy()
}

func (c *checkout) tidy() {
	c.t.Helper()
	left, err := filepath.Glob(filepath.Join(c.dir, ".tools", ".new-*"))
	if err != nil || len(left) > 0 {
		c.t.Errorf("left behind: %v %v", left, err)
	}
}

func TestScriptTwiceAtOnceInAFolderWithASpace(t *testing.T) {
	t.Parallel()
	c := newCheckout(t).withCache()
	results := make(chan string, 2)
	for range cap(results) {
		cmd := c.command(nil)
		go func() {
			out, err := cmd.CombinedOutput()
			if err == nil {
				out = nil
			}
			results <- string(out)
		}()
	}
	for range cap(results) {
		if out := <-results; out != "" {
			t.Errorf("one of two runs at once failed: %s", out)
		}
	}
	c.complete()
	if out, errs := c.run(nil); out+errs != "" {
		t.Errorf("a run with nothing to do said %q", out+errs)
	}

	// The path is part of the binaries: the old place must not be used after a move.
	moved := c.dir + " moved"
	if err := os.Rename(c.dir, moved); err != nil {
		t.Fatal(err)
	}
	c.dir = moved
	c.run(nil)
	c.complete()
	bin := filepath.Join(c.dir, ".tools", "haproxy-3.4", "usr", "sbin", "haproxy")
	if out, _ := c.run([]string{"PATH=" + fakeHAProxy(t, "2.6.12-1") + ":" + os.Getenv("PATH")}, "--path"); out != bin+"\n" {
		// A machine whose own HAProxy will do is the other right answer.
		if _, err := askVersion(strings.TrimSpace(out)); err != nil || strings.HasPrefix(out, c.dir) {
			t.Errorf("--path printed %q, want %s", out, bin)
		}
	}
}

func TestScriptLeavesNoHalfFolder(t *testing.T) {
	t.Parallel()
	c := newCheckout(t).withCache()
	broken := TempDir(t)
	count := filepath.Join(c.dir, "count")
	// The third package cannot be unpacked, then one more kills the script where it stands.
	write(t, filepath.Join(broken, "dpkg-deb"), `#!/bin/bash
echo x >>"$COUNT"
n=$(wc -l <"$COUNT")
[ "$n" -eq 3 ] && exit 1
[ "$n" -eq 6 ] && kill -9 $PPID
exec /usr/bin/dpkg-deb "$@"
`)
	if err := os.Chmod(broken, 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + broken + ":" + os.Getenv("PATH"), "COUNT=" + count}
	if out := c.refuse(env); !strings.Contains(out, "cannot unpack") {
		t.Errorf("a broken package gave %q", out)
	}
	c.tidy()
	c.refuse(env)
	for _, s := range series {
		if _, err := os.Stat(filepath.Join(c.dir, ".tools", "haproxy-"+s)); err == nil {
			t.Errorf("haproxy-%s is there after runs that did not finish", s)
		}
	}
	c.run(nil)
	c.complete()
}

func TestScriptWithADamagedCache(t *testing.T) {
	t.Parallel()
	c := newCheckout(t).withCache()
	cache := filepath.Join(c.dir, ".tools", "cache")
	list, err := os.ReadFile(filepath.Join(cache, "haproxy-3.4.sha256"))
	if err != nil {
		t.Fatal(err)
	}
	// Other programs' packages are there too, and may bring a libc6 of another day.
	deb := regexp.MustCompile(`libc6_\S+\.deb`).FindString(string(list))
	if err := os.Truncate(filepath.Join(cache, deb), 1000); err != nil {
		t.Fatal(err)
	}
	// A damaged package is never unpacked: it is fetched again, which cannot work here.
	if out := c.refuse(nil); !strings.Contains(out, unreachable) || !strings.Contains(out, "--mirror") {
		t.Errorf("a mirror that refuses gave %q, want its address and what to do", out)
	}
	c.tidy()
}

func TestScriptFindsTheMirror(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, file, text, want string }{
		{"one line", "a.list", "# deb http://no.example/debian stable main\ndeb http://m.example/debian/ stable main contrib\n", "http://m.example/debian/"},
		{"options", "a.list", "deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] https://m.example/debian sid main\n", "https://m.example/debian"},
		{"deb822", "a.sources", "Types: deb deb-src\nURIs: http://m.example/debian\nSuites: stable stable-updates\nComponents: main\n", "http://m.example/debian"},
		{"continued", "a.sources", "Types: deb\nURIs:\n http://m.example/debian\nSuites: testing\nComponents:\n contrib\n main\n", "http://m.example/debian"},
		{"switched off", "a.sources", "Enabled: no\nTypes: deb\nURIs: http://no.example/debian\nSuites: stable\nComponents: main\n\nTypes: deb\nURIs: http://m.example/debian\nSuites: stable\nComponents: main\n", "http://m.example/debian"},
		{"own path", "a.list", "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.example/proxy stable main\n", "http://m.example/proxy"},
		{"a vendor's", "a.list", "deb http://vendor.example/linux/debian stable stable\n", ""},
		{"security only", "a.list", "deb http://m.example/debian-security stable-security main\n", ""},
		{"sources only", "a.list", "deb-src http://m.example/debian stable main\n", ""},
		{"another system", "a.list", "deb http://m.example/other stable main\n", ""},
		{"none", "a.list", "", ""},
	}
	c := newCheckout(t)
	for _, tc := range cases {
		dir := TempDir(t)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "parts", tc.file), tc.text)
		write(t, filepath.Join(dir, "apt.conf"), "Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \""+dir+"/parts\";\n")
		env := []string{"APT_CONFIG=" + dir + "/apt.conf", "WEIR_DEBIAN_MIRROR="}
		if tc.want == "" {
			if out := c.refuse(env, "--mirror"); !strings.Contains(out, "WEIR_DEBIAN_MIRROR") {
				t.Errorf("%s: said %q, want what to do", tc.name, out)
			}
			continue
		}
		if out, _ := c.run(env, "--mirror"); out != tc.want+"\n" {
			t.Errorf("%s: mirror = %q, want %s", tc.name, out, tc.want)
		}
	}
}

func TestScriptPathHonoursOwnBinary(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	own := filepath.Join(fakeHAProxy(t, "3.2.26-1"), "haproxy")
	if out, _ := c.run([]string{"HAPROXY=" + own}, "--path"); out != own+"\n" {
		t.Errorf("--path printed %q, want $HAPROXY, %s", out, own)
	}
	if out, _ := c.run([]string{"PATH=" + filepath.Dir(own) + ":" + os.Getenv("PATH")}, "--path"); out != own+"\n" {
		t.Errorf("--path printed %q, want the machine's, %s", out, own)
	}
	for _, bad := range []string{filepath.Join(fakeHAProxy(t, "2.6.12-1"), "haproxy"), "/nowhere/haproxy"} {
		if out := c.refuse([]string{"HAPROXY=" + bad}, "--path"); !strings.Contains(out, bad) {
			t.Errorf("HAPROXY=%s gave %q, want its name", bad, out)
		}
	}
}

// fakeHAProxy returns a folder with a program that says it is HAProxy of that version; any
// user may run it, wherever this module is.
func fakeHAProxy(t *testing.T, version string) string {
	t.Helper()
	dir := TempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "haproxy"), "#!/bin/sh\necho 'HAProxy version "+version+" 2026/01/01'\n")
	return dir
}
