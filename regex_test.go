package weir_test

import (
	"regexp"
	"testing"

	"weir"
)

func TestRegexesStayInTheirGroup(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		`/a(b|c)$`, `/[a-z]+\.(png|jpg)`, `/[^/]+/\(x\)`, `/[()]`, `/[\]\[]`, `/[[:alpha:][:^digit:]-]`, `(?i)/a`, `(?:a|b)`, `(?<name>a)\k<name>`, `/a{1,2}`, `a|b`, `(?=a)(?!b)(?<=c)`, `(?-i:a)`,
		// These mean nothing, and HAProxy says so in its own words; they harm nobody.
		`(`, `[a`, `a\`, `*`, `(?<=a+)b`,
	} {
		if err := weir.CheckRegex(good); err != nil {
			t.Errorf("%s: %s", good, err)
		}
	}
	for _, bad := range []string{
		"", "#a", "a b", "a\nb", "ä", `a)|(?:.*`, `)`, `\\)|(.*`, `\Qa)|(.*`, `\Q(\E)|(.*`, `\c(a)|.*`, `(?#()a)|(.*`, `(*ACCEPT)`, `(?x)a#(`, `(?i-x:a)`, `(?C'(')a)|(.*`,
		`[[:alpha:](]a)|(.*)`, `[]()]a`, `[^](]a)|(.*)`, `[[(]a)|(.*)`, `[a]]()))`,
	} {
		if weir.CheckRegex(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// FuzzRegex wraps what is accepted as the list of all sites' regexes has it: it must match for its own site alone.
// Go's regexes stand for PCRE where both know a form.
func FuzzRegex(f *testing.F) {
	for _, w := range append(words, `a)|(?:.*`, `[[:alpha:](]a)|(.*)`, `\Q(\E)|(.*`, `[]()]a`, `(?i)a|b`, `a\`, `[^](]`, `(?P<n>a)`, `\pL\x{41}`, `[\d-z]`, `(?s:.)`) {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if weir.CheckRegex(s) != nil {
			return
		}
		wrapped, err := regexp.Compile(`^mine\|(?:` + s + `)$`)
		if err != nil {
			return
		}
		for _, other := range []string{"", "other|/", "other|/a", "a", "/a", "x|mine|/a", "mine", "other|" + s} {
			if wrapped.MatchString(other) {
				t.Errorf("%q matches %q", s, other)
			}
		}
	})
}
