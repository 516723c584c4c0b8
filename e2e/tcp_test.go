package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// greeting reads the first line that a connection brings, after TLS when config is not nil.
func greeting(addr string, config *tls.Config) (string, error) {
	dialer := &net.Dialer{Timeout: waitLong}
	var conn net.Conn
	var err error
	if config == nil {
		conn, err = dialer.Dial("tcp", addr)
	} else {
		conn, err = tls.DialWithDialer(dialer, "tcp", addr, config)
	}
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitLong)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// greets waits until a connection brings a line.
func (w *world) greets(addr string, config *tls.Config, want string) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		if got, err := greeting(addr, config); got != want {
			return fmt.Errorf("%s: %q %v, want %q", addr, got, err, want)
		}
		return nil
	})
}

const tcpSites = `---
kind: Pool
metadata: {name: plain, role: web}
spec: {mode: tcp, members: [{name: m, address: %[1]s, port: 3890}], healthCheck: {type: tcp, interval: 200ms, rise: 1}}
---
kind: Pool
metadata: {name: through, role: web}
spec: {mode: tcp, members: [{name: m, address: %[1]s, port: 4430}], healthCheck: {type: tcp, interval: 200ms, rise: 1}}
---
kind: Pool
metadata: {name: through2, role: web}
spec: {mode: tcp, members: [{name: m, address: %[1]s, port: 4431}], healthCheck: {type: tcp, interval: 200ms, rise: 1}}
---
kind: IPAddress
metadata: {name: bare, role: web}
spec: {address: %[2]s, groups: [edge]}
---
kind: Site
metadata: {name: ldap, role: web}
spec: {mode: tcp, addresses: [www], listeners: [{port: 3890}], backends: {default: plain}}
---
kind: Site
metadata: {name: ldaps, role: web}
spec: {mode: tcp, addresses: [www], listeners: [{port: 6360, tls: {certificates: [ldap]}}], backends: {default: plain}}
---
kind: Site
metadata: {name: through, role: web}
spec: {mode: tls-passthrough, hostnames: [one.example.com, "*.one.example.com"], addresses: [www], listeners: [{port: 7443}], backends: {default: through}}
---
kind: Site
metadata: {name: through2, role: web}
spec: {mode: tls-passthrough, hostnames: [two.example.com], addresses: [www], listeners: [{port: 7443}], backends: {default: through2}}
`

// secureOrigin answers over TLS with a certificate of its own, and remembers nothing.
func (w *world) secureOrigin(addr, name string, config *tls.Config) {
	w.t.Helper()
	listener, err := tls.Listen("tcp", addr, config)
	if err != nil {
		w.t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0)
	server := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		out.Header().Set("X-Origin", name)
		out.Header().Set("X-SNI", in.TLS.ServerName)
		out.Header().Set("X-URI", in.RequestURI)
		if len(in.TLS.PeerCertificates) > 0 {
			out.Header().Set("X-Client", in.TLS.PeerCertificates[0].Subject.CommonName)
		}
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // until Close
	}()
	w.t.Cleanup(func() {
		server.Close()
		<-ended
	})
}

func (k keyPair) tls(t *testing.T) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair([]byte(k.chain), []byte(k.key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConnectionsOfOtherKinds: plain tcp, TLS ended before tcp, and TLS passed through by the name in it.
func TestConnectionsOfOtherKinds(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		ca := newAuthority(t, "ca")
		weirtest.NewTCPOrigin(t, w.at(200).String()+":3890", "hello\n")
		for i, name := range []string{"one.example.com", "two.example.com"} {
			w.secureOrigin(fmt.Sprintf("%s:%d", w.at(200), 4430+i), name, &tls.Config{Certificates: []tls.Certificate{ca.issue(name, "*."+name).tls(t)}})
		}
		w.apply(w.oneZone() + ca.issue("ldap.example.com").manifest("ldap") + fmt.Sprintf(tcpSites, w.at(200), w.at(18)))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		vip, bare := w.at(17).String(), w.at(18).String()

		w.greets(vip+":3890", nil, "hello")
		w.greets(vip+":6360", &tls.Config{RootCAs: ca.pool(), ServerName: "ldap.example.com"}, "hello")
		for _, address := range []string{bare, w.at(19).String()} {
			if got, err := greeting(address+":3890", nil); err == nil {
				t.Errorf("%s has no site and answers %q", address, got)
			}
		}

		client := tlsClient{w: w, roots: ca.pool()}
		for sni, want := range map[string]string{"one.example.com": "one.example.com", "two.example.com": "two.example.com", "x.one.example.com": "one.example.com"} {
			client.sni = sni
			if got := client.serves(vip+":7443", sni, "/"); got.origin != want || got.header.Get("X-SNI") != sni {
				t.Errorf("SNI %s came to %s with SNI %s", sni, got.origin, got.header.Get("X-SNI"))
			}
		}
		client.sni = "three.example.com"
		if _, err := client.shake(vip + ":7443"); err == nil {
			t.Error("an unknown name was passed through")
		}
		if line := w.rawly(w.at(100).String(), vip+":7443", "GET / HTTP/1.1\r\nHost: one.example.com\r\n\r\n"); line != "" {
			t.Errorf("what is no TLS was passed through: %q", line)
		}
	})
}

