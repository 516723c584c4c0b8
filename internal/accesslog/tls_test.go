package accesslog

import (
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"

	"weir/internal/weirtest"
)

// TestHAProxyTLS counts handshakes, those that resume, and requests by version: of several requests over a connection the
// first tells of the handshake, whether they come over HTTP/1.1 or HTTP/2.
func TestHAProxyTLS(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		addr := weirtest.Addr(t)
		r, token := receiver(t, addr+":0", bufferSize)
		p := startHAProxy(t, h, addr, r, token)
		weirtest.NewOrigin(t, p.at(originPort))
		const each = 4 // requests over a connection
		for _, way := range []struct {
			port  int
			http2 bool
		}{{8012, false}, {8012, true}, {8013, false}, {8013, true}} {
			sessions := tls.NewLRUClientSessionCache(1)
			for range 2 { // the second connection resumes
				var protocols http.Protocols
				protocols.SetHTTP1(!way.http2)
				protocols.SetHTTP2(way.http2)
				transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ClientSessionCache: sessions}, Protocols: &protocols} //nolint:gosec // a test's own certificate
				for range each {
					answer, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + p.at(way.port) + "/fine")
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					if (answer.ProtoMajor == 2) != way.http2 {
						t.Fatalf("answered by %s", answer.Proto)
					}
				}
				transport.CloseIdleConnections()
			}
		}
		askTLS(t, p.at(8014), get("www.example.com", "/fine"))
		ask(t, p.at(8013), get("www.example.com", "/fine")) // no TLS

		c := eventually(t, r, func(c Counts) error {
			if c.Get(Key{"secure", "web", ""}).Requests() < 8*each || c.Get(Key{"mail", "stream", ""}).Requests() < 1 || c.ConnectionErrors < 1 {
				return fmt.Errorf("counted %+v", c.Series)
			}
			return nil
		})
		if c.Malformed != 0 {
			t.Errorf("%d malformed: %s", c.Malformed, r.Malformed())
		}
		if got, want := c.Get(Key{"secure", "web", ""}).TLS, (TLS{V12: 4 * each, V13: 4 * each, Handshakes: 8, Resumed: 4}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if n := c.Get(Key{"secure", "web", ""}).Handshake.Count(); n != 8 {
			t.Errorf("%d handshakes timed", n)
		}
		if got, want := c.Get(Key{"mail", "stream", ""}).TLS, (TLS{V13: 1, Handshakes: 1}); got != want {
			t.Errorf("tcp over TLS: %+v, want %+v", got, want)
		}
		// HAProxy's own counters tell whole handshakes and resumed ones apart: neither is all of them.
		if whole, resumed := p.stat(t, "https", "ssl_sess"), p.stat(t, "https", "ssl_reused_sess"); whole != "4" || resumed != "4" {
			t.Errorf("HAProxy counted %s whole handshakes and %s resumed ones of 8", whole, resumed)
		}
	})
}

// stat reads a counter of a frontend.
func (p *proxy) stat(t *testing.T, frontend, column string) string {
	t.Helper()
	conn, err := net.Dial("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "show stat\n"); err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(conn).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range table {
		if row[0] == frontend && row[1] == "FRONTEND" {
			return row[slices.Index(table[0], column)]
		}
	}
	t.Fatalf("no frontend %s", frontend)
	return ""
}
