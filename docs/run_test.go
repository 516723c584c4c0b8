package docs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"weir/internal/weirtest"
)

// sandbox is a folder like a clone in which a demo runs.
type sandbox struct {
	dir string
	// memory stands for the folder that systemd makes for an agent below /run.
	memory string
	// base is the part of loopback that the demo found free; the documents say 127.77.
	base string
}

const usualBase = "127.77."

// TestShellBlocks runs the shell blocks of the documents, those of one document in one shell, against a demo. A
// block of text behind one of shell shows what that printed: every line of it must have come.
func TestShellBlocks(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	for _, file := range documents(t) {
		if blocks := blocksOf(t, file); hasShell(blocks) {
			t.Run(file, func(t *testing.T) { s.run(t, blocks) })
		}
	}
	t.Run("metrics", s.metrics)
}

func hasShell(blocks []block) bool {
	for _, b := range blocks {
		if b.lang == "sh" {
			return true
		}
	}
	return false
}

// buildWeir puts the program into bin in a folder.
func buildWeir(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "bin", "weir")
	build := exec.Command("go", "build", "-o", path, "./cmd/weir")
	build.Dir = weirtest.Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v\n%s", err, out)
	}
	return path
}

// TestTheDemoKeepsItsPromises: with --seconds it tries all that the README says of it.
func TestTheDemoKeepsItsPromises(t *testing.T) {
	dir := weirtest.TempDir(t)
	demo := weirtest.Command(t, buildWeir(t, dir), "demo", "--dir", filepath.Join(dir, ".demo"), "--haproxy", weirtest.HAProxies(t)[0].Path, "--seconds", "1")
	<-demo.Done()
	if out := demo.Output(); strings.Count(out, "  held  ") != 6 || strings.Contains(out, "BROKEN") {
		t.Errorf("six promises do not hold:\n%s", out)
	}
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	s := &sandbox{dir: weirtest.TempDir(t), memory: weirtest.MemoryDir(t)}
	weirBinary := buildWeir(t, s.dir)
	if err := os.Symlink(filepath.Join(weirtest.Root(t), "deploy"), filepath.Join(s.dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	standIn(t, filepath.Join(s.dir, "bin"), "curl")
	standIn(t, filepath.Join(s.dir, "bin"), "age-keygen")
	standIn(t, filepath.Join(s.dir, "bin"), "openssl")
	demo := weirtest.Command(t, weirBinary, "demo", "--dir", filepath.Join(s.dir, ".demo"), "--haproxy", weirtest.HAProxies(t)[0].Path)
	t.Cleanup(func() { _ = demo.Stop() })
	weirtest.Eventually(t, weirtest.Patience, func() error {
		select {
		case <-demo.Done():
			t.Fatalf("the demo ended:\n%s", demo.Output())
		default:
		}
		if !strings.Contains(demo.Output(), "Ctrl-C ends it.") {
			return fmt.Errorf("the demo is not ready:\n%s", demo.Output())
		}
		return nil
	})
	env, err := os.ReadFile(filepath.Join(s.dir, ".demo", "env"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(env), "WEIR_URL=https://127.")
	n, _, _ := strings.Cut(rest, ".")
	s.base = "127." + n + "."
	return s
}

// run carries out the blocks of one document in one shell.
func (s *sandbox) run(t *testing.T, blocks []block) {
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n")
	for i, b := range blocks {
		if b.lang == "sh" {
			fmt.Fprintf(&script, "echo '%s'\n%s\n", mark(i), strings.ReplaceAll(b.text, usualBase, s.base))
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir = s.dir
	cmd.Env = []string{"HOME=" + s.dir, "RUNTIME_DIRECTORY=" + s.memory, "XDG_CONFIG_HOME=" + filepath.Join(s.dir, "config"), "TERM=dumb", "LC_ALL=C.UTF-8", "HAPROXY=" + weirtest.HAProxies(t)[0].Path, "PATH=" + os.Getenv("PATH") + ":" + filepath.Join(s.dir, "bin")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	raw, err := cmd.CombinedOutput()
	printed := strings.ReplaceAll(string(raw), s.base, usualBase)
	last := 0
	for i, b := range blocks {
		if b.lang == "sh" && strings.Contains(printed, mark(i)+"\n") {
			last = i
		}
		if b.lang == "text" && i > 0 && blocks[i-1].lang == "sh" {
			if line := notShown(b, partOf(printed, i-1)); line != "" {
				t.Errorf("%s:%d: «%s» was not printed by the commands before it; they printed:\n%s", b.file, b.line, line, partOf(printed, i-1))
			}
		}
	}
	if err != nil {
		t.Fatalf("%s:%d: a command of this block failed: %v\n%s", blocks[last].file, blocks[last].line, err, partOf(printed, last))
	}
}

func mark(i int) string { return fmt.Sprintf("=== block %d ===", i) }

// partOf is what the block of a number printed.
func partOf(printed string, i int) string {
	_, rest, _ := strings.Cut(printed, mark(i)+"\n")
	part, _, _ := strings.Cut(rest, "=== block ")
	return part
}

// counted are numbers of commands, which change whenever the rendering does.
var counted = regexp.MustCompile(`\d+ (×|commands)`)

// plain is a line without what may differ.
func plain(line string) string {
	return counted.ReplaceAllString(strings.TrimSpace(line), "n $1")
}

// notShown is the first line of a block that was not printed, "" when all were.
func notShown(b block, printed string) string {
	have := map[string]bool{}
	for line := range strings.Lines(printed) {
		have[plain(line)] = true
	}
	for line := range strings.Lines(b.text) {
		if plain(line) != "" && !have[plain(line)] {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestShownTextMustHaveBeenPrinted(t *testing.T) {
	t.Parallel()
	if got := partOf("=== block 0 ===\na\n=== block 2 ===\nb\n", 2); got != "b\n" {
		t.Errorf("the part of block 2 is %q", got)
	}
	shown := block{text: "one\n\n  two\n11 × add map\n"}
	if got := notShown(shown, "  one\nthree\n10 × add map\ntwo\n"); got != "" {
		t.Errorf("«%s» is missed though it was printed", got)
	}
	if got := notShown(shown, "one\nthree\n"); got != "two" {
		t.Errorf("of text that was not printed «%s» is missed", got)
	}
}

// standIns are the programs that this binary is when it is called by their names; see standIn.
var standIns = map[string]func(args []string, out *bytes.Buffer) error{"curl": fetch, "age-keygen": keygen, "openssl": openssl}

// standIn puts a small program of a name into a folder when the machine has none.
func standIn(t *testing.T, dir, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	if program, ok := standIns[filepath.Base(os.Args[0])]; ok {
		var out bytes.Buffer
		err := program(os.Args[1:], &out)
		_, _ = os.Stdout.Write(out.Bytes())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
