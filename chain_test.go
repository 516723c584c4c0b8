package weir

import (
	"encoding/json"
	"testing"
)

// TestChain: whatever the text is, it comes back as it was, and what two leaves have in common is in memory once.
func TestChain(t *testing.T) {
	const end = "-----END CERTIFICATE-----\n"
	for _, text := range []string{"", "no PEM at all", "leaf\n" + end, "leaf\n" + end + "between\n" + end + "root\n" + end, end + "\r\n", "half -----END CERTIFICATE-----"} {
		c := NewChain(text)
		if c.String() != text || c.Leaf()+c.Rest() != text || c.Len() != len(text) || c.IsZero() != (text == "") {
			t.Errorf("%q became %q of %d bytes, zero %v", text, c, c.Len(), c.IsZero())
		}
		raw, err := json.Marshal(map[string]Chain{"chain": c})
		var again map[string]Chain
		if err == nil {
			err = json.Unmarshal(raw, &again)
		}
		if err != nil || again["chain"] != c {
			t.Errorf("%q came back as %q: %v", text, again["chain"], err)
		}
	}
	a, b := NewChain("a\n"+end+"common\n"+end), NewChain("b\n"+end+"common\n"+end)
	if a.rest != b.rest || a == b || a.Leaf() != "a\n"+end {
		t.Errorf("%q and %q share nothing", a, b)
	}
}
