package weir

import (
	"strings"
	"testing"
)

func TestNamespaceNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "", "blue": "", "Blue-2_a.b": "", "-x": "", "...": "", strings.Repeat("a", 255): "",
		".": "names a folder", "..": "names a folder", "a/b": "no name of", "a b": "no name of", "a\nbind": "no name of",
		"grün": "no name of", "a#": "no name of", `a"`: "no name of", "$A": "no name of", strings.Repeat("a", 256): "longer than 255",
	} {
		var p Problems
		(&LoadBalancer{Namespace: name}).validateNamespace(&p)
		got := ""
		for _, one := range p.List() {
			got += one.Path + ": " + one.Message
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
