package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestConsole runs the scripts of web/browser in a real browser against a real control plane with load balancers and
// traffic; each script is a subtest. WEIR_CONSOLE=signin,rail runs only scripts of such names, and pictures of pages are
// in web/results afterwards.
func TestConsole(t *testing.T) {
	var failures []string // told last, where whoever reads the end of a log finds them
	t.Cleanup(func() {
		if len(failures) > 0 {
			t.Logf("what failed:\n%s", strings.Join(failures, "\n"))
		}
	})
	root := weirtest.Root(t)
	node := consoleNeeds(t, root)
	w := newConsoleWorld(t, weirtest.HAProxies(t)[0])
	results := filepath.Join(root, "web", "results")
	if err := os.RemoveAll(results); err != nil {
		t.Fatal(err)
	}
	world := toJSON(map[string]any{"url": w.url, "control": w.control(), "results": results, "tokens": w.tokens, "at": w.places(), "passed": w.passed})

	args := []string{filepath.Join("node_modules", "vitest", "vitest.mjs"), "run", "--config", "browser/vitest.config.ts"}
	if only := os.Getenv("WEIR_CONSOLE"); only != "" {
		args = append(args, strings.Split(only, ",")...)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var said weirtest.Buffer
	run := weirtest.CommandFunc(t, func(c *exec.Cmd) {
		c.Dir, c.Stdout, c.Stderr = filepath.Join(root, "web"), in, &said
		c.Env = append(os.Environ(), "WEIR_WORLD="+world, "VITEST_SKIP_INSTALL_CHECKS=1", "NO_COLOR=1")
	}, node, args...)
	in.Close()
	// The scripts run one after the other, for longer than any other test here: they begin before all of those.
	t.Parallel()

	var again []byte
	scripts := 0
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "weir-result ")
		if !ok {
			if text != "" { // each result begins a line of its own
				_, _ = said.Write(append(lines.Bytes(), '\n'))
			}
			continue
		}
		var r struct {
			File, Name string
			Took       int
			Passed     bool
			Said       []string
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Errorf("the runner said %q: %v", text, err)
			continue
		}
		scripts++
		t.Run(r.File+"/"+r.Name, func(t *testing.T) {
			t.Logf("took %s", time.Duration(r.Took)*time.Millisecond)
			why := strings.Join(r.Said, "\n")
			switch {
			case !r.Passed:
				t.Error(why)
				failures = append(failures, t.Name()+": "+why)
			case why != "":
				again = append(again, fmt.Sprintf("%s passed the second time; at first: %s\n", t.Name(), why)...)
			}
		})
	}
	if err := errors.Join(lines.Err(), run.Wait()); err != nil && !t.Failed() {
		t.Errorf("the scripts: %v", err)
	}
	if scripts == 0 {
		t.Error("no script ran")
	}
	if len(again) > 0 {
		if err := os.WriteFile(filepath.Join(results, "again.txt"), again, 0o644); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.Logf("pictures are in %s; the runner said:\n%s", results, said.String())
	}
}

// consoleNeeds says what is missing for tests with a browser, and how to get it.
func consoleNeeds(t *testing.T, root string) (node string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is not on this machine: install Node.js 20.19 or newer (apt install nodejs npm), which builds the console and runs its tests")
	}
	for path, get := range map[string]string{
		".tools/chromium/usr/lib/chromium/chromium-headless-shell": "make chromium",
		"web/node_modules/playwright-core":                         "make web",
		"internal/console/dist/index.html":                         "make web",
	} {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Fatalf("%s is not there: %s gets it", path, get)
		}
	}
	return node
}
