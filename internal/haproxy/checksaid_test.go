package haproxy

import "testing"

func TestCheckSaid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status string
		code   int
		detail string
		want   string
	}{
		{"L7OK", 200, "", "passes (L7OK)"},
		{"* L7OK", 200, "", "passes (L7OK)"},
		{"L7STS", 503, "Sorry", "answers 503: Sorry (L7STS)"},
		{"L4CON", 0, "ECONNREFUSED returned by OS (Connection refused) at initial connection step of tcp-check", "can't be connected to: Connection refused (L4CON)"},
		{"L4CON", 0, "ECONNREFUSED returned by OS (Connection refused) at step 1 of tcp-check (connect)", "can't be connected to: Connection refused (L4CON)"},
		{"L4CON", 0, "ECONNREFUSED returned by OS", "can't be connected to: Connection refused (L4CON)"},
		{"L4CON", 0, "ECONNREFUSED returned by OS at step 1 of tcp-check (connect)", "can't be connected to: Connection refused (L4CON)"},
		{"L4CON", 0, "EADDRNOTAVAIL returned by OS", "can't be connected to: EADDRNOTAVAIL (L4CON)"},
		{"L4OK", 0, "(tcp-check)", "takes connections (L4OK)"},
		{"L6RSP", 0, "SSL handshake failure", "fails at TLS: SSL handshake failure (L6RSP)"},
		{"* L7TOUT", 0, "", "does not answer in time (L7TOUT)"},
		{"SOCKERR", 0, "", "breaks the connection off (SOCKERR)"},
		{"* INI", 0, "", ""},
		{"", 0, "", ""},
		{"PROCERR", 0, "of a version to come", "of a version to come (PROCERR)"},
	} {
		r := StatRow{CheckStatus: test.status, CheckCode: test.code, LastCheck: test.detail}
		if got := r.CheckSaid(); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}
