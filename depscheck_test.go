package weir_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// source is what one package's files say, tests left out.
type source struct {
	imports map[string]bool
	calls   map[string]bool // "time.Now" and the like: the import path, the name used of it
}

// impure lists what a pure package may not import, and impureNames what it may not use of
// packages that are fine otherwise.
var (
	impure      = []string{"context", "crypto/rand", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "os/signal", "sync", "sync/atomic", "syscall", "unsafe"}
	impureNames = []string{"time.After", "time.AfterFunc", "time.NewTicker", "time.NewTimer", "time.Now", "time.Since", "time.Sleep", "time.Tick", "time.Until"}
)

// checkLayers compares what the packages import with the table and returns what is wrong, a
// sentence each.
func checkLayers(table []layer, packages map[string]source) []string {
	var wrong []string
	rows := map[string]layer{}
	for _, r := range table {
		rows[r.pkg] = r
		if _, ok := packages[r.pkg]; !ok && !r.coming {
			wrong = append(wrong, fmt.Sprintf("the layer table has a row for %s, which does not exist", r.pkg))
		}
	}
	for _, name := range sortedKeys(packages) {
		r, ok := rows[name]
		if !ok {
			wrong = append(wrong, fmt.Sprintf("package %s is not in the layer table", name))
			continue
		}
		wrong = append(wrong, checkImports(r, rows, packages[name])...)
		if r.pure {
			wrong = append(wrong, checkPure(r, packages[name])...)
		}
	}
	if chain := longestChain(packages); len(chain)-1 > maxDepth {
		wrong = append(wrong, fmt.Sprintf("imports are %d deep, more than %d: %s", len(chain)-1, maxDepth, strings.Join(chain, " → ")))
	}
	return wrong
}

func checkImports(r layer, rows map[string]layer, s source) []string {
	var wrong []string
	for _, imp := range sortedKeys(s.imports) {
		if own, ok := ours(imp); ok {
			if !slices.Contains(r.own, own) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which its layer does not allow", r.pkg, own))
			} else if r.pure && !rows[own].pure {
				wrong = append(wrong, fmt.Sprintf("%s is pure and imports %s, which is not", r.pkg, own))
			}
			continue
		}
		first, _, _ := strings.Cut(imp, "/")
		allowed := func(f string) bool { return imp == f || strings.HasPrefix(imp, f+"/") }
		if strings.Contains(first, ".") && !slices.ContainsFunc(r.foreign, allowed) {
			wrong = append(wrong, fmt.Sprintf("%s imports %s, which its layer does not allow", r.pkg, imp))
		}
	}
	return wrong
}

func checkPure(r layer, s source) []string {
	var wrong []string
	for _, imp := range impure {
		if s.imports[imp] {
			wrong = append(wrong, fmt.Sprintf("%s is pure and imports %s", r.pkg, imp))
		}
	}
	for _, name := range impureNames {
		if s.calls[name] {
			wrong = append(wrong, fmt.Sprintf("%s is pure and uses %s: let the caller give the time", r.pkg, name))
		}
	}
	return wrong
}

// longestChain returns the longest chain of imports among the packages below internal/.
func longestChain(packages map[string]source) []string {
	known := map[string][]string{}
	var from func(name string) []string
	from = func(name string) []string {
		if c, ok := known[name]; ok {
			return c
		}
		known[name] = []string{name} // an import cycle is the compiler's to report
		var best []string
		for _, imp := range sortedKeys(packages[name].imports) {
			own, ok := ours(imp)
			if !ok || !strings.HasPrefix(own, "internal/") {
				continue
			}
			if c := from(own); len(c) > len(best) {
				best = c
			}
		}
		known[name] = append([]string{name}, best...)
		return known[name]
	}
	var longest []string
	for _, name := range sortedKeys(packages) {
		if !strings.HasPrefix(name, "internal/") {
			continue
		}
		if c := from(name); len(c) > len(longest) {
			longest = c
		}
	}
	return longest
}

// ours tells whether an import path is of this module, and its name in the table.
func ours(imp string) (string, bool) {
	if imp == "weir" {
		return imp, true
	}
	return strings.CutPrefix(imp, "weir/")
}

// readPackages parses every Go file of the module in the folder but the tests. It reads the
// files itself, and so go test knows that its result depends on them.
func readPackages(root string) (map[string]source, error) {
	return parsePackages(os.DirFS(root))
}