// sixes gives n ports of ::1 that are this test's until it ends: there is only one such address.
func sixes(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for port := 20000 + int(time.Now().UnixNano()%9000); port < 32000 && len(ports) < n; port++ {
		hold, err := net.ListenPacket("udp6", fmt.Sprintf("[::1]:%d", port))
		if err != nil {
			continue
		}
		try, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port))
		if err != nil {
			hold.Close()
			continue
		}
		try.Close()
		t.Cleanup(func() { hold.Close() })
		ports = append(ports, port)
	}
	if len(ports) < n {
		t.Fatalf("find %d free ports at ::1: only %d are", n, len(ports))
	}
	return ports
}

// TestIPv6: an address of a documentation network, bound at ::1 by translation, for http and tcp; the servers are
// at ::1 as well.
func TestIPv6(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		p := sixes(t, 5)
		origin := weirtest.NewOrigin(t, fmt.Sprintf("[::1]:%d", p[3]))
		weirtest.NewTCPOrigin(t, fmt.Sprintf("[::1]:%d", p[4]), "hello\n")
		ca := newAuthority(t, "ca")
		w.apply(fmt.Sprintf(`
kind: Zone
metadata: {name: az1}
---
kind: LoadBalancerGroup
metadata: {name: six}
spec: {ranges: ["2001:db8::7/128"]}
---
kind: IPAddress
metadata: {name: six}
spec: {address: "2001:db8::7", homeZone: az1, groups: [six]}
---
kind: Server
metadata: {name: s}
spec: {address: "::1", zone: az1, ports: {http: %[1]d}}
---
kind: Pool
metadata: {name: http}
spec: {members: [{name: s, address: "::1", port: %[1]d}], healthCheck: {path: /ping, interval: 200ms, rise: 1}}
---
kind: Pool
metadata: {name: tcp}
spec: {mode: tcp, members: [{name: s, address: "::1", port: %[2]d}], healthCheck: {type: tcp, interval: 200ms, rise: 1}}
---
kind: Site
metadata: {name: six}
spec: {hostnames: [six.example.com], addresses: [six], listeners: [{port: 80}, {port: 443, tls: {certificates: [six]}}], backends: {default: http}}
---
kind: Site
metadata: {name: raw}
spec: {mode: tcp, addresses: [six], listeners: [{port: 389}], backends: {default: tcp}}
`, p[3], p[4]) + ca.issue("six.example.com").manifest("six"))
		w.join("lb1", "six", "az1", h, fmt.Sprintf(`,"localRanges":{"2001:db8::7/128":"::1/128"},"localPorts":{"80":%d,"443":%d,"389":%d}`, p[0], p[1], p[2]))
		w.converged(1)
		at := func(i int) string { return fmt.Sprintf("[::1]:%d", p[i]) }
		w.serves(at(0), "six.example.com", "/six")
		client := tlsClient{w: w, roots: ca.pool(), sni: "six.example.com"}
		client.serves(at(1), "six.example.com", "/six")
		w.greets(at(2), nil, "hello")
		for _, seen := range origin.Requests("/six") {
			if got := seen.Header.Get("X-Forwarded-For"); got != "::1" {
				t.Errorf("X-Forwarded-For %q", got)
			}
		}
		if status, _, err := w.get(at(0), "[2001:db8::7]", "/"); err != nil || status != 404 {
			t.Errorf("the address as a host: %d %v", status, err)
		}
		conn, err := net.Dial("tcp", at(2))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "echo"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("hello\necho"))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello\necho" {
			t.Errorf("tcp over IPv6: %q %v", got, err)
		}
	})
}
