package agent

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// polyglot is an origin that answers every check a random pool may make: plain or over TLS, in HTTP/1 or 2, with or without a
// PROXY header in front, at any path. It tells its address in the X-Origin header.
func polyglot(t *testing.T, addr netip.AddrPort, certificate tls.Certificate) {
	t.Helper()
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // and what comes out of TLS, which the server knows nothing of
	server := &http.Server{
		Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Origin", addr.String())
			fmt.Fprintln(w, "ok")
		}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(polyglotListener{l, config})
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
}

type polyglotListener struct {
	net.Listener
	config *tls.Config
}

func (l polyglotListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &polyglotConn{Conn: c, config: l.config}, nil
}

// polyglotConn finds out with the first bytes what the other side speaks.
type polyglotConn struct {
	net.Conn
	config *tls.Config
	once   sync.Once
	inner  net.Conn
	err    error
}

func (c *polyglotConn) Read(b []byte) (int, error) {
	c.once.Do(func() { c.inner, c.err = c.sniff() })
	if c.err != nil {
		return 0, c.err
	}
	return c.inner.Read(b)
}

func (c *polyglotConn) Write(b []byte) (int, error) {
	if c.inner == nil {
		return 0, errors.New("nothing was read yet")
	}
	return c.inner.Write(b)
}

var proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")

func (c *polyglotConn) sniff() (net.Conn, error) {
	r := bufio.NewReader(c.Conn)
	rest := readConn{c.Conn, r}
	first, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	switch first[0] {
	case 'P':
		if word, err := r.Peek(6); err == nil && string(word) == "PROXY " {
			if _, err := r.ReadString('\n'); err != nil {
				return nil, err
			}
		}
	case '\r':
		head := make([]byte, 16)
		if _, err := io.ReadFull(r, head); err != nil || !bytes.HasPrefix(head, proxyV2) {
			return nil, errors.Join(err, errors.New("no PROXY header"))
		}
		if _, err := r.Discard(int(binary.BigEndian.Uint16(head[14:]))); err != nil {
			return nil, err
		}
	}
	if first, err = r.Peek(1); err != nil {
		return nil, err
	}
	if first[0] == 0x16 {
		return tls.Server(rest, c.config), nil
	}
	return rest, nil
}

type readConn struct {
	net.Conn
	r *bufio.Reader
}

func (c readConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// originCertificate takes one of the certificates that random objects have.
func originCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	set := weirtest.RandomObjects(1, weirtest.Options{Sealed: true, Zoned: true})
	for o := range set.All("Certificate") {
		chain := o.Spec.(*weir.Certificate).Chain.String()
		pair, err := tls.X509KeyPair([]byte(chain), []byte(weirtest.CertificateKey(chain)))
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	t.Fatal("random objects have no certificate")
	return tls.Certificate{}
}
