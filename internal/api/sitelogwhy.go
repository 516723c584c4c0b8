package api

import (
	"cmp"
	"strings"
)

// whyUnmade are the words for HAProxy's names of what kept it from a connection; those of TLS are words by themselves.
var whyUnmade = map[string]string{
	"EREFUSED": "refuses connections",
	"ERESET":   "resets connections",
	"EUNREACH": "no route leads there",
}

// whyState are the words for what ended a request, and while what: HAProxy's two letters, or the first of them.
var whyState = map[string]string{
	"S": "broke off", "SC": "can't be reached", "SH": "broke off before it answered", "SD": "broke off in its answer",
	"s": "was too slow", "sC": "takes no connection in time", "sH": "did not answer in time", "sD": "stopped in its answer", "sQ": "no room in time",
	"C": "the client went away", "CD": "the client went away before the answer ended",
	"c": "the client was too slow", "cR": "the client sent no whole request in time",
	"PR": "refused by a rule or as no HTTP", "PH": "the answer is no HTTP, or not one to pass on", "P": "refused by the load balancer",
	"D": "the server was found to be down", "R": "the load balancer lacks something", "I": "the load balancer has a fault", "K": "ended by an operator",
}

// why says in words why a request did not end as it should, "" when it did, or when HAProxy was to answer it.
func (l *LogLine) why() string {
	state := l.Termination[:min(2, len(l.Termination))]
	if state == "" || state[0] == '-' || state[0] == 'L' {
		return ""
	}
	said := cmp.Or(whyState[state], whyState[state[:1]])
	switch {
	case l.Unmade == "" || !strings.ContainsRune("Ss", rune(state[0])):
		return said
	case whyUnmade[l.Unmade] != "":
		return whyUnmade[l.Unmade]
	case strings.HasPrefix(l.Unmade, "SSL_") || strings.ContainsRune(l.Unmade, ' '):
		return "TLS with it fails: " + l.Unmade
	}
	return said
}
