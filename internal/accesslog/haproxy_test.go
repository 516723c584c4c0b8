package accesslog

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// proxy is a HAProxy that logs to a receiver.
type proxy struct {
	socket  string // of the run-time commands
	addr    string
	process *weirtest.Process
}

// ports of the test's configuration.
const (
	plainPort  = 8001 // http
	tlsPort    = 8002 // http over TLS
	h2Port     = 8003 // HTTP/2 without TLS
	tcpPort    = 8004
	unsafePort = 8005 // http, of which HAProxy is told to accept nearly anything
	proxyPort  = 8006 // http behind the PROXY protocol
	originPort = 8010
	deadPort   = 8011 // nobody listens there
)

// startHAProxy starts HAProxy with every format, logging to the receiver.
func startHAProxy(t testing.TB, h weirtest.HAProxy, addr string, r *Receiver, token string, args ...string) *proxy {
	t.Helper()
	dir := weirtest.TempDir(t)
	config := filepath.Join(dir, "haproxy.cfg")
	pair := filepath.Join(dir, "pair.pem")
	if err := os.WriteFile(pair, selfSigned(t), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		"ADDR", addr, "PAIR", pair, "SOCKET", filepath.Join(dir, "s"), "LOG", LogTarget(r.Addr()),
		"HTTPFORMAT", HTTPFormat(token), "HTTPSFORMAT", HTTPSFormat(token), "TLSFORMAT", TLSFormat(token), "CAPTURED", HTTPFormatCaptured(token, []string{"user-agent"}, []string{"x-origin"}),
		"TCPFORMAT", TCPFormat(token), "ERRORFORMAT", ErrorFormat(token),
	).Replace(configuration)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Check(config); err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: addr, socket: filepath.Join(dir, "s"), process: weirtest.Command(t, h.Path, append([]string{"-db", "-f", config}, args...)...)}
	weirtest.Eventually(t, patience, func() error {
		c, err := net.Dial("tcp", p.at(proxyPort))
		if err != nil {
			return err
		}
		return c.Close() // sends nothing, which option dontlognull keeps out of the log
	})
	return p
}

func (p *proxy) at(port int) string { return fmt.Sprintf("%s:%d", p.addr, port) }

const configuration = `
global
  nbthread 2
  stats socket SOCKET
defaults base
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  option dontlognull
  option redispatch 1
  retries 2
frontend http from base
  bind ADDR:8001
  bind ADDR:8002 ssl crt PAIR
  bind ADDR:8006 accept-proxy
  LOG
  log-format 'HTTPFORMAT'
  error-log-format 'ERRORFORMAT'
  capture request header Host len 255
  http-request set-var(txn.host) req.hdr(host),host_only,lower
  http-request return status 404 unless { var(txn.host) -m end .example.com }
  http-request set-var(txn.route) var(txn.host),field(1,.)
  http-request set-var(txn.route) var(txn.route),concat(/api) if { path_beg /api }
  http-request set-var(txn.zone) str(az1)
  http-request deny if { path /denied }
  use_backend dead if { path /dead }
  default_backend web
frontend unsafe from base
  bind ADDR:8005
  bind ADDR:8003 proto h2
  option accept-unsafe-violations-in-http-request
  LOG
  log-format 'CAPTURED'
  error-log-format 'ERRORFORMAT'
  capture request header Host len 255
  capture request header User-Agent len 200
  declare capture response len 20
  http-request set-var(txn.route) req.hdr(x-site)
  http-request return status 200 content-type text/plain string ok
frontend https from base
  bind ADDR:8012 ssl crt PAIR alpn h2,http/1.1 ssl-max-ver TLSv1.2
  bind ADDR:8013 ssl crt PAIR alpn h2,http/1.1
  LOG
  log-format 'HTTPSFORMAT'
  error-log-format 'ERRORFORMAT'
  capture request header Host len 255
  http-request set-var(txn.first) int(1) if !{ var(sess.known) -m found }
  http-request set-var(sess.known) int(1) if { var(txn.first) -m found }
  http-request set-var(txn.route) str(secure)
  default_backend web
frontend tls from base
  mode tcp
  bind ADDR:8014 ssl crt PAIR
  LOG
  log-format 'TLSFORMAT'
  error-log-format 'ERRORFORMAT'
  tcp-request content set-var(txn.route) str(mail)
  default_backend stream
frontend tcp from base
  mode tcp
  bind ADDR:8004
  LOG
  log-format 'TCPFORMAT'
  error-log-format 'ERRORFORMAT'
  tcp-request content set-var(txn.route) str(ldap)
  tcp-request content set-var(txn.zone) str(az2)
  default_backend stream
backend web from base
  server one ADDR:8010
backend dead from base
  server gone ADDR:8011
backend stream from base
  mode tcp
  server one ADDR:8010
`

// ask sends a raw request over a connection of its own and returns the status of the answer,
// 0 when there was none.
func ask(t testing.TB, addr string, request string) int {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return answer(bufio.NewReader(c))
}

// answer reads to the end of the answer or connection.
func answer(r *bufio.Reader) int {
	first, _ := r.ReadString('\n')
	_, _ = io.Copy(io.Discard, r)
	var status int
	_, _ = fmt.Sscanf(first, "HTTP/1.%d %d", new(int), &status)
	return status
}

// get returns a request that ends its connection.
func get(host, path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
}

// selfSigned returns a certificate and its key as PEM.
func selfSigned(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
}
