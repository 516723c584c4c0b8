package plan

import (
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/haproxy"
)

// settings are the fields of Tuning by the directives that they become.
var settings = map[string]string{
	"maxconn": "maxConnections", "nbthread": "threads", "ulimit-n": "openFiles", "tune.bufsize": "bufferSize",
	"tune.maxrewrite": "maxRewrite", "spread-checks": "spreadChecks", "hard-stop-after": "hardStopAfter",
	"user": "user", "group": "group",
	"timeout client": "timeouts.client", "timeout connect": "timeouts.connect", "timeout server": "timeouts.server",
	"timeout queue": "timeouts.queue", "timeout http-request": "timeouts.httpRequest",
	"timeout http-keep-alive": "timeouts.httpKeepAlive", "timeout tunnel": "timeouts.tunnel", "timeout check": "timeouts.check",
}

// settingOf reads a line that says what a field of Tuning is, "" when it is none.
func settingOf(line string) (field, value string) {
	f := strings.Fields(line)
	d := directive(line)
	if strings.HasPrefix(d, "http-request set-timeout") && len(f) > 3 { // a profile repeats the default that its map stands before
		_, rest, _ := strings.Cut(f[3], ",map_str_int(")
		_, fallback, ok := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
		if !ok {
			return "", ""
		}
		return settings["timeout "+f[2]], plainly(fallback + "ms")
	}
	if field = settings[d]; field == "" || len(f) == 0 {
		return "", ""
	}
	return field, plainly(f[len(f)-1])
}

// plainly writes a time as manifests do, and anything else as it is.
func plainly(value string) string {
	if d, err := time.ParseDuration(value); err == nil && strings.HasSuffix(value, "ms") {
		return weir.Duration(d).String()
	}
	return value
}

// lineCause tells what one line means that takes the place of another; either may be "".
func lineCause(s *haproxy.Section, now, then string) cause {
	line := now
	if line == "" {
		line = then
	}
	if field, value := settingOf(line); field != "" {
		_, before := settingOf(then)
		switch {
		case now == "":
			value, before = "HAProxy's own choice", value
		case then == "":
			before = "HAProxy's own choice"
		}
		return cause{what: field + " is " + value + " instead of " + before, why: whyTuning}
	}
	f := strings.Fields(line)
	switch {
	case len(f) == 0:
	case s.Kind == "frontend" && f[0] == "bind" && now != "" && then != "":
		return bindCause(now, then)
	case strings.Contains(line, "(sess.early)") || strings.Contains(line, "{ ssl_fc_has_early }"):
		return earlyCause(now != "")
	case strings.HasPrefix(line, "setcap "):
		return cause{what: "HAProxy's workers keep other rights (http3 at a port below 1024)", why: whyTuning}
	case s.Kind == "resolvers":
		return cause{what: "whom load balancers ask for partners' names changes", why: whyTuning}
	case asksOfRequests(line) != nil:
		return askedCause(now, then)
	case strings.Contains(line, headersOf):
		return cause{what: "changes other headers for a route", many: "change other headers for a route", why: whyHeaders}
	case f[0] == "http-error" && len(f) > 2:
		return cause{what: "the page for status " + f[2] + " changes", why: whyPages}
	case strings.HasPrefix(line, "http-request capture req.hdr(") || strings.HasPrefix(line, "http-response capture res.hdr("):
		return captureCause(f[2], now, then)
	case line == "filter compression":
		return compressionCause(now != "")
	case strings.HasPrefix(line, "http-response del-header "):
		return strippedCause(f[2], now != "")
	case strings.HasSuffix(f[0], "log-format") || f[0] == "log" || strings.HasPrefix(line, "declare capture "):
		return cause{what: "what is logged changes", why: whyRules}
	}
	return ruleCause(s, lineChange(nonEmpty(now), nonEmpty(then)))
}

func nonEmpty(line string) []string {
	if line == "" {
		return nil
	}
	return []string{line}
}

