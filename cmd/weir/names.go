package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"weir"
)

// fixedName makes the name of an object out of a text, always the same one. A text that is no name as it stands,
// or is too long, gets a mark of its own, so that two texts never become one name.
func fixedName(text string) string {
	if weir.CheckName(text) == nil {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return wordOf(text, weir.MaxName-9) + "-" + hex.EncodeToString(sum[:4])
}

// freshName makes a name out of a text and something that is new each time.
func freshName(text string) string {
	return wordOf(text, weir.MaxName-7) + "-" + strings.ToLower(rand.Text()[:6])
}

// wordOf keeps what may stand in a name, up to a length.
func wordOf(text string, longest int) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	if word = strings.Trim(word[:min(len(word), longest)], "-_"); word == "" {
		return "x"
	}
	return word
}
