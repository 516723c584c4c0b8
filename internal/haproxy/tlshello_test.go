package haproxy_test

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// hello is a greeting of a TLS client, written by hand: Go's own offers nothing that is known to be weak.
type hello struct {
	version  uint16   // of the greeting; TLS 1.2 for 1.3 too
	versions []uint16 // what supported_versions says; none is left out
	suites   []uint16
	groups   []uint16
	schemes  []uint16 // of signatures; none is left out, as below TLS 1.2
	name     string   // the host, or "" for none
	compress []byte   // besides none
	shares   bool     // whether there is a key for groups[0], which must be X25519
	more     []extension
}

type extension struct {
	id   uint16
	body []byte
}

// The numbers of TLS that these tests speak of (IANA's registry of TLS parameters).
const (
	ssl2, ssl3, tls10, tls11, tls12, tls13 = 0x0002, 0x0300, 0x0301, 0x0302, 0x0303, 0x0304

	fallbackSCSV, renegotiationSCSV = 0x5600, 0x00ff

	extName, extGroups, extPoints, extSchemes, extHeartbeat   = 0, 10, 11, 13, 15
	extVersions, extShare, extRenegotiation, extSessionTicket = 43, 51, 0xff01, 35

	groupX25519 = 29

	recordAlert, recordHandshake, recordData, recordHeartbeat = 21, 22, 23, 24

	alertHandshakeFailure, alertProtocolVersion, alertInappropriateFallback, alertNoRenegotiation = 40, 70, 86, 100
)

// answered is how a server begins to answer a greeting.
type answered struct {
	// alert is what it refused with; closed that it said nothing more.
	alert  byte
	closed bool

	version, suite uint16
	compression    byte
	extensions     map[uint16][]byte
	// retry names the group that it asks for a key of, in TLS 1.3.
	retry bool
	group uint16
	// chain and exchange are of TLS 1.2 and below, where they are not encrypted.
	chain    [][]byte
	exchange []byte
	random   []byte
	messages []byte
}

// agreed says that the server would go on with the handshake.
func (a answered) agreed() bool { return a.suite != 0 }

func (a answered) String() string {
	if a.agreed() {
		return fmt.Sprintf("version %#04x, suite %#04x", a.version, a.suite)
	}
	return fmt.Sprintf("alert %d, closed %t", a.alert, a.closed)
}

func u16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func u24(v int) []byte { return []byte{byte(v >> 16), byte(v >> 8), byte(v)} }

// list writes numbers behind the length of all of them.
func list(values []uint16) []byte {
	out := u16(2 * len(values))
	for _, v := range values {
		out = binary.BigEndian.AppendUint16(out, v)
	}
	return out
}

// message gives the greeting as a handshake message, with the random bytes and the key that it has.
func (h hello) message(random, key []byte) []byte {
	body := slices.Concat(u16(int(h.version)), random, []byte{0}, list(h.suites), []byte{byte(len(h.compress) + 1)}, h.compress, []byte{0})
	var extensions []byte
	add := func(id int, parts ...[]byte) {
		content := slices.Concat(parts...)
		extensions = slices.Concat(extensions, u16(id), u16(len(content)), content)
	}
	if h.name != "" {
		add(extName, u16(len(h.name)+3), []byte{0}, u16(len(h.name)), []byte(h.name))
	}
	if h.groups != nil {
		add(extGroups, list(h.groups))
		add(extPoints, []byte{1, 0})
	}
	if h.schemes != nil {
		add(extSchemes, list(h.schemes))
	}
	if h.versions != nil {
		versions := list(h.versions)
		add(extVersions, versions[1:])
		var share []byte
		if h.shares {
			share = slices.Concat(u16(groupX25519), u16(len(key)), key)
		}
		add(extShare, u16(len(share)), share)
	}
	for _, e := range h.more {
		add(int(e.id), e.body)
	}
	if len(extensions) > 0 {
		body = slices.Concat(body, u16(len(extensions)), extensions)
	}
	return slices.Concat([]byte{1}, u24(len(body)), body)
}

func record(kind byte, version uint16, body []byte) []byte {
	return slices.Concat([]byte{kind}, u16(int(version)), u16(len(body)), body)
}

// ask greets a server and reads the beginning of its answer.
func (h hello) ask(addr string) (answered, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return answered{}, err
	}
	defer conn.Close()
	a, _, err := h.begin(conn, bytesOf(32))
	return a, err
}

// begin greets over a connection with a key of X25519, and gives the random bytes that it sent with the message.
func (h hello) begin(conn net.Conn, key []byte) (answered, []byte, error) {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return answered{}, nil, err
	}
	random := bytesOf(32)
	message := h.message(random, key)
	if _, err := conn.Write(record(recordHandshake, min(h.version, tls10), message)); err != nil {
		return answered{}, nil, err
	}
	a, err := readAnswer(conn)
	a.messages = slices.Concat(message, a.messages)
	return a, random, err
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func readRecord(r io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint16(head[3:]))
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

// readAnswer reads up to the server's last unencrypted word.
func readAnswer(conn net.Conn) (answered, error) {
	var a answered
	var rest []byte
	for {
		kind, body, err := readRecord(conn)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return a, fmt.Errorf("no answer: %w", err)
		case err != nil:
			a.closed = true
			return a, nil
		case kind == recordAlert && len(body) == 2:
			a.alert, a.suite = body[1], 0
			return a, nil
		case kind != recordHandshake:
			return a, fmt.Errorf("a record of type %d is not expected here", kind)
		}
		rest = append(rest, body...)
		for len(rest) >= 4 {
			n := int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3])
			if len(rest) < 4+n {
				break
			}
			message := rest[:4+n]
			a.messages, rest = append(a.messages, message...), rest[4+n:]
			if last := a.read(message[0], message[4:]); last {
				return a, nil
			}
		}
	}
}

// read takes in one message and says whether nothing more comes in the clear.
func (a *answered) read(kind byte, body []byte) (last bool) {
	switch kind {
	case 2: // ServerHello
		a.version, a.random = binary.BigEndian.Uint16(body), body[2:34]
		body = body[35+int(body[34]):]
		a.suite, a.compression, body = binary.BigEndian.Uint16(body), body[2], body[3:]
		a.extensions = map[uint16][]byte{}
		for body = body[min(2, len(body)):]; len(body) > 0; {
			id, n := binary.BigEndian.Uint16(body), int(binary.BigEndian.Uint16(body[2:]))
			a.extensions[id], body = body[4:4+n], body[4+n:]
		}
		if v := a.extensions[extVersions]; v != nil {
			a.version = binary.BigEndian.Uint16(v)
			a.group = binary.BigEndian.Uint16(a.extensions[extShare])
			a.retry = len(a.extensions[extShare]) == 2
			return true
		}
	case 11: // Certificate
		for body = body[3:]; len(body) > 3; {
			n := int(body[0])<<16 | int(body[1])<<8 | int(body[2])
			a.chain, body = append(a.chain, body[3:3+n]), body[3+n:]
		}
	case 12: // ServerKeyExchange
		a.exchange = body
		if body[0] == 3 {
			a.group = binary.BigEndian.Uint16(body[1:])
		}
	case 14: // ServerHelloDone
		return true
	}
	return false
}
