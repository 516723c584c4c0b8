package weir

import (
	"strings"
	"testing"
)

func TestRegexesThatCanTakeOthersDownAreRefused(t *testing.T) {
	for _, s := range []string{`x{3,1}`, `(?<n>a)`, `(?P<n>a)`, `\p{Greek}`, `\x{100}`, `\777`, `[\w-z]`, `[[:alpha:]-z]`, `a{,3}*`, `^*`, `(?=a)`, `a*+`, `(?:` + strings.Repeat("a", 400) + `){900}`, `(`} {
		if checkSafeRegex(s) == nil {
			t.Errorf("%s is taken", s)
		}
	}
	for _, s := range []string{`[0-9]+|v[1-3]`, `(?i)chrome/\d{2,3}.*`, `[^*]+`, `[\w.-]+`, `\d-\d`, `\$?\x41\w\b`, `[a-f0-9]{8}-[a-f0-9]{4}`} {
		if err := checkSafeRegex(s); err != nil {
			t.Errorf("%s: %s", s, err)
		}
	}
}
