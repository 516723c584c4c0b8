package dns01

import (
	"encoding/binary"
	"io"
	"net"
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
