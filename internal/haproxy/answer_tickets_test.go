package haproxy

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestParseTicketKeys(t *testing.T) {
	t.Parallel()
	eachAnswer(t, func(t *testing.T, given func(string) string, _ string) {
		text := given("tickets")
		got, err := ParseTicketKeys(text)
		if err != nil || len(got) != 2 || got[0].ID != 0 || got[0].File != "keys" || got[1].ID != 1 || got[1].File != "tickets/edge" {
			t.Fatalf("%+v, %v", got, err)
		}
		var want [][sha256.Size]byte
		for line := range strings.Lines(text) {
			if _, secret, ok := strings.Cut(strings.TrimSpace(line), " "); ok && line[0] != '#' {
				key, err := base64.StdEncoding.DecodeString(secret)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, sha256.Sum256(key))
			}
		}
		same(t, "digests", append(got[0].Digests[:], got[1].Digests[:]...), want)
	})
}

// What is not the whole of an answer is none, and no error holds any of the keys.
func TestParseTicketKeysRefuses(t *testing.T) {
	t.Parallel()
	text := strings.TrimRight(given(t, "3.4", "tickets"), "\n")
	all := strings.Split(text, "\n")
	bad := map[string]string{
		"nothing":          "",
		"no such file":     "'show tls-keys' unable to locate referenced filename\n",
		"a short key":      text[:len(text)-4],
		"a key left out":   strings.Join(append(append([]string{}, all[:3]...), all[4:]...), "\n"),
		"keys exchanged":   strings.Join([]string{all[0], all[1], all[3], all[2], all[4]}, "\n"),
		"another file's":   strings.Replace(text, "\n0.1 ", "\n1.1 ", 1),
		"a file's name":    strings.Replace(text, "(keys)", "keys", 1),
		"an empty name":    strings.Replace(text, "(keys)", "()", 1),
		"a number":         strings.Replace(text, "# 0 ", "# 00 ", 1),
		"words behind":     text + "\nmore",
		"another encoding": strings.Replace(text, "0.0 ", "0.0 !", 1),
	}
	for name, text := range bad {
		var wrong *AnswerError
		_, err := ParseTicketKeys(text)
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, line := range all {
			if _, secret, ok := strings.Cut(line, " "); ok && len(secret) > 20 && strings.Contains(err.Error(), secret[:8]) {
				t.Errorf("%s: the error shows a key: %v", name, err)
			}
		}
	}
}

func FuzzParseTicketKeys(f *testing.F) {
	fuzzAnswer(f, ParseTicketKeys, func(t *testing.T, text string, v []TicketKeys) { counted(t, text, 1+3*len(v), len(v)) })
}
