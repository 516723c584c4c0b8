package acme

import (
	"regexp"
	"strings"
	"unicode"
)

// maxText bounds, in characters, what is kept of a text of the CA's.
const maxText = 400

// wellKnown finds a token in the address of a challenge.
var wellKnown = regexp.MustCompile(`(acme-challenge/)[A-Za-z0-9_%.-]+`)

// clean makes a text of somebody else's fit for a log line and for a terminal: of one line, valid, short, without
// control characters and without the secrets given, nor the token of any challenge's address.
func clean(text string, secrets ...string) string {
	// What is far too long is cut before it is worked on.
	if len(text) > 64*maxText {
		text = text[:64*maxText]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[token]")
		}
	}
	text = strings.ToValidUTF8(text, "�")
	text = wellKnown.ReplaceAllString(text, "${1}[token]")
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText]) + "…"
	}
	return text
}
