package discovery

import (
	"maps"
	"testing"

	"weir"
)

// TestHostileLabels: what can be no label's value is left out, and mixes no two instances up.
func TestHostileLabels(t *testing.T) {
	t.Parallel()
	m, err := NewMapping(&weir.ServerTemplate{
		Name: "${n}", Address: "10.0.0.1", Zone: "az1", Labels: map[string]string{"a": "${a:-}", "b": "${b:-}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b string
		want map[string]string
	}{
		{"x", "y", map[string]string{"a": "x", "b": "y"}},
		{"x\x00y", "z", map[string]string{"b": "z"}},
		{"x", "y\x00z", map[string]string{"a": "x"}},
		{"\x00", "\x00\x00", nil},
		{"", "", nil},
		{"ü", "y z", nil},
	} {
		w, err := m.Map(Found{ID: "x", Fields: map[string]string{"n": "x", "a": c.a, "b": c.b}})
		if err != nil || !maps.Equal(w.Labels, c.want) {
			t.Errorf("%q %q: got %v, %v, want %v", c.a, c.b, w.Labels, err, c.want)
		}
	}
}
