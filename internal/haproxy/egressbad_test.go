package haproxy_test

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// issuer signs certificates of partners.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newIssuer(t *testing.T, name string) issuer {
	key := ecdsaKey(t)
	return issuer{sign(t, name, key.Public(), nil, key), key}
}

// until makes a certificate for a name that ends then.
func (i issuer) until(t *testing.T, name string, end time.Time) tls.Certificate {
	t.Helper()
	key := ecdsaKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(end.UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: end.Add(-48 * time.Hour), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// meets serves connections one by one, each in a goroutine of its own.
func meets(t *testing.T, addr string, config *tls.Config, serve func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if config != nil {
		l = tls.NewListener(l, config)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go serve(conn)
		}
	}()
}

// reads says something whenever it has read the head of a request; end ends the connection after the first.
func reads(answer string, end bool) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		in := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			if _, err := io.WriteString(conn, answer); err != nil || end {
				return
			}
		}
	}
}

// Whatever becomes of a partner, its callers are told who it is and what is the matter, and others feel nothing.
func TestCallsOnBadDays(t *testing.T) {
	t.Parallel()
	ours, theirs := newIssuer(t, "ours"), newIssuer(t, "theirs")
	const well = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	secure := func(from issuer, name string, end time.Duration, edit func(*tls.Config)) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{from.until(t, name, time.Now().Add(end))}}
		if edit != nil {
			edit(c)
		}
		return c
	}
	const day = 24 * time.Hour
	const invalid = "can not be reached: TLS with it fails, certificate verify failed"
	partners := []struct {
		service string
		config  *tls.Config // nil for plain HTTP
		serve   func(net.Conn)
		status  int // 0 for 502 or 503: HAProxy may be connected or not when it hears of it
		says    string
	}{
		{"well", secure(theirs, "well.example.com", day, nil), reads(well, false), 200, ""},
		{"expired", secure(theirs, "expired.example.com", -day, nil), reads(well, false), 503, invalid},
		{"stranger", secure(ours, "stranger.example.com", day, nil), reads(well, false), 503, invalid},
		{"misnamed", secure(theirs, "other.example.com", day, nil), reads(well, false), 503, "can not be reached: its certificate is for another name"},
		{"old", secure(theirs, "old.example.com", day, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), reads(well, false), 503, "can not be reached: TLS with it fails, tlsv1 alert protocol version"},
		{"asking", secure(theirs, "asking.example.com", day, func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }), reads(well, false), 503, "can not be reached: TLS with it fails"},
		{"later", secure(theirs, "later.example.com", day, func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), reads(well, false), 0, "TLS with it fails, tlsv13 alert certificate required"},
		{"mute", nil, func(net.Conn) {}, 503, "can not be reached in time"},
		{"garbling", nil, func(conn net.Conn) { _, _ = io.WriteString(conn, well); conn.Close() }, 503, "can not be reached: TLS with it fails"},
		{"refusing", nil, nil, 503, "can not be reached"},
		{"other", nil, reads("SSH-2.0-OpenSSH_9.2\r\n", false), 502, "answered with what is no HTTP"},
		{"closing", nil, reads("", true), 502, "broke off before it answered"},
		{"hanging", nil, reads("", false), 504, "did not answer in time"},
		{"resetting", nil, func(conn net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}, 502, "broke off before it answered"},
		{"lengths", nil, reads("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", false), 502, "answered with what is no HTTP"},
		{"chunks", nil, reads("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false), 502, "answered with what is no HTTP"},
		{"switching", nil, reads("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false), 502, "answered with what is no HTTP"},
		{"verbose", nil, reads("HTTP/1.1 200 OK\r\nX-Big: "+strings.Repeat("x", 64<<10)+"\r\n\r\n", false), 502, "with more headers than there may be"},
		{"many", nil, reads("HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Many: x\r\n", 500)+"\r\n", false), 502, "with more headers than there may be"},
		{"truncating", nil, reads("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nok", true), 200, ""}, // and the end is missing
		{"kept", secure(theirs, "kept.example.com", day, nil), reads(well, false), 200, ""},           // where its name was, whose DNS has vanished since
		{"nowhere", nil, nil, 503, "has no address: the DNS knows none of nowhere.example.com"},
		{"vanished", nil, nil, 503, "has no address: the DNS knows none of vanished.example.com"},
		{"stopping", nil, reads("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nok", false), 200, ""},
	}
	overTLS := []string{"mute", "garbling"} // though what answers is none
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startCalls(t, h, func(n *ir.Node) {
			n.Certificates = append(n.Certificates, ir.Certificate{Name: "theirs", Chain: weir.NewChain(inPEM("CERTIFICATE", theirs.cert.Raw))})
			n.Tuning.Timeouts.Connect = weir.Duration(300 * time.Millisecond)
			for i := range n.SLAs {
				n.SLAs[i].Connect = weir.Duration(300 * time.Millisecond)
			}
			for i, p := range partners {
				e := &ir.Endpoint{Partner: "example", Environment: "prod", Service: p.service, Host: p.service + ".example.com"}
				pool := ir.Pool{
					Name: e.Pool(), Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Endpoint: e,
					Servers: []ir.Server{{Name: "s", Address: netip.AddrPortFrom(hostsOf(n)(byte(60+i)), 9000), Weight: 100, Owner: "Partner/example"}},
				}
				if p.config != nil || slices.Contains(overTLS, p.service) {
					pool.TLS = &weir.PoolTLS{Verify: "ca", CA: "theirs", SNI: e.Host, MinVersion: "TLSv1.2"}
				}
				switch p.service {
				case "kept":
					e.Name = e.Host
				case "nowhere":
					e.Name, pool.Servers = e.Host, nil
				case "vanished":
					e.Name, e.Prefer = e.Host, weir.PreferIPv4
					pool.Servers[0].Address = netip.AddrPortFrom(netip.IPv4Unspecified(), 9000)
				}
				n.Pools = append(n.Pools, pool)
			}
			n.Tuning.Nameservers = []string{netip.AddrPortFrom(hostsOf(n)(59), 53).String()} // nobody is there
			slices.SortFunc(n.Pools, func(a, b ir.Pool) int { return strings.Compare(a.Name, b.Name) })
		})
		for i, p := range partners {
			if p.serve != nil {
				meets(t, g.addr(byte(60+i), 9000), p.config, p.serve)
			}
		}
		var all sync.WaitGroup
		for _, p := range partners {
			all.Go(func() {
				_, in := g.begin(p.service, "GET /low/", "Connection: close")
				answer, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Errorf("%s: %v", p.service, err)
					return
				}
				body, err := io.ReadAll(answer.Body)
				said := "example/prod/" + p.service + " "
				switch {
				case answer.StatusCode != p.status && p.status != 0, p.status != 200 && !(strings.HasPrefix(string(body), said) && strings.Contains(string(body), p.says)):
					t.Errorf("%s: %d %q, want %d %q", p.service, answer.StatusCode, body, p.status, said+p.says)
				case p.status == 200 && p.service != "well" && p.service != "kept" && err == nil:
					t.Errorf("%s: %q looks whole", p.service, body)
				}
			})
		}
		// Meanwhile others are served as ever.
		for range 5 {
			for _, service := range []string{"well", "www"} {
				_, in := g.begin(service, "GET /high/", "Connection: close")
				if answer, _ := wholeAnswer(t, in); answer.StatusCode != 200 {
					t.Errorf("%s: %d", service, answer.StatusCode)
				}
			}
		}
		all.Wait()
	})
}
