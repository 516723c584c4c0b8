package haproxy_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// tls12Conn is a connection of TLS 1.2 with AES-128-GCM made by hand, so that it can send what Go's never would. It
// believes every certificate.
type tls12Conn struct {
	net.Conn
	verify     []byte // of the client's Finished, by which a renegotiation is tied to this connection
	write      sealer
	read       sealer
	hello      hello
	agreedWith answered
}

// sealer protects the records of one direction (RFC 5288).
type sealer struct {
	aead cipher.AEAD
	salt []byte
	seq  uint64
}

func newSealer(key, salt []byte) (sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCM(block)
	return sealer{aead: aead, salt: salt}, err
}

func (s *sealer) additional(kind byte, n int) []byte {
	return slices.Concat(binary.BigEndian.AppendUint64(nil, s.seq), []byte{kind}, u16(tls12), u16(n))
}

func (s *sealer) seal(kind byte, body []byte) []byte {
	nonce := binary.BigEndian.AppendUint64(nil, s.seq)
	sealed := s.aead.Seal(nonce, slices.Concat(s.salt, nonce), body, s.additional(kind, len(body)))
	s.seq++
	return record(kind, tls12, sealed)
}

func (s *sealer) open(kind byte, body []byte) ([]byte, error) {
	if len(body) < 8+s.aead.Overhead() {
		return nil, fmt.Errorf("a record of %d bytes is too short", len(body))
	}
	plain, err := s.aead.Open(nil, slices.Concat(s.salt, body[:8]), body[8:], s.additional(kind, len(body)-8-s.aead.Overhead()))
	s.seq++
	return plain, err
}

// prf is TLS 1.2's pseudorandom function (RFC 5246, 5).
func prf(secret []byte, label string, seed []byte, n int) []byte {
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write(slices.Concat(parts...))
		return h.Sum(nil)
	}
	seed = slices.Concat([]byte(label), seed)
	var out []byte
	for a := mac(seed); len(out) < n; a = mac(a) {
		out = append(out, mac(a, seed)...)
	}
	return out[:n]
}

// dial12 makes a whole handshake.
func dial12(addr string, h hello) (*tls12Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &tls12Conn{Conn: conn, hello: h}
	if err := c.handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *tls12Conn) handshake() error {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	c.hello.version, c.hello.groups = tls12, []uint16{groupX25519, 23}
	c.hello.suites, c.hello.schemes = []uint16{0xc02b, 0xc02f}, slices.Concat(schemesECDSA, schemesRSA)
	c.hello.more = []extension{{extRenegotiation, []byte{0}}}
	a, random, err := c.hello.begin(c, nil)
	if err != nil || !a.agreed() || a.group != groupX25519 {
		return fmt.Errorf("greeting: %s, %w", a, err)
	}
	theirs, err := ecdh.X25519().NewPublicKey(a.exchange[4 : 4+int(a.exchange[3])])
	if err != nil {
		return err
	}
	shared, err := key.ECDH(theirs)
	if err != nil {
		return err
	}
	master := prf(shared, "master secret", slices.Concat(random, a.random), 48)
	block := prf(master, "key expansion", slices.Concat(a.random, random), 40)
	if c.write, err = newSealer(block[:16], block[32:36]); err != nil {
		return err
	}
	if c.read, err = newSealer(block[16:32], block[36:]); err != nil {
		return err
	}
	mine := key.PublicKey().Bytes()
	exchange := slices.Concat([]byte{16}, u24(len(mine)+1), []byte{byte(len(mine))}, mine)
	sum := sha256.Sum256(slices.Concat(a.messages, exchange))
	c.verify, c.agreedWith = prf(master, "client finished", sum[:], 12), a
	finished := c.write.seal(recordHandshake, slices.Concat([]byte{20}, u24(12), c.verify))
	if _, err := c.Write(slices.Concat(record(recordHandshake, tls12, exchange), record(20, tls12, []byte{1}), finished)); err != nil {
		return err
	}
	if kind, _, err := readRecord(c); err != nil || kind != 20 {
		return fmt.Errorf("a record of type %d in place of ChangeCipherSpec, %w", kind, err)
	}
	kind, _, err := c.next()
	if err == nil && kind != recordHandshake {
		err = fmt.Errorf("a record of type %d in place of Finished", kind)
	}
	return err
}

// next reads and opens a record.
func (c *tls12Conn) next() (byte, []byte, error) {
	kind, body, err := readRecord(c)
	if err != nil {
		return 0, nil, err
	}
	plain, err := c.read.open(kind, body)
	return kind, plain, err
}

// say sends one record.
func (c *tls12Conn) say(kind byte, body []byte) error {
	_, err := c.Write(c.write.seal(kind, body))
	return err
}

// renegotiate begins a handshake inside the connection, tied to it as RFC 5746 wants, and says whether the server
// takes part.
func (c *tls12Conn) renegotiate() (bool, error) {
	h := c.hello
	h.more = []extension{{extRenegotiation, append([]byte{byte(len(c.verify))}, c.verify...)}}
	if err := c.say(recordHandshake, h.message(bytesOf(32), nil)); err != nil {
		return false, err
	}
	kind, body, err := c.next()
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return false, err
	case err != nil:
		return false, nil // it hung up
	case kind == recordAlert:
		return false, nil
	case kind == recordHandshake && body[0] == 2:
		return true, nil
	}
	return false, fmt.Errorf("a record of type %d is not expected here", kind)
}
