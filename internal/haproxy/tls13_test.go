package haproxy_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// tls13Conn is a connection of TLS 1.3 with AES-128-GCM made by hand, because Go's client sends no early data over
// TCP. It believes every certificate.
type tls13Conn struct {
	net.Conn
	write, read sealer13
	transcript  []byte
	master      []byte
	// early says that the server takes the early data; ours are the secrets for what is sent before and after the
	// handshake is over.
	early                bool
	earlyWrite           *sealer13
	handshakeKey         []byte
	handshakeWrite       sealer13
	clientKey, serverKey []byte
}

// ticket is what a session is resumed by.
type ticket struct {
	label, psk  []byte
	ageAdd      uint32
	mostEarly   uint32
	handedOutAt time.Time
}

// sealer13 protects the records of one direction (RFC 8446, 5.2).
type sealer13 struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

func expandLabel(secret []byte, label string, context []byte, n int) []byte {
	label = "tls13 " + label
	info := slices.Concat(u16(n), []byte{byte(len(label))}, []byte(label), []byte{byte(len(context))}, context)
	out, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		panic(err)
	}
	return out
}

func derive(secret []byte, label string, messages []byte) []byte {
	sum := sha256.Sum256(messages)
	return expandLabel(secret, label, sum[:], 32)
}

func extract(secret, salt []byte) []byte {
	out, err := hkdf.Extract(sha256.New, secret, salt)
	if err != nil {
		panic(err)
	}
	return out
}

func newSealer13(secret []byte) sealer13 {
	block, err := aes.NewCipher(expandLabel(secret, "key", nil, 16))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return sealer13{aead: aead, iv: expandLabel(secret, "iv", nil, 12)}
}

func (s *sealer13) nonce() []byte {
	nonce := slices.Clone(s.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, s.seq) {
		nonce[4+i] ^= b
	}
	s.seq++
	return nonce
}

func (s *sealer13) seal(kind byte, body []byte) []byte {
	body = append(slices.Clone(body), kind)
	head := slices.Concat([]byte{recordData}, u16(tls12), u16(len(body)+s.aead.Overhead()))
	return s.aead.Seal(head, s.nonce(), body, head)
}

// next reads a record, opens it and gives what it really is; those that only please middleboxes are passed over.
func (c *tls13Conn) next() (byte, []byte, error) {
	for {
		kind, body, err := readRecord(c)
		switch {
		case err != nil:
			return 0, nil, err
		case kind == 20:
			continue
		case kind != recordData:
			return kind, body, nil
		}
		plain, err := c.read.aead.Open(nil, c.read.nonce(), body, slices.Concat([]byte{recordData}, u16(tls12), u16(len(body))))
		if err != nil {
			return 0, nil, err
		}
		for len(plain) > 1 && plain[len(plain)-1] == 0 {
			plain = plain[:len(plain)-1]
		}
		return plain[len(plain)-1], plain[:len(plain)-1], nil
	}
}

// finished is the proof of who has a secret that nobody changed the messages.
func finished(secret, messages []byte) []byte {
	sum := sha256.Sum256(messages)
	mac := hmac.New(sha256.New, expandLabel(secret, "finished", nil, 32))
	mac.Write(sum[:])
	return mac.Sum(nil)
}

// dial13 makes a handshake up to where the client would prove that it is there now; finish does that. With a ticket
// the session is resumed, and early is sent with the first packet.
func dial13(addr, name string, by *ticket, early []byte) (*tls13Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &tls13Conn{Conn: conn}
	if err := c.open(name, by, early); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *tls13Conn) open(name string, by *ticket, early []byte) error {
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	secret := extract(make([]byte, 32), make([]byte, 32))
	if by != nil {
		secret = extract(by.psk, make([]byte, 32))
	}
	c.transcript = greeting13(name, key.PublicKey().Bytes(), by, secret)
	flight := record(recordHandshake, tls10, c.transcript)
	if by != nil {
		sealer := newSealer13(derive(secret, "c e traffic", c.transcript))
		c.earlyWrite = &sealer
		flight = append(flight, sealer.seal(recordData, early)...)
	}
	if _, err := c.Write(flight); err != nil {
		return err
	}
	a, err := readAnswer(c.Conn)
	if err != nil || a.version != tls13 || a.suite != suites13[0] || a.retry {
		return fmt.Errorf("greeting: %s, %w", a, err)
	}
	theirs, err := ecdh.X25519().NewPublicKey(a.extensions[extShare][4:])
	if err != nil {
		return err
	}
	shared, err := key.ECDH(theirs)
	if err != nil {
		return err
	}
	c.transcript = append(c.transcript, a.messages...)
	secret = extract(shared, derive(secret, "derived", nil))
	c.handshakeKey = derive(secret, "c hs traffic", c.transcript)
	c.handshakeWrite, c.read = newSealer13(c.handshakeKey), newSealer13(derive(secret, "s hs traffic", c.transcript))
	c.master = extract(make([]byte, 32), derive(secret, "derived", nil))
	if err := c.serverFlight(); err != nil {
		return err
	}
	c.clientKey, c.serverKey = derive(c.master, "c ap traffic", c.transcript), derive(c.master, "s ap traffic", c.transcript)
	c.read = newSealer13(c.serverKey)
	return nil
}

