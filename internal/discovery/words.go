package discovery

import (
	"strings"
	"unicode"
)

// Clip shortens what others wrote, to about 80 bytes, so that it can stand in a message on one line.
func Clip(s string) string {
	const longest = 80
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return Clean(s)
}

// Clean replaces what does something else than be seen by U+FFFD; it gives other text as it was.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != ' ' && (!unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r)) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
