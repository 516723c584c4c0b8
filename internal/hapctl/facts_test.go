package hapctl

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"weir/internal/weirtest"
)

// docs/haproxy.md and the tests of facts name each other completely.
func TestFactsAreWrittenDown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(weirtest.Root(t), "docs", "haproxy.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := func(text []byte, pattern string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			all = append(all, string(m[1]))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	written := names(text, "\\| `(TestFact\\w+)` \\|")
	files, err := filepath.Glob("../*/facts_*_test.go") // most are here
	if err != nil {
		t.Fatal(err)
	}
	var tested []byte
	for _, f := range files {
		code, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tested = append(tested, code...)
	}
	if proven := names(tested, `func (TestFact\w+)\(`); !slices.Equal(written, proven) || len(proven) < 30 {
		t.Errorf("written down: %q\nproven: %q", written, proven)
	}
}
