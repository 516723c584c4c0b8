package haproxy_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// speakers are sites, one for each way of speaking to servers, as hosts H.speak.example.
var speakers = []struct {
	host, protocol string
	tls            bool
	major          int // the version of HTTP that the server sees
}{
	{"h1", "", false, 1},
	{"h1tls", "", true, 1},
	{"h2", "h2", false, 2},
	{"h2tls", "h2", true, 2},
	{"auto", "auto", true, 2},
}

// withSpeakers adds the sites, with origins that speak every version.
func withSpeakers(t *testing.T, check string) func(*ir.Node) {
	return func(n *ir.Node) {
		at := n.Pools[0].Servers[0].Address.Addr()
		key := ecdsaKey(t)
		certificate := tls.Certificate{Certificate: [][]byte{sign(t, "origin.example", key.Public(), nil, key).Raw}, PrivateKey: key}
		for i, s := range speakers {
			addr := netip.AddrPortFrom(at, uint16(9200+i))
			pool := ir.Pool{
				Name: "speak-" + s.host, Mode: "http", Balance: "roundrobin", Protocol: s.protocol, Servers: []ir.Server{{Name: "s", Address: addr, Weight: 1}},
				Check: weir.HealthCheck{Type: check, Method: "GET", Path: "/ping", Host: "x", Expect: "200", Interval: weir.Duration(50e6), Rise: 1, Fall: 1},
			}
			var config *tls.Config
			if s.tls {
				pool.TLS = &weir.PoolTLS{Verify: "none", MinVersion: "TLSv1.2"}
				config = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
				config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					if hello.ServerName != "" { // what a client says is no name of a server
						t.Errorf("SNI %q", hello.ServerName)
					}
					return nil, nil
				}
			}
			speak(t, addr.String(), config)
			n.Pools = append(n.Pools, pool)
			n.Sites = append(n.Sites, ir.Site{
				Name: "speak-" + s.host, Mode: "http", Hostnames: []string{s.host + ".speak.example"}, Addresses: []string{"vip1"},
				Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: pool.Name}},
			})
		}
	}
}

// speak starts an origin: /stream sends back what comes, piece by piece, and ends with trailers as gRPC does; a
// WebSocket is sent back what it says.
func speak(t *testing.T, addr string, config *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{TLSConfig: config, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Major", fmt.Sprint(r.ProtoMajor))
		w.Header().Set("X-TE", r.Header.Get("TE"))
		switch {
		case r.Header.Get("Upgrade") == "websocket":
			webSocket(w, r.Header.Get("Sec-WebSocket-Key"))
		case r.URL.Path == "/stream":
			w.Header().Set("Trailer", "Grpc-Status")
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			part := make([]byte, 1024)
			for {
				n, err := r.Body.Read(part)
				_, _ = w.Write(part[:n])
				_ = http.NewResponseController(w).Flush()
				if err != nil {
					break
				}
			}
			w.Header().Set("Grpc-Status", "7")
		}
	})
	go func() {
		if config != nil {
			_ = server.ServeTLS(l, "", "")
		} else {
			_ = server.Serve(l)
		}
	}()
	t.Cleanup(func() { server.Close() })
}

func webSocket(w http.ResponseWriter, key string) {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, 1.3
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	says(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	_, _ = io.Copy(conn, rw)
}

// client2 speaks HTTP/2 to port 8080 without TLS, whatever the host.
func (p proxy) client2() *http.Client { return p.client2From(200) }

// client2From comes from an address of the test's.
func (p proxy) client2From(host byte) *http.Client {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.addr(host, 0)))}
	tr := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", p.addr(17, 8080))
	}}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: tr, Timeout: weirtest.Patience}
}

// TestServersAreSpokenToAsThePoolSays: in each version of HTTP, with checks of both kinds, and a stream both ways that
// ends with trailers arrives whole.
func TestServersAreSpokenToAsThePoolSays(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for _, check := range []string{"http", "tcp"} {
			p := startProxy(t, h, withSpeakers(t, check))
			client := p.client2()
			for _, s := range speakers {
				url := "http://" + s.host + ".speak.example/"
				weirtest.Eventually(t, weirtest.Patience, func() error {
					res, err := client.Get(url)
					if err != nil {
						return err
					}
					defer res.Body.Close()
					if got := res.Header.Get("X-Major"); res.StatusCode != 200 || got != fmt.Sprint(s.major) {
						return fmt.Errorf("%s with the check %s: status %d over HTTP/%s, want HTTP/%d", s.host, check, res.StatusCode, got, s.major)
					}
					return nil
				})
				if s.major == 2 {
					stream(t, client, url+"stream")
				}
			}
			client.CloseIdleConnections()
		}
	})
}

// stream says two things, the second when the answer to the first has come.
func stream(t *testing.T, client *http.Client, url string) {
	t.Helper()
	body, out := io.Pipe()
	defer out.Close()
	req, err := http.NewRequest("POST", url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, word := range []string{"\x00\x00\x00\x00\x03one", "\x00\x00\x00\x00\x03two"} {
		says(out, word)
		if !hears(bufio.NewReader(res.Body), word) {
			t.Errorf("%s: no answer to %q", url, word)
		}
	}
	out.Close()
	rest, err := io.ReadAll(res.Body)
	if err != nil || len(rest) > 0 {
		t.Errorf("%s: %q, %v at the end", url, rest, err)
	}
	if status, te := res.Trailer.Get("Grpc-Status"), res.Header.Get("X-TE"); status != "7" || te != "trailers" || res.Header.Get("Content-Type") != "application/grpc" {
		t.Errorf("%s: trailer %q, TE %q, header %v", url, status, te, res.Header)
	}
}

// TestWebSockets: a client of HTTP/1.1 and one of HTTP/2 (RFC 8441) talk with servers by HTTP/1.1, where the pool has
// that, also as one of two.
func TestWebSockets(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, withSpeakers(t, "none"))
		for _, s := range speakers {
			if s.protocol == "h2" {
				continue
			}
			host := s.host + ".speak.example"
			conn, err := net.Dial("tcp", p.addr(17, 8080))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
			fmt.Fprintf(conn, "GET /chat HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", host)
			in := bufio.NewReader(conn)
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "websocket" {
				t.Errorf("%s: %+v, %v", host, res, err)
				continue
			}
			for _, word := range []string{"\x81\x85mask!!!!!", "\x81\x85more.more"} {
				says(conn, word)
				if !hears(in, word) {
					t.Errorf("%s: no answer to %q", host, word)
				}
			}
			p.webSocket2(t, host)
			p.webSocket2(t, host+".") // by the long way, which refuses CONNECT
		}
	})
}
