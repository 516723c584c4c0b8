package dns

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"weir/internal/weirtest"
)

// Each kind of failure is told by what it is, before anything that would count as an answer, and the next server is asked when there is one.
func TestNameServersThatFail(t *testing.T) {
	t.Parallel()
	code := func(code int) func(string, *dns.Msg) [][]byte {
		return func(_ string, q *dns.Msg) [][]byte { return says(t, q, code) }
	}
	cut := func(tcp func(q *dns.Msg) [][]byte) func(string, *dns.Msg) [][]byte {
		return func(network string, q *dns.Msg) [][]byte {
			if network == "tcp" {
				return tcp(q)
			}
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			return packed(m)
		}
	}
	changed := func(edit func(m *dns.Msg)) func(string, *dns.Msg) [][]byte {
		return func(_ string, q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetReply(q)
			edit(m)
			return packed(m)
		}
	}
	garbage := func(string, *dns.Msg) [][]byte { return [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n")} }
	cases := map[string]struct {
		answer func(network string, q *dns.Msg) [][]byte
		want   string
	}{
		"SERVFAIL":      {code(dns.RcodeServerFailure), "SERVFAIL: the server can't answer now"},
		"REFUSED":       {code(dns.RcodeRefused), "REFUSED: the server does not answer such questions from here"},
		"FORMERR":       {code(dns.RcodeFormatError), "FORMERR: the server can't read the question"},
		"NOTIMP":        {code(dns.RcodeNotImplemented), "NOTIMP: the server does not answer such questions"},
		"another code":  {code(14), "code 14: the server refused"},
		"silence":       {func(string, *dns.Msg) [][]byte { return nil }, "no answer over UDP within 50ms; is it a name server"},
		"garbage":       {garbage, "what came back is no answer to what was asked"},
		"another id":    {changed(func(m *dns.Msg) { m.Id++ }), "(another message)"},
		"the question":  {changed(func(m *dns.Msg) { m.Response = false }), "(another message)"},
		"another name":  {changed(func(m *dns.Msg) { m.Question[0].Name = "other.test." }), "(it is about something else)"},
		"another type":  {changed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT }), "(it is about something else)"},
		"no recursion":  {changed(func(*dns.Msg) {}), "recursion is off"},
		"cut, no TCP":   {cut(func(*dns.Msg) [][]byte { return nil }), "over TCP, as the answer did not fit into a packet: the server ended the connection"},
		"cut over TCP":  {cut(func(q *dns.Msg) [][]byte { m := new(dns.Msg).SetReply(q); m.Truncated = true; return packed(m) }), "it is cut there as well"},
		"cut, then bad": {cut(func(*dns.Msg) [][]byte { return [][]byte{{1, 2}} }), "over TCP, as the answer did not fit into a packet: what came back is no answer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := 2 * time.Second // of an answer, which comes at once but when the machine is busy
			if name == "silence" {
				limit = 50 * time.Millisecond
			}
			config := Config{
				Names: []string{"web.test"}, Servers: []string{"ns1"}, Family: OnlyIPv4, Timeout: limit, Clock: newSteps().clock(),
				Dial: dial(func(network, server string, q *dns.Msg) [][]byte {
					if server == "ns2:53" {
						return says(t, q, dns.RcodeSuccess, "web.test. 1 A 192.0.2.1")
					}
					return c.answer(network, q)
				}),
			}
			r, _ := watch(t, config)
			if got := r.next(); !strings.HasPrefix(got, "failed resolve web.test: ask for A of web.test. at ns1:53: ") || !strings.Contains(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
			config.Servers = []string{"ns1", "ns2"}
			r, _ = watch(t, config)
			r.want("part web.test [192.0.2.1]", "whole [web.test]")
		})
	}
	// Nobody listens.
	r, _ := watch(t, Config{Names: []string{"web.test"}, Servers: []string{net.JoinHostPort(weirtest.Addr(t), "5353")}, Clock: newSteps().clock()})
	if got := r.next(); !strings.Contains(got, "nobody listens there") {
		t.Errorf("told %q", got)
	}
}

// A server that stumbles over EDNS is asked without; packets of others are passed over; what is cut comes over TCP.
func TestAwkwardServers(t *testing.T) {
	t.Parallel()
	right := func(q *dns.Msg) [][]byte { return says(t, q, dns.RcodeSuccess, "web.test. 1 A 192.0.2.1") }
	for name, answer := range map[string]func(network string, q *dns.Msg) [][]byte{
		"no EDNS": func(_ string, q *dns.Msg) [][]byte {
			if q.IsEdns0() != nil {
				return says(t, q, dns.RcodeFormatError)
			}
			return right(q)
		},
		"others first": func(_ string, q *dns.Msg) [][]byte {
			forged := new(dns.Msg).SetReply(q)
			forged.Id++
			return [][]byte{{1}, packed(forged)[0], right(q)[0]}
		},
		"cut in a record": func(network string, q *dns.Msg) [][]byte {
			raw := right(q)[0]
			if network == "udp" {
				raw[2] |= 2 // truncated
				raw = raw[:len(raw)-3]
			}
			return [][]byte{raw}
		},
	} {
		r, stop := watch(t, Config{
			Names: []string{"web.test"}, Servers: []string{"ns"}, Family: OnlyIPv4, Clock: newSteps().clock(),
			Dial: dial(func(network, _ string, q *dns.Msg) [][]byte { return answer(network, q) }),
		})
		if got := r.next(); got != "part web.test [192.0.2.1]" {
			t.Errorf("%s: %q", name, got)
		}
		stop()
	}
}
