package dns01

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// client sends one question and takes one answer at a time; it keeps nothing between two.
type client struct {
	// try bounds how long one packet's answer, or one connection's, is waited for.
	try time.Duration
}

// errNonsense is the cause when something came that is no answer to what was asked.
var errNonsense = errors.New("what came back is no answer to what was asked")

// ask puts a question over UDP, twice, and then over TCP, when the answer was cut or none came.
func (c client) ask(ctx context.Context, addr string, q *dns.Msg) (*dns.Msg, error) {
	wire, err := q.Pack()
	if err != nil {
		return nil, err
	}
	for range 2 {
		m, _, err := c.exchange(ctx, "udp", addr, q, wire)
		if err == nil && !m.Truncated {
			return m, nil
		}
		if err == nil || ctx.Err() != nil || noRoute(err) {
			break
		}
	}
	m, _, err := c.exchange(ctx, "tcp", addr, q, wire)
	return m, err
}

// exchange sends wire, which is q packed, and returns the answer to it and the answer's bytes.
func (c client) exchange(ctx context.Context, network, addr string, q *dns.Msg, wire []byte) (*dns.Msg, []byte, error) {
	short, cancel := context.WithTimeout(ctx, c.try)
	defer cancel()
	m, raw, err := talk(short, network, addr, q, wire)
	switch {
	case err == nil, errors.Is(err, errNonsense):
		return m, raw, err
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("no answer yet: %w", ctx.Err())
	case short.Err() != nil:
		return nil, nil, fmt.Errorf("no answer within %s: %w", c.try, short.Err())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil, fmt.Errorf("the server ended the connection without an answer: %w", err)
	}
	return nil, nil, err
}

func talk(ctx context.Context, network, addr string, q *dns.Msg, wire []byte) (*dns.Msg, []byte, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return overTCP(conn, q, wire)
	}
	return overUDP(conn, q, wire)
}

// noRoute says whether an error means that this machine has no way to such addresses, as one without IPv6.
func noRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// overUDP passes over packets that are no answer: anybody may send them.
func overUDP(conn net.Conn, q *dns.Msg, wire []byte) (*dns.Msg, []byte, error) {
	if _, err := conn.Write(wire); err != nil {
		return nil, nil, err
	}
	var nonsense error
	buf := make([]byte, 4096) // no question of ours asks for more than 512
	for {
		n, err := conn.Read(buf)
		if err != nil {
			if nonsense != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				err = nonsense
			}
			return nil, nil, err
		}
		m, err := readAnswer(q, buf[:n])
		if err == nil {
			return m, buf[:n], nil
		}
		nonsense = err
	}
}

func overTCP(conn net.Conn, q *dns.Msg, wire []byte) (*dns.Msg, []byte, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return nil, nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, nil, err
	}
	raw := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, raw); err != nil {
		return nil, nil, err
	}
	m, err := readAnswer(q, raw)
	return m, raw, err
}

// readAnswer takes a message apart that should be the answer to q.
func readAnswer(q *dns.Msg, raw []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(raw); err != nil {
		return nil, fmt.Errorf("%w: %d bytes, %w", errNonsense, len(raw), err)
	}
	if !m.Response || m.Id != q.Id || m.Opcode != q.Opcode {
		return nil, fmt.Errorf("%w: another message", errNonsense)
	}
	// An update's answer need not repeat the zone, and a refusal not the question.
	if len(m.Question) == 0 && (q.Opcode == dns.OpcodeUpdate || m.Rcode != dns.RcodeSuccess) {
		return m, nil
	}
	if len(m.Question) != 1 || !sameQuestion(m.Question[0], q.Question[0]) {
		return nil, fmt.Errorf("%w: it is about something else", errNonsense)
	}
	return m, nil
}

func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && dns.CanonicalName(a.Name) == dns.CanonicalName(b.Name)
}

// question makes a query; recurse is for resolvers.
func question(name string, qtype uint16, recurse bool) *dns.Msg {
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.RecursionDesired = recurse
	return q
}

// endpoint gives host:port of a name or address with or without a port.
func endpoint(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "53"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q has no port of 1 to 65535 behind its colon", clip(s))
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(host, port), nil
	}
	if !isName(host) {
		return "", fmt.Errorf("%q is no server; write ns1.example.com, 192.0.2.1:53 or [2001:db8::1]:53", clip(s))
	}
	return net.JoinHostPort(host, port), nil
}

func endpoints(what string, list []string) ([]string, error) {
	var all []string
	for _, s := range list {
		e, err := endpoint(s)
		if err != nil {
			return nil, fmt.Errorf("read the %ss: %w", what, err)
		}
		all = append(all, e)
	}
	return all, nil
}
