package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir"
)

const architecture = "docs/architecture.md"

// layer is a row of the table in deps_test.go, as far as the document shows it.
type layer struct {
	pkg  string
	pure bool
	own  []string
}

// layersOf reads the table of layers out of deps_test.go, rows of packages that are not written yet left out.
func layersOf(t *testing.T) []layer {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "../deps_test.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var list []layer
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "layers" {
			return true
		}
		for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
			l := layerOf(row.(*ast.CompositeLit))
			if _, err := os.Stat(filepath.Join("..", strings.TrimPrefix(l.pkg, "weir"))); err == nil {
				list = append(list, l)
			}
		}
		return false
	})
	if len(list) < 10 {
		t.Fatalf("deps_test.go has only %d layers that can be read", len(list))
	}
	return list
}

func layerOf(row *ast.CompositeLit) layer {
	var l layer
	for _, e := range row.Elts {
		kv := e.(*ast.KeyValueExpr)
		switch kv.Key.(*ast.Ident).Name {
		case "pkg":
			l.pkg = literal(kv.Value)
		case "pure":
			l.pure = kv.Value.(*ast.Ident).Name == "true"
		case "own":
			for _, v := range kv.Value.(*ast.CompositeLit).Elts {
				l.own = append(l.own, literal(v))
			}
		}
	}
	slices.Sort(l.own)
	return l
}

func literal(e ast.Expr) string {
	s, err := strconv.Unquote(e.(*ast.BasicLit).Value)
	if err != nil {
		panic(err)
	}
	return s
}

func TestLayerTableIsTheOneOfTheCode(t *testing.T) {
	t.Parallel()
	rows := map[string][]string{}
	for _, row := range rowsOf(t, architecture, "## Packages and layers") {
		rows[words(row[0])[0]] = row
	}
	for _, l := range layersOf(t) {
		pure := ""
		if l.pure {
			pure = "yes"
		}
		var own []string
		for _, o := range l.own {
			own = append(own, "`"+strings.TrimPrefix(o, "internal/")+"`")
		}
		want := fmt.Sprintf("| `%s` | %s | %s |", l.pkg, pure, strings.Join(own, ", "))
		row, ok := rows[l.pkg]
		delete(rows, l.pkg)
		if !ok || row[1] != pure || row[2] != strings.Join(own, ", ") {
			t.Errorf("%s: the row of %s must begin with: %s", architecture, l.pkg, want)
			continue
		}
		if len(row) < 4 || row[3] == "" {
			t.Errorf("%s: say what %s holds", architecture, l.pkg)
		}
	}
	for pkg := range rows {
		t.Errorf("%s has a row for %s, which deps_test.go does not have", architecture, pkg)
	}
}

// decodes reads one block of manifests.
func decodes(t *testing.T, b block) []*weir.Object {
	t.Helper()
	list, err := weir.Decode(b.file, []byte(strings.Repeat("\n", b.line)+b.text))
	if err != nil {
		t.Error(err)
	}
	return list
}

// TestExamplesFitTogether holds the examples of all kinds, as one change, against the rules between objects.
func TestExamplesFitTogether(t *testing.T) {
	t.Parallel()
	var list []*weir.Object
	for _, b := range blocksOf(t, architecture) {
		if b.lang == "yaml" {
			list = append(list, decodes(t, b)...)
		}
	}
	for _, p := range check(weir.NewSet(), weir.NewSet(list...), list) {
		t.Errorf("%s: %s", architecture, p)
	}
	for _, k := range weir.Kinds() {
		if !k.ReadOnly && !slices.ContainsFunc(list, func(o *weir.Object) bool { return o.Kind == k.Name }) {
			t.Errorf("%s has no example of kind %s", architecture, k.Name)
		}
	}
}

var (
	testName   = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z0-9]\\w*)`")
	testInCode = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
)

// TestNamedTestsExist finds every test that a document names.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	err := fs.WalkDir(os.DirFS(".."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join("..", file))
		for _, m := range testInCode.FindAllSubmatch(text, -1) {
			known[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range documents(t) {
		for _, m := range testName.FindAllStringSubmatch(read(t, file), -1) {
			if !known[m[1]] {
				t.Errorf("%s names %s, and there is no such test", file, m[1])
			}
		}
	}
}
