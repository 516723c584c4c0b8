package dns01

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"weir/internal/weirtest"
)

// A server that never says anything costs the time that is allowed, and no more.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", net.JoinHostPort(weirtest.Addr(t), weirtest.KnotPort))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	hang := l.Addr().String()
	short := func(o *UpdateOptions) { o.Try, o.Total = 100*time.Millisecond, time.Minute }
	wantError(t, "connections are taken by the kernel", fakeUpdater(t, hang, short).Present(long(t), Record{"www.example.test", "v"}),
		"ask "+hang+" for SOA of _acme-challenge.www.example.test.: no answer within 100ms")
	// An update queued behind others that hang.
	u := fakeUpdater(t, hang, func(o *UpdateOptions) { o.Total = 500 * time.Millisecond })
	for range atOnce {
		u.view.slots <- struct{}{}
	}
	wantError(t, "queue", u.Present(long(t), Record{"www.example.test", "v"}), "8 others talk to it and none ended")
	// Who calls has no more time.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, "given up", fakeUpdater(t, hang, nil).Clean(ctx, Record{"www.example.test", "v"}), "take away TXT", "context canceled")
}

// Packets that are no answer are passed over while the true one is on its way, and the answer is asked for over TCP when
// it does not fit or UDP does not get through.
func TestQuestionsOverUDP(t *testing.T) {
	t.Parallel()
	right := func(q *dns.Msg) [][]byte {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{"v"}}}
		return packed(m)
	}
	spoofed := func(q *dns.Msg) [][]byte {
		m := new(dns.Msg).SetReply(q)
		m.Id++
		return packed(m)
	}
	cases := map[string]func(string, *dns.Msg) [][]byte{
		"others first": func(_ string, q *dns.Msg) [][]byte {
			return append([][]byte{[]byte("x"), make([]byte, 600), spoofed(q)[0]}, right(q)...)
		},
		"cut": func(network string, q *dns.Msg) [][]byte {
			if network == "tcp" {
				return right(q)
			}
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			return packed(m)
		},
		"silence": func(network string, q *dns.Msg) [][]byte {
			if network == "tcp" {
				return right(q)
			}
			return nil
		},
		"garbage": func(network string, q *dns.Msg) [][]byte {
			if network == "tcp" {
				return right(q)
			}
			return [][]byte{[]byte(strings.Repeat("\xff", 100))}
		},
	}
	c := client{try: 3 * time.Second}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some take two tries
			f := startFake(t, answer)
			m, err := c.ask(long(t), f.addr, question("www.example.test.", dns.TypeTXT, false))
			if err != nil || judge(m, "www.example.test.", "v") != nil {
				t.Errorf("%v %v", m, err)
			}
		})
	}
	f := startFake(t, func(string, *dns.Msg) [][]byte { return [][]byte{[]byte("nonsense")} })
	_, err := c.ask(long(t), f.addr, question("www.example.test.", dns.TypeTXT, false))
	wantError(t, "nothing but garbage", err, "what came back is no answer to what was asked")
}

// A name server that does not answer for the zone proves nothing, whatever it says.
func TestNameServerThatIsNotAuthoritative(t *testing.T) {
	t.Parallel()
	addr := weirtest.Addr(t)
	f := startFakeAt(t, addr, func(_ string, q *dns.Msg) [][]byte {
		m := new(dns.Msg).SetReply(q)
		h := dns.RR_Header{Name: q.Question[0].Name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET}
		m.Authoritative = true
		switch h.Rrtype {
		case dns.TypeNS:
			m.Answer = []dns.RR{&dns.NS{Hdr: h, Ns: "ns.example.test."}}
		case dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: h, A: net.ParseIP(addr)}}
		case dns.TypeTXT:
			m.Authoritative = false
			m.Answer = []dns.RR{&dns.TXT{Hdr: h, Txt: []string{"v"}}}
		case dns.TypeSOA:
			h.Name = "example.test."
			m.Ns = []dns.RR{&dns.SOA{Hdr: h, Ns: "ns.", Mbox: "m."}}
		}
		return packed(m)
	})
	r := Record{"www.example.test", "v"}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	wantError(t, "lame", fakeUpdater(t, f.addr, nil).Wait(ctx, r), "ns.example.test. ("+f.addr+") is no authoritative server of the zone, though the zone names it")
	// One that was named is believed: it may answer for others.
	if err := fakeUpdater(t, f.addr, func(o *UpdateOptions) { o.Servers = []string{f.addr} }).Wait(long(t), r); err != nil {
		t.Error(err)
	}
}

// A server that answers for zones that are not its own, as a resolver does, is not believed: what it says may be old.
func TestUpdateServerThatIsNotAuthoritative(t *testing.T) {
	t.Parallel()
	answer := func(zone string, authoritative bool) func(string, *dns.Msg) [][]byte {
		return func(_ string, q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetReply(q)
			m.Authoritative = authoritative
			m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.", Mbox: "m."}}
			return packed(m)
		}
	}
	old, world := startFake(t, answer("test.", false)), startFake(t, answer("example.test.", false))
	u := fakeUpdater(t, old.addr, func(o *UpdateOptions) { o.Resolvers = []string{world.addr} })
	at, err := u.view.place(long(t), "_acme-challenge.www.example.test.", "")
	if err != nil || at.zone != "example.test." {
		t.Errorf("the record belongs into %q: %v", at, err)
	}
}
