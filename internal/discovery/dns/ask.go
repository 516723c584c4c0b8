package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"weir/internal/discovery"
)

// udpSize is what fits into a packet on any way.
const udpSize = 1232

// errNonsense is the cause when something came that is no answer to what was asked.
var errNonsense = errors.New("what came back is no answer to what was asked; is it a name server, and does anybody else answer in its place?")

// ask puts a question over UDP, twice, and over TCP when the answer was cut.
func (s *Source) ask(ctx context.Context, server, name string, qtype uint16) (m *dns.Msg, err error) {
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.SetEdns0(udpSize, false)
	for range 2 {
		m, err = s.exchange(ctx, "udp", server, q)
		// An old server, or something in its way, that stumbles over the extension.
		if err == nil && m.Rcode == dns.RcodeFormatError && len(q.Extra) > 0 {
			q.Extra = nil
			m, err = s.exchange(ctx, "udp", server, q)
		}
		if err == nil && m.Truncated {
			m, err = s.exchange(ctx, "tcp", server, q)
			if err == nil && m.Truncated {
				err = fmt.Errorf("over TCP, as the answer did not fit into a packet: it is cut there as well: %w", errNonsense)
			} else if err != nil {
				err = fmt.Errorf("over TCP, as the answer did not fit into a packet: %w", err)
			}
			return m, err
		}
		if err == nil || ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return m, err
		}
	}
	return m, err
}

func (s *Source) exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	short, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	m, err := s.talk(short, network, server, q)
	switch {
	case err == nil, errors.Is(err, errNonsense):
		return m, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case short.Err() != nil:
		return nil, fmt.Errorf("no answer over %s within %s; is it a name server, and is there a way to it? (%w)", strings.ToUpper(network), s.config.Timeout, os.ErrDeadlineExceeded)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nobody listens there (%w)", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("the server ended the connection in the middle of an answer (%w)", err)
	}
	return nil, err
}

func (s *Source) talk(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	wire, err := q.Pack()
	if err != nil {
		return nil, err
	}
	conn, err := s.config.Dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return overTCP(conn, q, wire)
	}
	return overUDP(conn, q, wire)
}

// overUDP passes over packets that are no answer: anybody may send them.
func overUDP(conn net.Conn, q *dns.Msg, wire []byte) (*dns.Msg, error) {
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	var nonsense error
	buf := make([]byte, 65535)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			if nonsense != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				err = nonsense
			}
			return nil, err
		}
		m, err := readAnswer(q, buf[:n])
		if err == nil {
			return m, nil
		}
		nonsense = err
	}
}

func overTCP(conn net.Conn, q *dns.Msg, wire []byte) (*dns.Msg, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	raw := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, raw); err != nil {
		return nil, err
	}
	return readAnswer(q, raw)
}

// readAnswer takes a message apart that should be the answer to q.
func readAnswer(q *dns.Msg, raw []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(raw); err != nil {
		// What is cut may end in the middle of a record; all of it is asked for over TCP.
		if !m.Truncated || len(m.Question) == 0 {
			return nil, fmt.Errorf("%w (%d bytes, %s)", errNonsense, len(raw), discovery.Clip(err.Error()))
		}
	}
	if !m.Response || m.Id != q.Id || m.Opcode != q.Opcode {
		return nil, fmt.Errorf("%w (another message)", errNonsense)
	}
	// A refusal need not repeat the question.
	if len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return m, nil
	}
	want := q.Question[0]
	if len(m.Question) != 1 || m.Question[0].Qtype != want.Qtype || m.Question[0].Qclass != want.Qclass || dns.CanonicalName(m.Question[0].Name) != want.Name {
		return nil, fmt.Errorf("%w (it is about something else)", errNonsense)
	}
	return m, nil
}
