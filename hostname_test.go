package weir

import "testing"

// TestPlainHostnames: what is taken for plain without asking is what ToASCII would have given, for all short names of a
// few letters, and what is not plain is asked about.
func TestPlainHostnames(t *testing.T) {
	const letters = "axn0-.A_ü"
	names := []string{""}
	plain := 0
	for range 5 {
		var longer []string
		for _, name := range names {
			for _, letter := range letters {
				longer = append(longer, name+string(letter))
			}
		}
		names = longer
		for _, name := range names {
			if !plainHostname(name) {
				continue
			}
			plain++
			if ascii, err := hostnames.ToASCII(name); ascii != name || err != nil {
				t.Errorf("%q is taken for plain, and ToASCII gives %q, %v", name, ascii, err)
			}
		}
	}
	if plain == 0 || !plainHostname("www.example-1.com") || plainHostname("xn--a.example") || plainHostname("") {
		t.Error("what is plain is not told from the rest")
	}
}
