package docs

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDependenciesAreWrittenDown holds the list of decision 1 against what our packages and their tests import.
func TestDependenciesAreWrittenDown(t *testing.T) {
	t.Parallel()
	imported := directModules(t)
	var listed []string
	for _, row := range rowsOf(t, "docs/decisions/0001-shape.md", "## Direct dependencies") {
		module := words(row[0])[0]
		listed = append(listed, module)
		if row[1] == "" || row[2] == "" {
			t.Errorf("%s: say its licence and what it is for", module)
		}
		if !slices.Contains(imported, module) {
			t.Errorf("%s is in the list, and nothing imports it", module)
		}
	}
	for _, module := range imported {
		if !slices.Contains(listed, module) {
			t.Errorf("%s is imported and not in the list of docs/decisions/0001-shape.md", module)
		}
	}
}

var required = regexp.MustCompile(`(?m)^\s+(\S+) v\S+`)

// directModules are the modules of go.mod that our packages import themselves.
func directModules(t *testing.T) []string {
	t.Helper()
	var known []string
	for _, m := range required.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		known = append(known, m[1])
	}
	list := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`, "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var direct []string
	for imp := range strings.Lines(string(out)) {
		imp = strings.TrimSpace(imp)
		best := ""
		for _, module := range known {
			if (imp == module || strings.HasPrefix(imp, module+"/")) && len(module) > len(best) {
				best = module
			}
		}
		if best != "" && !slices.Contains(direct, best) {
			direct = append(direct, best)
		}
	}
	slices.Sort(direct)
	return direct
}
