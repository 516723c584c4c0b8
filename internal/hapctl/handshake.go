package hapctl

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"weir"
)

// Handshake is a client of HAProxy's on the same machine that looks which certificate is shown.
type Handshake struct {
	At   netip.AddrPort
	Name string
	// Namespace is the network namespace that At is in, "" for the agent's own.
	Namespace string
	// Chain is what is wanted, PEM. Others are chains that HAProxy may as well show for the name to a client that
	// understands their kind of key.
	Chain  weir.Chain
	Others []weir.Chain
	// Modern says that nothing below TLS 1.3 is spoken there.
	Modern bool
	// Proxied are the sources of whose connections HAProxy expects a PROXY header.
	Proxied []netip.Prefix
	// Patience bounds all of it.
	Patience time.Duration
}

// ErrUnprovable says that no handshake from this machine would tell anything: the address is another machine's.
var ErrUnprovable = errors.New("no handshake can tell")

// NotShown says what a client is shown in place of the certificate that is wanted.
type NotShown struct {
	At   netip.AddrPort
	Name string
	// Served is what is shown, nil for nothing; Err is why there is nothing.
	Served, Wanted *x509.Certificate
	Err            error
}

// Error names the address and the certificate that a client gets instead.
func (e *NotShown) Error() string {
	at := fmt.Sprintf("a client that asks %s for %s ", e.At, e.Name)
	switch {
	case e.Served == nil:
		return at + "is shown no certificate: " + e.Err.Error()
	case bytes.Equal(e.Served.Raw, e.Wanted.Raw):
		return at + "is shown another chain behind the certificate than is wanted"
	}
	return at + fmt.Sprintf("is shown the certificate with serial %X for %s, good until %s, in place of serial %X", e.Served.SerialNumber, e.Served.Subject.CommonName,
		e.Served.NotAfter.UTC().Format(time.RFC3339), e.Wanted.SerialNumber)
}

// Unwrap gives why there is nothing.
func (e *NotShown) Unwrap() error { return e.Err }

// Prove looks once. It is nil when the whole chain is shown as it is wanted, a *NotShown when it is not, and
// ErrUnprovable. Whether anybody trusts the chain is not asked, nor what the time is: that is for clients to judge.
func (h Handshake) Prove(ctx context.Context) error {
	wanted := certificatesOf(h.Chain)
	if len(wanted) == 0 || !h.local() {
		return ErrUnprovable
	}
	served, err := h.shake(ctx, wanted[0])
	if err != nil {
		return &NotShown{At: h.At, Name: h.Name, Wanted: wanted[0], Err: err}
	}
	same := func(a, b *x509.Certificate) bool { return bytes.Equal(a.Raw, b.Raw) }
	if slices.EqualFunc(served, wanted, same) {
		return nil
	}
	for _, text := range h.Others {
		other := certificatesOf(text)
		if len(other) == 0 || !slices.EqualFunc(served, other, same) {
			continue
		}
		if other[0].PublicKeyAlgorithm == wanted[0].PublicKeyAlgorithm {
			return nil // of two of a kind it shows one
		}
	}
	return &NotShown{At: h.At, Name: h.Name, Wanted: wanted[0], Served: served[0]}
}

// shake gives the chain that is shown to a client which understands the kind of key of the certificate wanted, and
// below TLS 1.3 no other.
func (h Handshake) shake(ctx context.Context, wanted *x509.Certificate) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, h.Patience)
	defer cancel()
	var conn net.Conn
	err := InNamespace(h.Namespace, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", h.At.String()) // an address, so that nobody else makes the socket
		return err
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := h.introduce(conn); err != nil {
		return nil, err
	}
	if h.Modern && wanted.PublicKeyAlgorithm == x509.RSA {
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		served, err := shakeRSA(conn, h.Name)
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		return served, err
	}
	config := &tls.Config{
		ServerName: h.Name, InsecureSkipVerify: true, // what is shown is compared byte by byte
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: suitesFor(wanted),
	}
	if h.Modern {
		config.MinVersion, config.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	}
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	defer client.Close()
	return client.ConnectionState().PeerCertificates, nil
}

// introduce sends a PROXY header that says that the connection is its sender's own, where one is expected.
func (h Handshake) introduce(conn net.Conn) error {
	from, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	source, _ := netip.AddrFromSlice(from.IP)
	source = source.Unmap()
	if !slices.ContainsFunc(h.Proxied, func(p netip.Prefix) bool { return p.Contains(source) }) {
		return nil
	}
	_, err := conn.Write([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")) // version 2, LOCAL, no addresses
	return err
}

// suitesFor are those of TLS 1.2 that a certificate's key is for; every TLS profile below modern has some of them.
func suitesFor(c *x509.Certificate) []uint16 {
	if c.PublicKeyAlgorithm == x509.RSA {
		return []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
	}
	return []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}
}

// certificatesOf reads a chain; what is none of a certificate is passed over.
func certificatesOf(chain weir.Chain) []*x509.Certificate {
	var list []*x509.Certificate
	for rest := []byte(chain.String()); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			list = append(list, c)
		}
	}
}

// local says whether a connection to the address stays on this machine; where nobody can look, the handshake says why.
func (h Handshake) local() (is bool) {
	if err := InNamespace(h.Namespace, func() error { is = local(h.At); return nil }); err != nil {
		return true
	}
	return is
}

// local says whether a connection to an address stays on this machine: then the kernel gives it a loopback source, or
// the address itself.
func local(at netip.AddrPort) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at)) // sends nothing
	if err != nil {
		return false
	}
	defer conn.Close()
	from := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return from.IsLoopback() || from == at.Addr().Unmap()
}
