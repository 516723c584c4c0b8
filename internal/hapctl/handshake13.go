package hapctl

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A client of crypto/tls offers the signatures of all kinds of keys in TLS 1.3, so HAProxy shows it the ECDSA twin always.
// This one understands RSA alone: TLS_AES_128_GCM_SHA256, X25519, no resumption, just enough of RFC 8446 for a whole
// handshake, so that HAProxy has none to complain of.

// shakeRSA gives the chain that is shown to a client of TLS 1.3 that understands RSA alone, which has been proven to be
// the one of the key that HAProxy has.
func shakeRSA(conn io.ReadWriter, name string) ([]*x509.Certificate, error) {
	s := &shake13{conn: conn, transcript: sha256.New()}
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	hello := clientHello(name, own.PublicKey().Bytes())
	if err := s.send(22, hello); err != nil {
		return nil, err
	}
	s.transcript.Write(hello)
	answer, err := s.message()
	if err != nil {
		return nil, err
	}
	s.transcript.Write(answer)
	share, err := shareOf(answer)
	if err != nil {
		return nil, err
	}
	peer, err := ecdh.X25519().NewPublicKey(share)
	if err != nil {
		return nil, err
	}
	shared, err := own.ECDH(peer)
	if err != nil {
		return nil, err
	}
	if err := s.secrets(shared); err != nil {
		return nil, err
	}
	return s.rest()
}

// shake13 is a handshake of TLS 1.3 under way.
type shake13 struct {
	conn       io.ReadWriter
	transcript hash.Hash
	pending    []byte // of messages
	in         *sealer13
	out        *sealer13
	finished   []byte // the client's key for its last word
}

// sealer13 is one direction's key; nil before there is one.
type sealer13 struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

func (s *sealer13) nonce() []byte {
	n := bytes.Clone(s.iv)
	for i := range 8 {
		n[len(n)-1-i] ^= byte(s.seq >> (8 * i))
	}
	s.seq++
	return n
}

func (s *shake13) send(kind byte, body []byte) error {
	record := []byte{kind, 3, 1, byte(len(body) >> 8), byte(len(body))}
	if s.out != nil {
		n := len(body) + 1 + s.out.aead.Overhead()
		record = []byte{23, 3, 3, byte(n >> 8), byte(n)}
		body = s.out.aead.Seal(nil, s.out.nonce(), append(bytes.Clone(body), kind), record)
	}
	_, err := s.conn.Write(append(record, body...))
	return err
}

// message gives the next one of the handshake.
func (s *shake13) message() ([]byte, error) {
	for {
		if len(s.pending) >= 4 {
			if n := 4 + int(s.pending[1])<<16 + int(s.pending[2])<<8 + int(s.pending[3]); len(s.pending) >= n {
				m := s.pending[:n:n]
				s.pending = s.pending[n:]
				return m, nil
			}
		}
		kind, body, err := s.record()
		switch {
		case err != nil:
			return nil, err
		case kind == 21 && len(body) == 2:
			return nil, fmt.Errorf("remote error: TLS alert %d", body[1])
		case kind == 22:
			s.pending = append(s.pending, body...)
		case kind != 20: // the change of ciphers that means nothing any more
			return nil, fmt.Errorf("a record of kind %d is not of a handshake", kind)
		}
		if len(s.pending) > 1<<18 {
			return nil, errors.New("the handshake is too long")
		}
	}
}

func (s *shake13) record() (kind byte, body []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint16(head[3:])
	if n > 1<<14+256 {
		return 0, nil, errors.New("a record is too long")
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(s.conn, body); err != nil {
		return 0, nil, err
	}
	if head[0] != 23 || s.in == nil {
		return head[0], body, nil
	}
	if body, err = s.in.aead.Open(nil, s.in.nonce(), body, head); err != nil {
		return 0, nil, err
	}
	if body = bytes.TrimRight(body, "\x00"); len(body) == 0 {
		return 0, nil, errors.New("a record is empty")
	}
	return body[len(body)-1], body[:len(body)-1], nil
}

// secrets works out the keys of the handshake, once both hellos are in the transcript.
func (s *shake13) secrets(shared []byte) error {
	none := make([]byte, sha256.Size)
	empty := sha256.Sum256(nil)
	early, err := hkdf.Extract(sha256.New, none, none)
	if err != nil {
		return err
	}
	derived, err := label(early, "derived", empty[:], sha256.Size)
	if err != nil {
		return err
	}
	secret, err := hkdf.Extract(sha256.New, shared, derived)
	if err != nil {
		return err
	}
	sum := s.transcript.Sum(nil)
	from, ferr := label(secret, "s hs traffic", sum, sha256.Size)
	to, terr := label(secret, "c hs traffic", sum, sha256.Size)
	if err := errors.Join(ferr, terr); err != nil {
		return err
	}
	var ierr, oerr error
	s.in, ierr = newSealer13(from)
	s.out, oerr = newSealer13(to)
	s.finished, err = label(to, "finished", nil, sha256.Size)
	return errors.Join(ierr, oerr, err)
}

func newSealer13(secret []byte) (*sealer13, error) {
	key, kerr := label(secret, "key", nil, 16)
	iv, ierr := label(secret, "iv", nil, 12)
	if err := errors.Join(kerr, ierr); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealer13{aead: aead, iv: iv}, err
}

// label is HKDF-Expand-Label of RFC 8446, 7.1.
func label(secret []byte, name string, context []byte, n int) ([]byte, error) {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = vector(info, 1, []byte("tls13 "+name))
	info = vector(info, 1, context)
	return hkdf.Expand(sha256.New, secret, string(info), n)
}

// rest reads what is encrypted, and answers it.
func (s *shake13) rest() (chain []*x509.Certificate, err error) {
	for {
		m, err := s.message()
		if err != nil {
			return nil, err
		}
		before := s.transcript.Sum(nil)
		s.transcript.Write(m)
		switch m[0] {
		case 8: // extensions
		case 13:
			return nil, errors.New("a certificate of the client's is asked for")
		case 11:
			if chain, err = chainOf(m[4:]); err != nil {
				return nil, err
			}
		case 15:
			if err := verify13(chain, m[4:], before); err != nil {
				return nil, err
			}
		case 20:
			mac := hmac.New(sha256.New, s.finished)
			mac.Write(s.transcript.Sum(nil))
			return chain, s.send(22, append([]byte{20, 0, 0, sha256.Size}, mac.Sum(nil)...))
		default:
			return nil, fmt.Errorf("a message of kind %d is not expected", m[0])
		}
	}
}

// verify13 says whether who shows the chain has its key.
func verify13(chain []*x509.Certificate, body, transcript []byte) error {
	if len(chain) == 0 || len(body) < 4 {
		return errors.New("nothing was signed")
	}
	key, ok := chain[0].PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("another kind of key than was asked for")
	}
	var sum hash.Hash
	var kind crypto.Hash
	switch scheme := binary.BigEndian.Uint16(body); scheme {
	case 0x0804:
		sum, kind = sha256.New(), crypto.SHA256
	case 0x0805:
		sum, kind = sha512.New384(), crypto.SHA384
	case 0x0806:
		sum, kind = sha512.New(), crypto.SHA512
	default:
		return fmt.Errorf("a signature of kind %#x was not asked for", scheme)
	}
	sum.Write(bytes.Repeat([]byte{' '}, 64))
	sum.Write([]byte("TLS 1.3, server CertificateVerify\x00"))
	sum.Write(transcript)
	return rsa.VerifyPSS(key, kind, sum.Sum(nil), body[4:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}
