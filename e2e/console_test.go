package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// consoleApart are the scripts of web/browser that run beside all others, in a world of their own: about half of the time
// that all take.
var consoleApart = []string{"hostile", "home", "meanwhile", "metrics", "servers", "signin"}

// consoleResult is what became of one script.
type consoleResult struct {
	File, Name string
	Took       int // milliseconds
	Passed     bool
	// Said are its errors, the first time's where it passed the second.
	Said []string
}

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
	results := filepath.Join(root, "web", "results")
	if err := os.RemoveAll(results); err != nil {
		t.Fatal(err)
	}
	var said weirtest.Buffer
	found, running := make(chan consoleResult), sync.WaitGroup{}
	for _, scripts := range consoleScripts(t, root) {
		w := newConsoleWorld(t, weirtest.HAProxies(t)[0])
		world := toJSON(map[string]any{"url": w.url, "control": w.control(), "results": results, "tokens": w.tokens, "at": w.places(), "passed": w.passed})
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		run := weirtest.CommandFunc(t, func(c *exec.Cmd) {
			c.Dir, c.Stdout, c.Stderr = filepath.Join(root, "web"), in, &said
			c.Env = append(os.Environ(), "WEIR_WORLD="+world, "VITEST_SKIP_INSTALL_CHECKS=1", "NO_COLOR=1")
		}, node, append([]string{filepath.Join("node_modules", "vitest", "vitest.mjs"), "run", "--config", "browser/vitest.config.ts"}, scripts...)...)
		in.Close()
		running.Go(func() {
			failed, err := consoleResults(out, &said, found)
			if werr := run.Wait(); !failed { // the runner's end tells of failed scripts, too
				err = errors.Join(err, werr)
			}
			if err != nil {
				t.Errorf("the scripts: %v", err)
			}
		})
	}
	go func() { running.Wait(); close(found) }()
	// The scripts of a world run one after the other, for longer than any other test here: they begin before all of those.
	t.Parallel()

	var again []byte
	scripts := 0
	for r := range found {
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

// consoleScripts gives the files of the scripts that are to run, for each world.
func consoleScripts(t *testing.T, root string) (worlds [][]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "web", "browser", "*.test.ts"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	only := os.Getenv("WEIR_CONSOLE")
	var apart, others []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".test.ts")
		switch path := "browser/" + filepath.Base(file); {
		case only != "" && !slices.Contains(strings.Split(only, ","), name):
		case slices.Contains(consoleApart, name):
			apart = append(apart, path)
		default:
			others = append(others, path)
		}
	}
	return slices.DeleteFunc([][]string{others, apart}, func(files []string) bool { return len(files) == 0 })
}

// consoleResults reads what the runner says: results, of which it says whether any failed, and the rest, which is kept.
func consoleResults(from io.Reader, said io.Writer, to chan<- consoleResult) (failed bool, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "weir-result ")
		if !ok {
			if text != "" { // each result begins a line of its own
				_, _ = said.Write(append(lines.Bytes(), '\n'))
			}
			continue
		}
		var r consoleResult
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return failed, fmt.Errorf("the runner said %q: %w", text, err)
		}
		failed = failed || !r.Passed
		to <- r
	}
	return failed, lines.Err()
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