// ruleCause is for text that has no words of its own, as a new version of Weir may bring: the text is quoted.
func ruleCause(s *haproxy.Section, change string) cause {
	if s.Kind == "frontend" {
		return cause{what: "treats clients otherwise, " + change, many: "treat clients otherwise, " + change, why: whyRules}
	}
	return cause{what: thing(s) + " changes, " + change, why: whyRules}
}

// bindCause tells one bind line from another.
func bindCause(now, then string) cause {
	is := func(how string) cause { return cause{what: "is " + how, many: "are " + how, why: whyPorts} }
	a, b := boundAt(now), boundAt(then)
	come, gone := hostsOnlyIn(a, b), hostsOnlyIn(b, a)
	if port, before := portOf(a), portOf(b); port != before && port != "" && before != "" {
		return is("opened as " + port + " instead of " + before + " on this machine")
	}
	if in := namespaceOf(now); in != namespaceOf(then) {
		return is("opened in " + in + " (namespace)")
	}
	strict, early := says(now, "strict-sni"), says(now, "allow-0rtt")
	switch {
	case len(come) > 0 && len(gone) > 0:
		return is("listened on at " + some(come, 4) + " instead of " + some(gone, 4))
	case len(come) > 0:
		return is("listened on at " + some(come, 4) + " as well")
	case len(gone) > 0:
		return is("no longer listened on at " + some(gone, 4))
	case says(now, "tfo") != says(then, "tfo"):
		if says(now, "tfo") {
			return is("opened with TCP Fast Open (fastOpen)")
		}
		return is("opened without TCP Fast Open (fastOpen)")
	case early != says(then, "allow-0rtt"):
		return earlyCause(early)
	case strict == says(then, "strict-sni"):
		return is("opened otherwise, " + instead(now, then))
	case strict:
		return cause{
			what: "refuses TLS to names without a certificate (strictSNI)",
			many: "refuse TLS to names without a certificate (strictSNI)", why: whyPorts,
		}
	default:
		return cause{
			what: "shows some certificate for names without one (strictSNI)",
			many: "show some certificate for names without one (strictSNI)", why: whyPorts,
		}
	}
}

// compressionCause tells that answers at a port may be compressed for the first time, or are no more.
func compressionCause(begins bool) cause {
	if begins {
		return cause{what: "compresses answers for the first time", many: "compress answers for the first time", why: whyRules}
	}
	return cause{what: "compresses answers no more", many: "compress answers no more", why: whyRules}
}

// strippedCause tells that a header is taken out of answers, where no map can say it.
func strippedCause(name string, begins bool) cause {
	what := "the answers' header " + name + " is taken out for the first time"
	if !begins {
		what = "the answers' header " + name + " is taken out no more"
	}
	return cause{what: what, why: whyRules}
}

// captureCause tells that a header goes into the log for the first time, or otherwise; fetch is req.hdr(name) or
// res.hdr(name).
func captureCause(fetch, now, then string) cause {
	of, name, _ := strings.Cut(strings.TrimSuffix(fetch, ")"), ".hdr(")
	what := map[string]string{"req": "the requests' header ", "res": "the answers' header "}[of] + name
	switch {
	case then == "":
		what += " is logged for the first time"
	case now == "":
		what += " is logged no more"
	default:
		what += " is logged with another length"
	}
	return cause{what: what, why: whyRules}
}

// earlyCause tells that a port begins or ends to take early data: the bind line says so, and rules that go with it.
func earlyCause(begins bool) cause {
	if begins {
		return cause{what: "takes early data for the first time (earlyData)", many: "take early data for the first time (earlyData)", why: whyPorts}
	}
	return cause{what: "takes no early data any more (earlyData)", many: "take no early data any more (earlyData)", why: whyPorts}
}

// http3Cause tells that a port begins or ends to answer HTTP/3: there is a port of UDP for it, and rules that tell of it.
func http3Cause(begins bool) cause {
	if begins {
		return cause{what: "answers HTTP/3 for the first time (http3)", many: "answer HTTP/3 for the first time (http3)", why: whyPorts}
	}
	return cause{what: "answers HTTP/3 no more (http3)", many: "answer HTTP/3 no more (http3)", why: whyPorts}
}

