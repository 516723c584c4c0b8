package haproxy

import (
	"cmp"
	"strconv"
	"strings"
)

// checkMeanings are the words by which HAProxy tells what came of a check (management guide 9.1, check_status), as a server
// does it. That of L7STS is followed by the status.
var checkMeanings = map[string]string{
	"L4OK": "takes connections", "L6OK": "speaks TLS", "L7OK": "passes", "L7OKC": "passes in part",
	"L4CON": "can't be connected to", "L4TOUT": "takes no connection in time",
	"L6TOUT": "speaks no TLS in time", "L6RSP": "fails at TLS",
	"L7TOUT": "does not answer in time", "L7RSP": "answers with what the check does not understand", "L7STS": "answers",
	"SOCKERR": "breaks the connection off",
}

// checkSaid tells what came of a check in words, as "can't be connected to: Connection refused". status is check_status,
// code check_code, and detail last_chk. What HAProxy has no words for here stays as it is.
func checkSaid(status string, code int, detail string) string {
	meaning, known := checkMeanings[status]
	switch detail = plainDetail(detail); {
	case !known:
		return detail
	case status == "L7STS" && code != 0:
		meaning += " " + strconv.Itoa(code)
	}
	if detail == "" {
		return meaning
	}
	return meaning + ": " + detail
}

// errnos are those of connections that fail, as the system says them.
var errnos = map[string]string{
	"ECONNREFUSED": "Connection refused", "ECONNRESET": "Connection reset by peer", "ETIMEDOUT": "Connection timed out",
	"EHOSTUNREACH": "No route to host", "ENETUNREACH": "Network is unreachable",
}

// plainDetail leaves out what HAProxy says around an error: that of 3.4, "ECONNREFUSED returned by OS (Connection refused)",
// or without the words in brackets, and at which step of a check; and "(tcp-check)", which it says where all is well.
func plainDetail(s string) string {
	s = strings.TrimSuffix(s, " at initial connection step of tcp-check")
	if name, more, ok := strings.Cut(s, " returned by OS"); ok {
		in, found := strings.CutPrefix(more, " (")
		if in, _, _ = strings.Cut(in, ")"); found {
			return in
		}
		return cmp.Or(errnos[name], name)
	}
	if s == "(tcp-check)" {
		return ""
	}
	return s
}

// CheckSaid tells what came of the server's last check, with HAProxy's word at the end for who searches for it, as
// "passes (L7OK)"; "" before the first one is over.
func (r *StatRow) CheckSaid() string {
	switch status := strings.TrimPrefix(r.CheckStatus, "* "); status { // a star says that the next one runs
	case "", "INI", "UNK":
		return ""
	case "L7OK":
		return passed // most are, of many servers, every second
	default:
		return strings.TrimSpace(checkSaid(status, r.CheckCode, r.LastCheck) + " (" + status + ")")
	}
}

const passed = "passes (L7OK)"
