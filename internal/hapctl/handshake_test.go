package hapctl

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestClientOfRSAAlone: a server of TLS 1.3 with twins shows it the one with an RSA key, whole and signed for; and what
// goes wrong is an error.
func TestClientOfRSAAlone(t *testing.T) {
	t.Parallel()
	ec, rs := newPair(t, false, "a.example"), newPair(t, true, "a.example")
	serve := func(config *tls.Config) Handshake {
		t.Helper()
		listener, err := net.Listen("tcp", weirtest.Addr(t)+":8443")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					if config != nil {
						_ = tls.Server(conn, config).HandshakeContext(t.Context())
					}
					<-t.Context().Done()
				}()
			}
		}()
		at := netip.MustParseAddrPort(listener.Addr().String())
		return Handshake{At: at, Name: "a.example", Chain: weir.NewChain(rs.certPEM() + ec.certPEM()), Modern: true, Patience: patient}
	}
	chain := tls.Certificate{Certificate: [][]byte{rs.cert.Raw, ec.cert.Raw}, PrivateKey: rs.key}
	twin := tls.Certificate{Certificate: [][]byte{ec.cert.Raw}, PrivateKey: ec.key}
	if err := serve(&tls.Config{Certificates: []tls.Certificate{twin, chain}}).Prove(t.Context()); err != nil {
		t.Errorf("of twins: %v", err)
	}
	stranger := newPair(t, true, "a.example")
	for want, config := range map[string]*tls.Config{
		"verification error":          {Certificates: []tls.Certificate{{Certificate: chain.Certificate, PrivateKey: stranger.key}}},
		"TLS alert 40":                {Certificates: []tls.Certificate{twin}},
		"TLS alert 70":                {Certificates: []tls.Certificate{chain}, MaxVersion: tls.VersionTLS12},
		"a certificate of the client": {Certificates: []tls.Certificate{chain}, ClientAuth: tls.RequestClientCert},
		"in place of serial":          {Certificates: []tls.Certificate{{Certificate: [][]byte{stranger.cert.Raw}, PrivateKey: stranger.key}}},
	} {
		err := serve(config).Prove(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	silent := serve(nil)
	silent.Patience = 50 * time.Millisecond
	if err := silent.Prove(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that says nothing: %v", err)
	}
}

// FuzzServerMessages: whatever a server says is read, or an error.
func FuzzServerMessages(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0})
	f.Add(append([]byte{2, 0, 0, 46, 3, 3}, make([]byte, 60)...))
	f.Add([]byte{11, 0, 0, 8, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, message []byte) {
		if len(message) >= 4 {
			_, _ = shareOf(message)
			_, _ = chainOf(message[4:])
			_ = verify13(nil, message[4:], nil)
		}
	})
}
