package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/ir"
	"weir/internal/weirtest"
)

func TestGoodForms(t *testing.T) {
	t.Parallel()
	path := filepath.Join(weirtest.TempDir(t), "good.jsonl")
	open := func() *goodForms {
		t.Helper()
		g, err := openGoodForms(path)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	keep := func(g *goodForms, list ...*ir.Resource) {
		t.Helper()
		if err := g.keep(list); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Fatal(info, err)
		}
		return info.Size()
	}
	known := func(want string) {
		t.Helper()
		var words []string
		for _, r := range open().resources() {
			words = append(words, r.ID+"="+string(r.JSON()))
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("known: %s; want %s", got, want)
		}
	}
	g := open()
	keep(g, resource("site/a", `"1"`), resource("pool/b", `"1"`))
	known(`pool/b="1" site/a="1"`)
	before := size()
	keep(g, resource("site/a", `"1"`), resource("pool/b", `"1"`))
	if size() != before {
		t.Error("what has not changed is written again")
	}
	keep(g, resource("site/a", `"2"`))
	known(`site/a="2"`)

	// Half a line is the end of a file that was being written when the machine stopped.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, `{"id":"site/c","bo`...), 0o600); err != nil {
		t.Fatal(err)
	}
	g = open()
	keep(g, resource("site/a", `"2"`), resource("site/d", `"1"`))
	known(`site/a="2" site/d="1"`)

	// It stays short however often something changes.
	for i := range 5000 {
		keep(g, resource("site/a", fmt.Sprintf(`"%d"`, i)))
	}
	known(`site/a="4999"`)
	if size() > 100_000 {
		t.Errorf("%d bytes for one resource", size())
	}
}
