package dns01

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"weir/internal/weirtest"
)

// fake is a name server that answers as its test likes, with bytes, over UDP and TCP. No answer ends a TCP
// connection and is silence over UDP.
type fake struct {
	addr   string
	answer func(network string, q *dns.Msg) [][]byte
}

func startFake(t *testing.T, answer func(network string, q *dns.Msg) [][]byte) *fake {
	t.Helper()
	return startFakeAt(t, weirtest.Addr(t), answer)
}

func startFakeAt(t *testing.T, addr string, answer func(network string, q *dns.Msg) [][]byte) *fake {
	t.Helper()
	f := &fake{addr: net.JoinHostPort(addr, weirtest.KnotPort), answer: answer}
	udp, err := net.ListenPacket("udp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close(); _ = tcp.Close() })
	go f.serveUDP(udp)
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			go f.serveTCP(conn)
		}
	}()
	return f
}

func (f *fake) serveUDP(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		q := new(dns.Msg)
		if q.Unpack(buf[:n]) != nil {
			continue
		}
		for _, a := range f.answer("udp", q) {
			_, _ = conn.WriteTo(a, from)
		}
	}
}

func (f *fake) serveTCP(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return
	}
	raw := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, raw); err != nil {
		return
	}
	q := new(dns.Msg)
	if q.Unpack(raw) != nil {
		return
	}
	for _, a := range f.answer("tcp", q) {
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
	}
}

func packed(m *dns.Msg) [][]byte {
	raw, err := m.Pack()
	if err != nil {
		return nil
	}
	return [][]byte{raw}
}

// ofZone answers as the authoritative server of example.test. does, and updates by update.
func ofZone(update func(q *dns.Msg) [][]byte) func(string, *dns.Msg) [][]byte {
	return func(_ string, q *dns.Msg) [][]byte {
		if q.Opcode == dns.OpcodeUpdate {
			return update(q)
		}
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "example.test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.", Mbox: "m."}}
		return packed(m)
	}
}

const fakeSecret = "c2VjcmV0LW9mLTE2LWJ5dGVzLW9yLXNv"

func fakeUpdater(t *testing.T, server string, edit func(*UpdateOptions)) *Updater {
	t.Helper()
	o := UpdateOptions{Server: server, Key: testKey(t, "weir.", "hmac-sha256", fakeSecret), Proof: Proof{Resolvers: []string{server}}, Try: 5 * time.Second}
	if edit != nil {
		edit(&o)
	}
	u, err := NewUpdater(o)
	if err != nil {
		t.Fatal(err)
	}
	u.view.port, u.prover.view.port = weirtest.KnotPort, weirtest.KnotPort
	return u
}

