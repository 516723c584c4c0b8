package dns

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"weir/internal/discovery"
)

// FuzzAnswer: whatever bytes come back, what is found of them are addresses of servers, and what is said harms no log.
func FuzzAnswer(f *testing.F) {
	for _, records := range [][]string{
		{"_x._tcp.test. 1 SRV 1 2 80 a.test.", "a.test. 1 A 192.0.2.1"},
		{"_x._tcp.test. 1 CNAME b.test.", "b.test. 1 SRV 0 0 0 ."},
		{"_x._tcp.test. 1 CNAME _x._tcp.test."},
	} {
		m := new(dns.Msg).SetQuestion("_x._tcp.test.", dns.TypeSRV)
		m.Response, m.RecursionAvailable = true, true
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer, m.Extra = append(m.Answer, rr), append(m.Extra, rr)
		}
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := New(Config{Names: []string{"_x._tcp.test"}, SRV: true, Servers: []string{"ns"}, Dial: func(context.Context, string, string) (net.Conn, error) {
			return &tape{raw: slices.Clone(raw)}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		found, ttl, left, err := s.resolve(t.Context(), "_x._tcp.test")
		for _, said := range []error{left, err} {
			if said != nil && discovery.Clean(said.Error()) != said.Error() {
				t.Errorf("said: %q", said)
			}
		}
		if ttl < 0 || ttl > maxTTL {
			t.Errorf("a time to live of %s", ttl)
		}
		for _, one := range found {
			if net.ParseIP(one.Fields["address"]) == nil || !isName(one.Fields["target"]) || one.Fields["port"] == "0" {
				t.Errorf("found %v", one)
			}
		}
	})
}

// tape is a connection that has one answer on it, to whatever was asked, and then ends.
type tape struct {
	net.Conn
	raw []byte
}

func (c *tape) Write(asked []byte) (int, error) {
	copy(c.raw[:min(2, len(c.raw))], asked)
	return len(asked), nil
}

func (c *tape) Read(b []byte) (int, error) {
	if len(c.raw) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.raw)
	c.raw = c.raw[n:]
	return n, nil
}

func (c *tape) Close() error                { return nil }
func (c *tape) SetDeadline(time.Time) error { return nil }