// greeting13 is a greeting for one suite and group, with the proof that the client has the ticket's key.
func greeting13(name string, key []byte, by *ticket, secret []byte) []byte {
	h := hello{version: tls12, versions: []uint16{tls13}, suites: suites13[:1], groups: []uint16{groupX25519}, schemes: slices.Concat(schemesECDSA, schemesRSA), name: name, shares: true}
	h.more = []extension{{45, []byte{1, 1}}, {16, append([]byte{0, 9, 8}, "http/1.1"...)}}
	if by == nil {
		return h.message(bytesOf(32), key)
	}
	age := binary.BigEndian.AppendUint32(nil, uint32(time.Since(by.handedOutAt).Milliseconds())+by.ageAdd)
	identity := slices.Concat(u16(len(by.label)), by.label, age)
	const binders = 2 + 1 + 32
	h.more = append(h.more, extension{42, nil}, extension{41, slices.Concat(u16(len(identity)), identity, u16(33), []byte{32}, make([]byte, 32))})
	message := h.message(bytesOf(32), key)
	open := message[:len(message)-binders]
	return slices.Concat(open, u16(33), []byte{32}, finished(derive(secret, "res binder", nil), open))
}

// serverFlight reads up to the server's Finished.
func (c *tls13Conn) serverFlight() error {
	var rest []byte
	for {
		kind, body, err := c.next()
		if err != nil || kind != recordHandshake {
			return fmt.Errorf("a record of type %d, % x, in place of a handshake's, %w", kind, body, err)
		}
		for rest = append(rest, body...); len(rest) >= 4; {
			n := 4 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
			if len(rest) < n {
				break
			}
			message := rest[:n]
			c.transcript, rest = append(c.transcript, message...), rest[n:]
			switch message[0] {
			case 8: // EncryptedExtensions
				for e := message[6:]; len(e) >= 4; e = e[4+int(binary.BigEndian.Uint16(e[2:])):] {
					c.early = c.early || binary.BigEndian.Uint16(e) == 42
				}
			case 20:
				return nil
			}
		}
	}
}

// finish ends the handshake, and with it the early data.
func (c *tls13Conn) finish() error {
	var flight []byte
	if c.early {
		over := []byte{5, 0, 0, 0}
		flight = c.earlyWrite.seal(recordHandshake, over)
		c.transcript = append(c.transcript, over...)
	}
	message := slices.Concat([]byte{20}, u24(32), finished(c.handshakeKey, c.transcript))
	flight = append(flight, c.handshakeWrite.seal(recordHandshake, message)...)
	c.transcript = append(c.transcript, message...)
	c.write = newSealer13(c.clientKey)
	_, err := c.Write(flight)
	return err
}

// ticket reads the next record with one.
func (c *tls13Conn) ticket() (*ticket, error) {
	kind, body, err := c.next()
	if err != nil || kind != recordHandshake || body[0] != 4 {
		return nil, fmt.Errorf("a record of type %d in place of a ticket, %w", kind, err)
	}
	t := &ticket{handedOutAt: time.Now(), ageAdd: binary.BigEndian.Uint32(body[8:])}
	n := int(body[12])
	nonce, rest := body[13:13+n], body[13+n:]
	n = int(binary.BigEndian.Uint16(rest))
	t.label, rest = rest[2:2+n], rest[2+n+2:]
	for ; len(rest) >= 8; rest = rest[4+int(binary.BigEndian.Uint16(rest[2:])):] {
		if binary.BigEndian.Uint16(rest) == 42 {
			t.mostEarly = binary.BigEndian.Uint32(rest[4:])
		}
	}
	t.psk = expandLabel(derive(c.master, "res master", c.transcript), "resumption", nonce, 32)
	return t, nil
}

// answer gives the beginning of what the server says, passing over tickets.
func (c *tls13Conn) answer() (string, error) {
	for {
		kind, body, err := c.next()
		switch {
		case err != nil:
			return "", err
		case kind == recordData:
			return string(body), nil
		case kind != recordHandshake || body[0] != 4:
			return "", fmt.Errorf("a record of type %d, % x, in place of an answer", kind, body)
		}
	}
}

// ask sends a request after the handshake and gives the beginning of the answer to it; what may be left of the one
// before is passed over.
func (c *tls13Conn) ask(t *testing.T, request []byte) string {
	t.Helper()
	if _, err := c.Write(c.write.seal(recordData, request)); err != nil {
		t.Fatal(err)
	}
	for {
		got, err := c.answer()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(got, "HTTP/1.1 ") {
			return got
		}
	}
}