func TestAnswersToUpdates(t *testing.T) {
	t.Parallel()
	code := func(rcode int) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte { return packed(new(dns.Msg).SetRcode(q, rcode)) }
	}
	signature := func(name, algorithm string, code uint16, other string) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetRcode(q, dns.RcodeNotAuth)
			m.Extra = []dns.RR{&dns.TSIG{
				Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: algorithm,
				TimeSigned: q.IsTsig().TimeSigned, Fudge: 300, OrigId: q.Id, Error: code, OtherLen: uint16(len(other) / 2), OtherData: other,
			}}
			return packed(m)
		}
	}
	// signed says that it is done, signed with a key.
	signed := func(name, algorithm, secret string, edit func(*dns.Msg)) func(*dns.Msg) [][]byte {
		return func(q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetReply(q)
			m.SetTsig(name, algorithm, 300, time.Now().Unix())
			if edit != nil {
				edit(m)
			}
			raw, _, err := dns.TsigGenerate(m, secret, q.IsTsig().MAC, false)
			if err != nil {
				return nil
			}
			return [][]byte{raw}
		}
	}
	cases := []struct {
		name   string
		update func(*dns.Msg) [][]byte
		want   []string // no error when empty
	}{
		{"done", signed("weir.", dns.HmacSHA256, fakeSecret, nil), nil},
		{"done, without the zone", signed("weir.", dns.HmacSHA256, fakeSecret, func(m *dns.Msg) { m.Question = nil }), nil},
		{"unsigned", code(dns.RcodeSuccess), []string{"the server says it is done, but can't be believed: the answer is not signed"}},
		{"another secret", signed("weir.", dns.HmacSHA256, "c2VjcmV0", nil), []string{"can't be believed", "signature does not fit"}},
		{"another key", signed("other.", dns.HmacSHA256, fakeSecret, nil), []string{"signed with another key, other. (hmac-sha256)"}},
		{"another algorithm", signed("weir.", dns.HmacSHA1, fakeSecret, nil), []string{"signed with another key, weir. (hmac-sha1)"}},
		{"signed long ago", signed("weir.", dns.HmacSHA256, fakeSecret, func(m *dns.Msg) { m.IsTsig().TimeSigned -= 3600 }), []string{"can't be believed"}},
		{"FORMERR", code(dns.RcodeFormatError), []string{"in the zone example.test.", "FORMERR: the server can't read the update"}},
		{"SERVFAIL", code(dns.RcodeServerFailure), []string{"SERVFAIL: the server can't do it now; its log says why"}},
		{"NOTIMP", code(dns.RcodeNotImplemented), []string{"NOTIMP: the server takes no dynamic updates"}},
		{"REFUSED", code(dns.RcodeRefused), []string{"REFUSED: the server forbids it; allow the key weir. (hmac-sha256)"}},
		{"NOTAUTH", code(dns.RcodeNotAuth), []string{"NOTAUTH: the server is not the primary of example.test."}},
		{"NOTZONE", code(dns.RcodeNotZone), []string{"NOTZONE: the name does not lie in example.test."}},
		{"YXRRSET", code(dns.RcodeYXRrset), []string{"YXRRSET: the server refused the update"}},
		{"unknown code", code(14), []string{"RCODE14: the server refused"}},
		{"BADKEY", signature("weir.", dns.HmacSHA256, dns.RcodeBadKey, ""), []string{"NOTAUTH, BADKEY: the server does not know the key weir. (hmac-sha256)"}},
		{"BADSIG", signature("weir.", dns.HmacSHA256, dns.RcodeBadSig, ""), []string{"NOTAUTH, BADSIG"}},
		{"BADTRUNC", signature("weir.", dns.HmacSHA256, dns.RcodeBadTrunc, ""), []string{"NOTAUTH, BADTRUNC"}},
		{"BADTIME", signature("weir.", dns.HmacSHA256, dns.RcodeBadTime, hex.EncodeToString([]byte{0, 0, 0, 0, 0, 1})), []string{"BADTIME: the server's clock is more than a year behind"}},
		{"BADTIME without one", signature("weir.", dns.HmacSHA256, dns.RcodeBadTime, ""), []string{"BADTIME: the clocks of the server and of this machine differ by more than 300 s"}},
		{"TSIG error 99", signature("weir.", dns.HmacSHA256, 99, ""), []string{"TSIG error 99"}},
		{"garbage", func(*dns.Msg) [][]byte { return [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n")} }, []string{"what came back is no answer to what was asked"}},
		{"nothing", func(*dns.Msg) [][]byte { return [][]byte{{}} }, []string{"what came back is no answer"}},
		{"the question", func(q *dns.Msg) [][]byte { return packed(q) }, []string{"what came back is no answer"}},
		{"another id", func(q *dns.Msg) [][]byte { m := new(dns.Msg).SetReply(q); m.Id++; return packed(m) }, []string{"no answer to what was asked: another message"}},
		{"another zone", func(q *dns.Msg) [][]byte {
			m := new(dns.Msg).SetReply(q)
			m.Question[0].Name = "other.test."
			return packed(m)
		}, []string{"it is about something else"}},
		{"the end", func(*dns.Msg) [][]byte { return nil }, []string{"the server ended the connection without an answer"}},
	}
	err := each(len(cases), func(i int) error {
		c := cases[i]
		f := startFake(t, ofZone(c.update))
		err := fakeUpdater(t, f.addr, nil).Present(long(t), Record{"www.example.test", "v"})
		if len(c.want) == 0 {
			return err
		}
		wantError(t, c.name, err, append(c.want, "put TXT _acme-challenge.www.example.test.", " at "+f.addr)...)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// What goes better a moment later is tried again.
func TestUpdatesAreTriedAgain(t *testing.T) {
	t.Parallel()
	updates := make(chan int, 1)
	updates <- 0
	f := startFake(t, ofZone(func(q *dns.Msg) [][]byte {
		n := <-updates + 1
		updates <- n
		switch n {
		case 1:
			return packed(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
		case 2:
			return nil
		}
		m := new(dns.Msg).SetReply(q)
		m.SetTsig("weir.", dns.HmacSHA256, 300, time.Now().Unix())
		raw, _, _ := dns.TsigGenerate(m, fakeSecret, q.IsTsig().MAC, false)
		return [][]byte{raw}
	}))
	if err := fakeUpdater(t, f.addr, nil).Present(long(t), Record{"www.example.test", "v"}); err != nil {
		t.Error(err)
	}
	if n := <-updates; n != 3 {
		t.Errorf("%d updates were sent, want 3", n)
	}
}

// A server that never says anything costs the time that is allowed, and no more.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", net.JoinHostPort(weirtest.Addr(t), weirtest.KnotPort))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	hang := l.Addr().String()
	short := func(o *UpdateOptions) { o.Try, o.Total = 100*time.Millisecond, time.Second }
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
	c := client{try: time.Second}
	for name, answer := range cases {
		f := startFake(t, answer)
		m, err := c.ask(long(t), f.addr, question("www.example.test.", dns.TypeTXT, false))
		if err != nil || judge(m, "www.example.test.", "v") != nil {
			t.Errorf("%s: %v %v", name, m, err)
		}
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	wantError(t, "lame", fakeUpdater(t, f.addr, nil).Wait(ctx, r), "ns.example.test. ("+f.addr+") is no authoritative server of the zone, though the zone names it")
	// One that was named is believed: it may answer for others.
	if err := fakeUpdater(t, f.addr, func(o *UpdateOptions) { o.Servers = []string{f.addr} }).Wait(long(t), r); err != nil {
		t.Error(err)
	}
}
