package haproxy

import "strings"

// egressErrors lets a call that fails say which service it was meant for, and what HAProxy knows of the cause. The state
// is that of the log: who ended it, and while what.
func egressErrors(s *Section) {
	const state, failure = "txn.sess_term_state", "bc_err_name"
	cause := inWords(failure, [][2]string{
		{"^EREFUSED$", ": it refuses connections"},
		{"^ERESET$", ": it resets connections"},
		{"^EUNREACH$", ": no route leads there"},
		{"^SSL_MISMATCH.*", ": its certificate is for another name"},
		{"^SSL_.*", ": TLS with it fails"},
		{"^[A-Z].*", ""},
	}) + "%[ssl_bc_err_str,regsub('^.*::',', ')]"
	for _, failed := range []struct {
		status int
		what   string
	}{
		{502, inWords(state, [][2]string{{"^P.$", "answered with what is no HTTP, or with more headers than there may be"}, {"^[A-Za-z-]{2}$", "broke off before it answered"}}) + cause},
		{503, "can not be reached" + inWords(state, [][2]string{{"^s.$", " in time"}, {"^[A-Za-z-]{2}$", ""}}) + cause},
		{504, "did not answer in time"},
	} {
		s.add(`http-error status %d content-type text/plain lf-string "%%[var(txn.eg.service)] %s\n"`, failed.status, strings.ReplaceAll(failed.what, "$", `\$`))
	}
}

// inWords gives, in a log format, what a sample means: the words of the first expression that it is. Words are none of the
// later expressions.
func inWords(sample string, meanings [][2]string) string {
	var b strings.Builder
	b.WriteString("%[" + sample)
	for _, m := range meanings {
		b.WriteString(",regsub('" + m[0] + "','" + m[1] + "')")
	}
	return b.String() + "]"
}
