package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"weir/internal/weirtest"
)

// tlsClient is one client, with what it asks for in its handshakes.
type tlsClient struct {
	w     *world
	roots *x509.CertPool
	// sni is what the client names in the handshake, "" for nothing.
	sni string
	// ciphers bound what it understands, in TLS 1.2; all when nil.
	ciphers []uint16
	alpn    []string
	source  string // the address that it comes from
	// shows is a certificate of its own, which it shows to whoever asks for one, of whatever authorities.
	shows    *tls.Certificate
	sessions tls.ClientSessionCache
	version  uint16 // the one that it speaks, any for 0
}

// tlsAnswer is what came back.
type tlsAnswer struct {
	status int
	header http.Header
	origin string
	proto  string
	leaf   *x509.Certificate
}

func (c tlsClient) config() *tls.Config {
	config := &tls.Config{ServerName: c.sni, RootCAs: c.roots, NextProtos: c.alpn, ClientSessionCache: c.sessions}
	if c.sni == "" || c.sessions != nil {
		// Go names no host when it has none, but then can't check one either, nor resume by another name.
		config.InsecureSkipVerify = true
	}
	if c.shows != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.shows, nil }
	}
	if c.version != 0 {
		config.MinVersion, config.MaxVersion = c.version, c.version
	}
	if c.ciphers != nil {
		config.MaxVersion, config.CipherSuites = tls.VersionTLS12, c.ciphers
	}
	return config
}

func (c tlsClient) dialer() *net.Dialer {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if c.source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.source)}
	}
	return d
}

// shake makes one handshake and gives what was agreed.
func (c tlsClient) shake(addr string) (tls.ConnectionState, error) {
	conn, err := tls.DialWithDialer(c.dialer(), "tcp", addr, c.config())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

// get asks for a path of a host, which may be another than the one of the handshake, over a connection of its own.
func (c tlsClient) get(addr, host, path string) (tlsAnswer, error) {
	request, err := http.NewRequestWithContext(c.w.t.Context(), "GET", "https://"+addr+path, nil)
	if err != nil {
		return tlsAnswer{}, err
	}
	request.Host = host
	if c.alpn == nil {
		c.alpn = []string{"http/1.1"}
	}
	transport := &http.Transport{
		TLSClientConfig: c.config(), ForceAttemptHTTP2: c.alpn[0] == "h2",
		// Below the time that a greeting is waited for: nobody may wait that long.
		TLSHandshakeTimeout: 4 * time.Second,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.dialer().DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	client := http.Client{
		Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err != nil {
		return tlsAnswer{}, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return tlsAnswer{}, err
	}
	return tlsAnswer{
		status: answer.StatusCode, header: answer.Header, origin: answer.Header.Get("X-Origin"), proto: answer.Proto,
		leaf: answer.TLS.PeerCertificates[0],
	}, nil
}

// serves waits for a 200.
func (c tlsClient) serves(addr, host, path string) tlsAnswer {
	c.w.t.Helper()
	var got tlsAnswer
	weirtest.Eventually(c.w.t, waitLong, func() error {
		var err error
		got, err = c.get(addr, host, path)
		if err == nil && got.status != 200 {
			err = fmt.Errorf("status %d", got.status)
		}
		return err
	})
	return got
}

// The suites of clients that understand only one kind of certificate.
var (
	onlyRSA   = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	onlyECDSA = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
)

// secureSite is a site at port 8443 with certificates, and at 8080 redirecting there.
func secureSite(name, host, certificates string) string {
	return fmt.Sprintf(`---
kind: Site
metadata: {name: %s, role: web}
spec:
  hostnames: [%s]
  addresses: [www]
  listeners: [{port: 8080, redirect: https}, {port: 8443, tls: {certificates: %s}}]
  backends: {default: web}
`, name, host, certificates)
}