// http3Causes tells of the rules that tell clients of HTTP/3, which come and go together, and gives the other lines.
func http3Causes(added, removed []haproxy.Line) (causes []cause, restAdded, restRemoved []haproxy.Line) {
	is := func(l haproxy.Line) bool { return strings.Contains(l.Text, "(sess.http3)") }
	come, leave := slices.ContainsFunc(added, is), slices.ContainsFunc(removed, is)
	if come == leave {
		return nil, added, removed
	}
	return []cause{http3Cause(come)}, slices.DeleteFunc(slices.Clone(added), is), slices.DeleteFunc(slices.Clone(removed), is)
}

func says(line, word string) bool { return slices.Contains(strings.Fields(line), word) }

// hostsOnlyIn gives the hosts of what one bind line listens at and another does not.
func hostsOnlyIn(of, but []string) (hosts []string) {
	for _, at := range of {
		if slices.Contains(but, at) {
			continue
		}
		switch host := at[:strings.LastIndexByte(at, ':')]; host {
		case "0.0.0.0":
			hosts = append(hosts, "every IPv4 address")
		case "[::]":
			hosts = append(hosts, "every IPv6 address")
		default:
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// portOf gives the one port of all, "" when there are several.
func portOf(bound []string) string {
	port := ""
	for _, at := range bound {
		p := at[strings.LastIndexByte(at, ':')+1:]
		if port != "" && p != port {
			return ""
		}
		port = p
	}
	return port
}

// kindOfPool tells what makes a profile another than those there are.
func kindOfPool(s *haproxy.Section) string {
	var traits []string
	for _, l := range s.Lines {
		f := strings.Fields(l.Text)
		switch d := directive(l.Text); {
		case d == "balance" && strings.Contains(l.Text, "hash req.hdr("):
			traits = append(traits, "balancing by the header "+strings.TrimSuffix(strings.TrimPrefix(f[len(f)-1], "req.hdr("), ")"))
		case d == "balance" && len(f) > 1:
			traits = append(traits, "balancing by "+f[1])
		case d == "cookie" && len(f) > 1:
			traits = append(traits, "the cookie "+f[1])
		case (d == "timeout server" || d == "timeout queue") && len(f) > 2:
			traits = append(traits, timeoutTrait(f[1], plainly(f[2])))
		case d == "compression type":
			traits = append(traits, "compression of "+strings.Join(f[2:], ", "))
		case strings.HasPrefix(d, "http-request set-timeout") && !slices.Contains(traits, "timeouts of its own"):
			traits = append(traits, "timeouts of its own")
		}
	}
	return kindWords(traits, s)
}

// kindOfCheck tells what makes a health check another than those there are.
func kindOfCheck(s *haproxy.Section) string {
	what, expects := "", ""
	for _, l := range s.Lines {
		f := strings.Fields(l.Text)
		switch {
		case directive(l.Text) == "http-check send" && len(f) > 3:
			what = article(f[3]) + " check"
		case directive(l.Text) == "http-check expect" && len(f) > 3 && f[2] == "status":
			expects = " that expects " + f[3]
		case directive(l.Text) == "http-check expect":
			expects = " that looks into the body"
		case l.Text == "tcp-check connect default":
			what = "a check of the connection alone"
		}
	}
	return kindWords(nonEmpty(what+expects), s)
}

// timeoutTrait tells a timeout of a profile; one millisecond is how HAProxy is told not to queue.
func timeoutTrait(of, lasts string) string {
	if of == "queue" && lasts == "1ms" {
		return "no queue"
	}
	return "a " + of + " timeout of " + lasts
}

func article(word string) string {
	if strings.ContainsAny(word[:1], "AEIO") {
		return "an " + word
	}
	return "a " + word
}

func kindWords(traits []string, s *haproxy.Section) string {
	if len(traits) == 0 {
		return thing(s)
	}
	return some(traits, 5)
}
