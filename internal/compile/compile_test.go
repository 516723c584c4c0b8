package compile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
)

var update = flag.Bool("update", false, "write the golden files anew")

// load reads a manifest into a set that passes Check, with the keys of certificates sealed as the store does it.
func load(t testing.TB, file string) *weir.Set {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := weir.Decode(filepath.Base(file), text)
	if err != nil {
		t.Fatal(err)
	}
	var written []weir.Ref
	for _, o := range list {
		if c, ok := o.Spec.(*weir.Certificate); ok && c.Key != "" {
			c.Key, c.KeyRef = "", &weir.SealedRef{Generation: 1, Fingerprint: "of-" + o.Metadata.Name}
		}
		written = append(written, o.Ref())
	}
	set := weir.NewSet(list...)
	for _, p := range weir.Check(weir.NewSet(), set, written) {
		t.Fatalf("check %s: %s", file, p)
	}
	return set
}

// TestGolden compiles each testdata/*.yaml for every load balancer and holds the result against what was there
// before; -update writes it anew.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find manifests: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			set := load(t, file)
			type golden struct {
				Node     ir.Node        `json:"node"`
				Problems []weir.Problem `json:"problems,omitempty"`
			}
			got := map[string]golden{}
			for lb := range set.All("LoadBalancer") {
				node, problems, err := compile.Node(set, lb.Metadata.Name)
				if err != nil {
					t.Fatal(err)
				}
				got[lb.Metadata.Name] = golden{node, problems}
			}
			raw, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			raw = append(raw, '\n')
			name := strings.TrimSuffix(file, ".yaml") + ".ir.json"
			if *update {
				if err := os.WriteFile(name, raw, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(raw, want) {
				t.Errorf("%s differs; see the difference with -update and git diff\n%s", name, raw)
			}
		})
	}
}

func TestAMissingLoadBalancerIsAnError(t *testing.T) {
	t.Parallel()
	if _, _, err := compile.Node(weir.NewSet(), "lb"); weir.KindOf(err) != weir.NotFound {
		t.Errorf("error %v; want one of kind not-found", err)
	}
	if node, problems := compile.Group(weir.NewSet(), "edge"); len(problems) != 1 || node.Group.Name != "" {
		t.Errorf("node %+v, problems %v; want a problem for a group that is not there", node, problems)
	}
}
