package ir_test

import (
	"strings"
	"testing"

	"weir/internal/ir"
)

// TestChallengesAreEntries: what gets into a map is one key and one value, whatever an authority sends.
func TestChallengesAreEntries(t *testing.T) {
	t.Parallel()
	for _, c := range []ir.Challenge{
		{Token: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", Answer: "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"},
		{Token: strings.Repeat("a", 200), Answer: strings.Repeat("a", 1024)},
	} {
		if err := c.Check(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, bad := range []string{"", " ", "a b", "a\nb", "a\r", "a;b", "a\\b", "a/b", "a%b", "a\"b", "a#", "a\x00", "ä", "+", "=", "<<", strings.Repeat("a", 1025)} {
		if (ir.Challenge{Token: bad, Answer: "a"}).Check() == nil {
			t.Errorf("%q passes for a token", bad)
		}
		if (ir.Challenge{Token: "a", Answer: bad}).Check() == nil {
			t.Errorf("%q passes for an answer", bad)
		}
	}
	if (ir.Challenge{Token: "a.b", Answer: "a"}).Check() == nil || (ir.Challenge{Token: strings.Repeat("a", 201), Answer: "a"}).Check() == nil {
		t.Error("a token with a dot, or too long a one, passes")
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"www.example www.example":       true,
		"www.example example":           false,
		"www.example a.www.example":     false,
		"*.example a.example":           true,
		"*.example a.b.example":         true,
		"*.example example":             false,
		"*.example .example":            false,
		"*.example a.otherexample":      false,
		"* whatever.example":            true,
		"b.example,*.example c.example": true,
	} {
		hosts, name, _ := strings.Cut(text, " ")
		if got := (&ir.Node{Sites: []ir.Site{{}, {Hostnames: strings.Split(hosts, ",")}}}).Claims()(name); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
