package weirtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
)

// Visitor is a TLS client that keeps its session and offers it wherever it comes next, as a browser does.
type Visitor struct {
	config *tls.Config
	cache  tls.ClientSessionCache
}

// NewVisitor makes a client of one TLS version that asks for name and believes cert.
func NewVisitor(version uint16, name string, cert *x509.Certificate) *Visitor {
	v := &Visitor{cache: tls.NewLRUClientSessionCache(1)}
	v.config = &tls.Config{ServerName: name, RootCAs: x509.NewCertPool(), MinVersion: version, MaxVersion: version, ClientSessionCache: v.cache}
	v.config.RootCAs.AddCert(cert)
	return v
}

// Visit makes a connection to addr and one request on it, whose answer must be 200, and says whether the session was
// resumed there.
func (v *Visitor) Visit(ctx context.Context, addr string) (resumed bool, err error) {
	// A bound for a server that does not answer; tests measure nothing by it.
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	conn, err := (&tls.Dialer{Config: v.config}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	// In TLS 1.3 the ticket comes after the handshake, in front of the answer.
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", v.config.ServerName); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the answer is %s", answer.Status)
	}
	return conn.(*tls.Conn).ConnectionState().DidResume, nil
}

// Ticket gives the ticket that the client would show next, nil when it has none.
func (v *Visitor) Ticket() []byte {
	session, ok := v.cache.Get(v.config.ServerName)
	if !ok || session == nil {
		return nil
	}
	ticket, _, err := session.ResumptionState()
	if err != nil {
		return nil
	}
	return ticket
}
