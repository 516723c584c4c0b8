package api

import "testing"

// TestLogLinesSayWhyInWords: what HAProxy's letters and names mean, the name of a connection's error before the letters.
func TestLogLinesSayWhyInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ termination, unmade, want string }{
		{"SC", "EREFUSED", "refuses connections"},
		{"SC--", "certificate verify failed", "TLS with it fails: certificate verify failed"},
		{"SC", "SSL_HANDSHAKE", "TLS with it fails: SSL_HANDSHAKE"},
		{"SC", "", "can't be reached"},
		{"SC", "ENEW", "can't be reached"},
		{"sC", "", "takes no connection in time"},
		{"sH", "", "did not answer in time"},
		{"SZ", "", "broke off"},
		{"CD", "EREFUSED", "the client went away before the answer ended"},
		{"LR", "", ""},
		{"--", "", ""},
		{"--", "EREFUSED", ""},
		{"", "", ""},
		{"ZZ", "", ""},
	} {
		l := LogLine{Termination: c.termination, Unmade: c.unmade}
		if got := l.why(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.termination, c.unmade, got, c.want)
		}
	}
}
