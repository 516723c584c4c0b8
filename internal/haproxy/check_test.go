package haproxy_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// spokesman speaks just enough of one protocol to be checked, well or in one of several bad ways.
type spokesman struct {
	kind  string
	check weir.HealthCheck
	// serve speaks to one check; bad is 0 for a good server, else what is wrong with it.
	serve func(in *bufio.Reader, out io.Writer, bad int)
	// ways is how many there are to be bad.
	ways int

	bad    atomic.Int32
	checks atomic.Int32
}

func (s *spokesman) start(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				s.serve(bufio.NewReader(conn), conn, int(s.bad.Load()))
				s.checks.Add(1)
			}()
		}
	}()
}

func says(w io.Writer, text string) { _, _ = io.WriteString(w, text) }

func hears(r *bufio.Reader, want string) bool {
	got := make([]byte, len(want))
	_, err := io.ReadFull(r, got)
	return err == nil && string(got) == want
}

func ldap(in *bufio.Reader, out io.Writer, bad int) {
	if !hears(in, "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00") {
		return
	}
	says(out, []string{
		"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00", // success
		"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x33\x04\x00\x04\x00", // busy
		"HTTP/1.1 400 Bad Request\r\n\r\n",
	}[bad])
}

func smtp(in *bufio.Reader, out io.Writer, bad int) {
	says(out, []string{"220-mx.example\r\n220 ready\r\n", "554 no service\r\n", "220 mx.example\r\n", "220-mx.example\r\n"}[bad])
	if bad == 3 || !hears(in, "EHLO lb.example\r\n") { // 3 hangs up in the middle of its greeting
		return
	}
	says(out, []string{"250-mx.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n", "", "421 closing\r\n", ""}[bad])
	if hears(in, "QUIT\r\n") {
		says(out, "221 bye\r\n")
	}
}

func postgresql(in *bufio.Reader, out io.Writer, bad int) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return
	}
	rest := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(in, rest); err != nil || !bytes.Equal(rest, []byte("\x00\x03\x00\x00user\x00Weir_1\x00\x00")) {
		return
	}
	says(out, []string{
		"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00",
		"E\x00\x00\x00\x2eSFATAL\x00C57P03\x00Mthe database system is start\x00\x00",
		"SSH-2.0-wrong\r\n",
	}[bad])
}

func ssh(in *bufio.Reader, out io.Writer, bad int) {
	says(out, []string{"welcome\r\nSSH-2.0-OpenSSH_10.2\r\n", "SSH-1.5-old\r\n", "Exceeded MaxStartups\r\n"}[bad])
	if bad == 0 { // HAProxy waits for more than a bad line as long as it may
		hears(in, "SSH-2.0-weir_check\r\n")
	}
}

func redis(in *bufio.Reader, out io.Writer, bad int) {
	line, err := in.ReadString('\n')
	if err != nil || !strings.Contains(line, "PING") && !strings.HasPrefix(line, "*1") {
		return
	}
	says(out, []string{"+PONG\r\n", "-LOADING Redis is loading the dataset in memory\r\n", "-NOAUTH Authentication required.\r\n"}[bad])
}

// Servers that speak LDAP, SMTP, PostgreSQL, SSH or Redis are up while they say so, and none for a port that is open.
func TestProtocolsAreChecked(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		men := []*spokesman{
			{kind: "ldap", serve: ldap, ways: 2},
			{kind: "smtp", serve: smtp, ways: 3, check: weir.HealthCheck{Host: "lb.example"}},
			{kind: "postgresql", serve: postgresql, ways: 2, check: weir.HealthCheck{User: "Weir_1"}},
			{kind: "ssh", serve: ssh, ways: 2},
			{kind: "redis", serve: redis, ways: 2},
		}
		p := startProxy(t, h, func(n *ir.Node) {
			at := n.Pools[0].Servers[0].Address.Addr()
			for i, m := range men {
				c := m.check
				c.Type, c.Interval, c.Rise, c.Fall = m.kind, weir.Duration(50e6), 1, 1
				m.bad.Store(1)
				addr := netip.AddrPortFrom(at, uint16(9100+i))
				m.start(t, addr.String())
				n.Pools = append(n.Pools, ir.Pool{Name: "p-" + m.kind, Mode: "tcp", Balance: "roundrobin", Check: c, Servers: []ir.Server{{Name: "s", Address: addr, Weight: 1}}})
			}
		})
		up := func(m *spokesman) bool {
			states, err := haproxy.ParseServersState(p.command(t, "show servers state"))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range states {
				if haproxy.BaseName(s.Backend) == "p-"+m.kind {
					return s.Op == haproxy.OpRunning
				}
			}
			t.Fatalf("no pool of %s", m.kind)
			return false
		}
		eventually := func(m *spokesman, want bool) {
			weirtest.Eventually(t, weirtest.Patience, func() error {
				if up(m) != want {
					return fmt.Errorf("%s up %v, want %v", m.kind, !want, want)
				}
				return nil
			})
		}
		for _, m := range men {
			for bad := 1; bad <= m.ways; bad++ {
				m.bad.Store(int32(bad))
				eventually(m, false)
				// It is still so after three more checks, of which two began with this answer.
				from := m.checks.Load()
				weirtest.Eventually(t, weirtest.Patience, func() error {
					if m.checks.Load() < from+3 {
						return fmt.Errorf("%s: %d checks", m.kind, m.checks.Load()-from)
					}
					return nil
				})
				if up(m) {
					t.Errorf("%s is up although it is bad in way %d", m.kind, bad)
				}
				m.bad.Store(0)
				eventually(m, true)
			}
		}
	})
}