func parsePackages(tree fs.FS) (map[string]source, error) {
	packages := map[string]source{}
	err := fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		switch base := path.Base(file); {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules"):
			return fs.SkipDir
		case d.IsDir() && file != ".":
			// A module of its own is none of ours.
			if _, err := fs.Stat(tree, path.Join(file, "go.mod")); err == nil {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go"):
			return nil
		}
		name := path.Dir(file)
		if name == "." {
			name = "weir"
		}
		if _, ok := packages[name]; !ok {
			packages[name] = source{imports: map[string]bool{}, calls: map[string]bool{}}
		}
		return packages[name].add(tree, file)
	})
	return packages, err
}

// add notes what one file imports and uses.
func (s source) add(tree fs.FS, file string) error {
	text, err := fs.ReadFile(tree, file)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	local := map[string]string{} // name in this file → import path
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		s.imports[imp] = true
		local[path.Base(imp)] = imp
		if spec.Name != nil {
			local[spec.Name.Name] = imp
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && local[x.Name] != "" {
				s.calls[local[x.Name]+"."+sel.Sel.Name] = true
			}
		}
		return true
	})
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestLayersNoticeWhatIsWrong shows the check every kind of surprise it is there for.
func TestLayersNoticeWhatIsWrong(t *testing.T) {
	t.Parallel()
	table := []layer{
		{pkg: "internal/a", own: []string{"internal/b"}, foreign: []string{"example.org/ok"}},
		{pkg: "internal/b", own: []string{"internal/c"}},
		{pkg: "internal/c", own: []string{"internal/d"}},
		{pkg: "internal/d", own: []string{"internal/e"}},
		{pkg: "internal/e", own: []string{"internal/f"}},
		{pkg: "internal/f"},
		{pkg: "weir", pure: true, own: []string{"internal/a"}},
	}
	good := map[string]string{
		"a.go":            "package weir\nimport \"time\"\nvar D = time.Second",
		"a_test.go":       "package weir\nimport \"os\"",
		"tools/go.mod":    "module weir/tools",
		"tools/x.go":      "package tools\nimport \"example.org/any\"",
		"internal/a/a.go": "package a\nimport (\n\"example.org/ok/sub\"\n\"os\"\n\"weir/internal/b\")",
		"internal/b/b.go": "package b\nimport \"weir/internal/c\"",
		"internal/c/c.go": "package c\nimport \"weir/internal/d\"",
		"internal/d/d.go": "package d\nimport \"weir/internal/e\"",
		"internal/e/e.go": "package e",
		"internal/f/f.go": "package f",
	}
	cases := []struct{ name, file, text, want string }{
		{"nothing", "a.go", good["a.go"], ""},
		{"an unknown package", "internal/g/g.go", "package g", "internal/g is not in the layer table"},
		{"a row without a package", "internal/f/f.go", "", "internal/f, which does not exist"},
		{"an arrow", "internal/f/f.go", "package f\nimport \"weir/internal/d\"", "internal/f imports internal/d"},
		{"the root as an arrow", "internal/f/f.go", "package f\nimport \"weir\"", "internal/f imports weir"},
		{"a module", "internal/a/a.go", "package a\nimport \"example.org/okay\"", "internal/a imports example.org/okay"},
		{"the system", "a.go", "package weir\nimport \"os\"", "weir is pure and imports os"},
		{"a clock", "a.go", "package weir\nimport \"time\"\nvar T = time.Now()", "uses time.Now"},
		{"a clock by another name", "a.go", "package weir\nimport clock \"time\"\nvar T = clock.Now", "uses time.Now"},
		{"purity through ours", "a.go", "package weir\nimport \"weir/internal/a\"", "imports internal/a, which is not"},
		{"depth", "internal/e/e.go", "package e\nimport \"weir/internal/f\"", "internal/a → internal/b → internal/c → internal/d → internal/e → internal/f"},
	}
	for _, c := range cases {
		tree := fstest.MapFS{}
		for name, text := range good {
			tree[name] = &fstest.MapFile{Data: []byte(text)}
		}
		tree[c.file] = &fstest.MapFile{Data: []byte(c.text)}
		if c.text == "" {
			delete(tree, c.file)
		}
		packages, err := parsePackages(tree)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		wrong := checkLayers(table, packages)
		if c.want == "" && len(wrong) > 0 {
			t.Errorf("%s: found %q", c.name, wrong)
		}
		if c.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], c.want)) {
			t.Errorf("%s: found %q, want one about %q", c.name, wrong, c.want)
		}
	}
}
