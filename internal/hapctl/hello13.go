package hapctl

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
)

// vector appends a length of some bytes, and what it is the length of.
func vector(b []byte, size int, body []byte) []byte {
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(len(body)>>(8*i)))
	}
	return append(b, body...)
}

// clientHello is the first message of a client that understands RSA alone. HAProxy takes one for such by the signatures
// of TLS 1.2, so these are named as well.
func clientHello(name string, share []byte) []byte {
	unique := make([]byte, 64)
	_, _ = rand.Read(unique) // never fails
	body := append([]byte{3, 3}, unique[:32]...)
	body = vector(body, 1, unique[32:])        // a session that there never was, as everybody sends
	body = vector(body, 2, []byte{0x13, 0x01}) // TLS_AES_128_GCM_SHA256
	body = vector(body, 1, []byte{0})          // no compression
	rsa := []byte{8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1}
	extension := func(b []byte, kind uint16, data []byte) []byte {
		return vector(binary.BigEndian.AppendUint16(b, kind), 2, data)
	}
	var list []byte
	list = extension(list, 0, vector(nil, 2, vector([]byte{0}, 2, []byte(name))))
	list = extension(list, 10, vector(nil, 2, []byte{0, 29}))
	list = extension(list, 13, vector(nil, 2, rsa))
	list = extension(list, 50, vector(nil, 2, append(rsa[:len(rsa):len(rsa)], 4, 3, 5, 3, 6, 3, 8, 7))) // of who signed the chain
	list = extension(list, 43, vector(nil, 1, []byte{3, 4}))
	list = extension(list, 51, vector(nil, 2, vector([]byte{0, 29}, 2, share)))
	return vector([]byte{1}, 3, vector(body, 2, list))
}

// helloAgain is the random of a hello that asks for another one (RFC 8446, 4.1.3).
var helloAgain = []byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

var errHello = errors.New("the server's hello can't be read")

// reader takes fields off a message; what is too short gives nothing, and short.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.short, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) vector(size int) []byte {
	n := 0
	for _, c := range r.take(size) {
		n = n<<8 | int(c)
	}
	return r.take(n)
}

// shareOf gives the server's share of the key.
func shareOf(hello []byte) ([]byte, error) {
	if hello[0] != 2 {
		return nil, fmt.Errorf("%w: it is a message of kind %d", errHello, hello[0])
	}
	r := reader{b: hello[4:]}
	r.take(2)
	if bytes.Equal(r.take(32), helloAgain) {
		return nil, fmt.Errorf("%w: it wants another key than X25519", errHello)
	}
	r.vector(1)
	suite := r.take(2)
	r.take(1)
	list := reader{b: r.vector(2)}
	for len(list.b) > 0 && !list.short && !r.short {
		kind, data := list.take(2), reader{b: list.vector(2)}
		if bytes.Equal(kind, []byte{0, 51}) && bytes.Equal(data.take(2), []byte{0, 29}) && bytes.Equal(suite, []byte{0x13, 0x01}) {
			return data.vector(2), nil
		}
	}
	return nil, errHello
}

// chainOf reads the message with the certificates.
func chainOf(body []byte) ([]*x509.Certificate, error) {
	r := reader{b: body}
	r.vector(1)
	list := reader{b: r.vector(3)}
	var chain []*x509.Certificate
	for len(list.b) > 0 {
		der := list.vector(3)
		list.vector(2)
		if list.short {
			break
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 || list.short || r.short {
		return nil, errors.New("the server's certificates can't be read")
	}
	return chain, nil
}
