package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// poolSite is a pool and a site of its own for it.
func poolSite(name, spec string) string {
	return fmt.Sprintf(`---
kind: Pool
metadata: {name: %[1]s, role: web}
spec: {%[2]s}
---
kind: Site
metadata: {name: %[1]s, role: web}
spec: {hostnames: [%[1]s.example.com], addresses: [www], listeners: [{port: 8080}], backends: {default: %[1]s}}
`, name, spec)
}

// TestTLSToServers: the name and the authority of a server are checked, and our own certificate is shown.
func TestTLSToServers(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		ca, other := newAuthority(t, "ca"), newAuthority(t, "another")
		clients := x509.NewCertPool()
		clients.AddCert(other.cert)
		w.secureOrigin(w.at(201).String()+":4430", "secure", &tls.Config{
			Certificates: []tls.Certificate{ca.issue("origin.example.com").tls(t)}, ClientCAs: clients, ClientAuth: tls.VerifyClientCertIfGiven,
		})
		members := fmt.Sprintf("members: [{name: m, address: %s, port: 4430}], healthCheck: {type: none}, tls: ", w.at(201))
		w.apply(w.oneZone() + keyPair{chain: ca.pem}.manifest("ca") + keyPair{chain: other.pem}.manifest("other") + other.issue("weir").manifest("weir") +
			poolSite("good", members+"{verify: ca, ca: ca, sni: origin.example.com}") +
			poolSite("shown", members+"{verify: ca, ca: ca, sni: origin.example.com, clientCertificate: weir}") +
			poolSite("blind", members+"{verify: none}") +
			poolSite("wrong-name", members+"{verify: ca, ca: ca, sni: elsewhere.example.com}") +
			poolSite("wrong-ca", members+"{verify: ca, ca: other, sni: origin.example.com}") +
			poolSite("modern", members+"{verify: ca, ca: ca, sni: origin.example.com, minVersion: TLSv1.3}"))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		at := w.at(17).String() + ":8080"
		for name, want := range map[string]int{"good": 200, "shown": 200, "blind": 200, "modern": 200, "wrong-name": 503, "wrong-ca": 503} {
			answer := w.ask(at, name+".example.com")
			if answer.StatusCode != want {
				t.Errorf("%s: %d, want %d", name, answer.StatusCode, want)
			}
			if got := answer.Header.Get("X-Client"); (got != "") != (name == "shown") {
				t.Errorf("%s: the server was shown %q", name, got)
			}
			if got := answer.Header.Get("X-SNI"); want == 200 && name != "blind" && got != "origin.example.com" {
				t.Errorf("%s: SNI %q", name, got)
			}
		}
		// Another authority is believed at once, and so is a new client certificate.
		reloads := w.reloads()
		w.converged(w.apply(keyPair{chain: ca.pem}.manifest("other") + other.issue("renewed").manifest("weir")))
		weirtest.Eventually(t, waitLong, func() error {
			if got := w.ask(at, "wrong-ca.example.com").StatusCode; got != 200 {
				return fmt.Errorf("the authority was replaced, and its server answers %d", got)
			}
			return nil
		})
		if got := w.ask(at, "shown.example.com").Header.Get("X-Client"); got != "renewed" {
			t.Errorf("the client certificate was replaced, and the server sees %q", got)
		}
		if w.reloads() != reloads {
			t.Errorf("certificates took a reload: %+v", w.status())
		}
	})
}

// ask sends one request over a connection of its own.
func (w *world) ask(at, host string) *http.Response {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+at+"/", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	answer.Body.Close()
	return answer
}

// TestProxyHeaderToServers: versions 1 and 2 begin each connection, that of a check too.
func TestProxyHeaderToServers(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		text := w.oneZone()
		heads := map[string]*headOrigin{}
		for i, version := range []string{"v1", "v2"} {
			heads[version] = newHeadOrigin(t, fmt.Sprintf("%s:%d", w.at(201), 9001+i))
			text += poolSite("send-"+version, fmt.Sprintf("members: [{name: m, address: %s, port: %d}], healthCheck: {type: http, interval: 200ms, rise: 1}, sendProxy: %s", w.at(201), 9001+i, version))
		}
		w.apply(text)
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		for version, begin := range map[string]string{"v1": "PROXY TCP4 127.0.0.1 " + w.at(17).String() + " ", "v2": "\r\n\r\n\x00\r\nQUIT\n\x21\x11"} {
			w.serves(w.at(17).String()+":8080", "send-"+version+".example.com", "/")
			if got := heads[version].seen(); !strings.HasPrefix(got, begin) {
				t.Errorf("%s: a connection began with %q", version, got)
			}
		}
	})
}

// headOrigin answers requests behind a PROXY header, and keeps the header of the last request that was no check.
type headOrigin struct {
	mu   sync.Mutex
	last string
}

func newHeadOrigin(t *testing.T, addr string) *headOrigin {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	o := &headOrigin{}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { o.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return o
}

func (o *headOrigin) serve(conn net.Conn) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitLong)); err != nil {
		return
	}
	reader := bufio.NewReader(conn)
	first, err := reader.Peek(1)
	if err != nil {
		return
	}
	head := make([]byte, 28)
	if first[0] == 'P' {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		head = []byte(line)
	} else {
		if _, err := reader.Read(head[:16]); err != nil {
			return
		}
		rest := int(head[14])<<8 | int(head[15])
		if rest > 0 {
			if _, err := reader.Discard(rest); err != nil {
				return
			}
		}
	}
	request, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	if request.Method != http.MethodHead {
		o.mu.Lock()
		o.last = string(head)
		o.mu.Unlock()
	}
	_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
}

func (o *headOrigin) seen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}
