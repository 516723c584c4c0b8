package haproxy

import (
	"fmt"
	"strings"

	"weir/internal/ir"
)

// check is what about a health check must be text.
type check struct {
	kind, method, expect string
	body                 bool
}

func checkOf(p *ir.Pool) check {
	h := p.Check
	return check{kind: h.Type, method: h.Method, expect: h.Expect, body: h.Body != ""}
}

var classOfCheck = strings.NewReplacer(",", "_", " ", "")

func (c check) name() string {
	if c.kind != "http" {
		return "hc-" + c.kind
	}
	expect := classOfCheck.Replace(c.expect)
	if c.body {
		expect = "body"
	}
	return "hc-" + strings.ToLower(c.method) + "-" + expect
}

// spoken are the checks of what tcp servers speak: HAProxy's own type, or rules of ours where that type would have
// something as text that the maps can say by the backend's name.
var spoken = map[string]struct {
	kind  string
	rules []string
}{
	"tcp":   {kind: "tcp-check", rules: []string{connects}},
	"ldap":  {kind: "ldap-check"},
	"redis": {kind: "redis-check"},
	"smtp": {kind: "tcp-check", rules: []string{
		connects,
		refusal,
		`tcp-check expect rstring '^(220-[^\r\n]*\r\n)*220[ \r]'`,
		fmt.Sprintf(`tcp-check send-lf "EHLO %%[be_name,map_str(%s,localhost)]\r\n"`, opt(mapCheckHost)),
		refusal,
		`tcp-check expect rstring '^(250-[^\r\n]*\r\n)*250[ \r]'`,
		`tcp-check send "QUIT\r\n"`,
		`tcp-check expect rstring '^221[- \r]'`,
	}},
	// A request for a password, a challenge, or none asked for at all; what is no answer to a user's greeting is an
	// error, as "the database system is starting up" is.
	"postgresql": {kind: "tcp-check", rules: []string{
		connects,
		fmt.Sprintf(`tcp-check send-binary-lf "%%[be_name,map_str(%s)]"`, opt(mapCheckHello)),
		`tcp-check expect min-recv 9 rbinary '^52000000[0-9A-F]{2}000000(00|02|03|05|06|07|09|0A)'`,
	}},
	// A server may say lines of its own before (RFC 4253, 4.2). We say who we are, as sshd's log complains otherwise.
	"ssh": {kind: "tcp-check", rules: []string{
		connects,
		`tcp-check expect rstring '(^|\n)SSH-(2[.]0|1[.]99)-'`,
		`tcp-check send "SSH-2.0-weir_check\r\n"`,
	}},
}

const (
	connects = "tcp-check connect default"
	// refusal ends a check at the first byte of what is no good answer; what may yet become one is waited for.
	refusal = `tcp-check expect min-recv 1 ! rstring '^[^2]'`
)

// hello is the first message of a PostgreSQL session of a user, in hexadecimal: its length, version 3.0, "user", the
// name, and the end of the list.
func hello(user string) string {
	body := "\x00\x03\x00\x00user\x00" + user + "\x00\x00"
	return fmt.Sprintf("%08X%X", 4+len(body), body)
}

// lines are the rules of the check; path, host and body come from maps by the backend's name, so that they
// are run time.
func (c check) lines() []string {
	if c.kind != "http" {
		return spoken[c.kind].rules
	}
	list := []string{
		"http-check connect default",
		fmt.Sprintf(`http-check send meth %s uri-lf "%%[be_name,map_str(%s,/)]" ver HTTP/1.1 hdr Host "%%[be_name,map_str(%s,localhost)]" hdr User-Agent weir-check`,
			c.method, opt(mapCheckPath), opt(mapCheckHost)),
	}
	if c.body {
		return append(list, fmt.Sprintf(`http-check expect string-lf "%%[be_name,map_str(%s)]"`, opt(mapCheckBody)))
	}
	return append(list, "http-check expect status "+strings.ReplaceAll(c.expect, " ", ""))
}

// text is the check as directives of a backend, for versions without healthcheck sections.
func (c check) text() []string {
	if c.kind == "http" {
		return append([]string{"option httpchk"}, c.lines()...)
	}
	return append([]string{"option " + spoken[c.kind].kind}, c.lines()...)
}

func (r *renderer) healthChecks() {
	if !r.can.HealthChecks {
		return
	}
	wanted := map[string]check{}
	for kind := range spoken {
		c := check{kind: kind}
		wanted[c.name()] = c
	}
	for _, method := range []string{"HEAD", "GET"} {
		for _, expect := range []string{"200", "200-299", "200-399"} {
			c := check{kind: "http", method: method, expect: expect}
			wanted[c.name()] = c
		}
	}
	body := check{kind: "http", method: "GET", body: true}
	wanted[body.name()] = body
	for i := range r.node.Pools {
		if c := checkOf(&r.node.Pools[i]); c.kind != "none" {
			wanted[c.name()] = c
		}
	}
	for _, name := range sortedKeys(wanted) {
		c := wanted[name]
		s := r.section("healthcheck", name)
		s.Spare = true
		if c.kind == "http" {
			s.add("type httpchk")
		} else {
			s.add("type %s", spoken[c.kind].kind)
		}
		for _, line := range c.lines() {
			s.add("%s", line)
		}
	}
}
