package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// secureWorld has the sites one and two, at 8443 and redirecting from 8080, on a fleet of one.
func secureWorld(t *testing.T, h weirtest.HAProxy, more string) (*world, *authority) {
	t.Helper()
	w := newWorld(t)
	w.origin(200, "web1")
	ca := newAuthority(t, "ca")
	w.apply(w.oneZone() + ca.issue("one.example.com").manifest("one") + ca.issue("two.example.com").manifest("two") +
		secureSite("one", "one.example.com", "[one]") + secureSite("two", "two.example.com", "[two]") + more)
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	return w, ca
}

func TestNamesOverTLS(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w, ca := secureWorld(t, h, "")
		at := w.at(17).String() + ":8443"
		client := tlsClient{w: w, roots: ca.pool(), sni: "one.example.com"}
		for _, alpn := range []string{"h2", "http/1.1"} {
			client.alpn = []string{alpn}
			got := client.serves(at, "one.example.com", "/")
			if want := map[string]string{"h2": "HTTP/2.0", "http/1.1": "HTTP/1.1"}[alpn]; got.proto != want || got.leaf.Subject.CommonName != "one.example.com" {
				t.Errorf("asked by %s: %s with %s", alpn, got.proto, got.leaf.Subject)
			}
			for host, want := range map[string]int{
				"one.example.com": 200, "ONE.Example.COM": 200, "one.example.com.": 200, "one.example.com:8443": 200,
				"two.example.com": 421, "TWO.example.com:8443": 421, "unknown.example.com": 404, "www.example.com": 404,
			} {
				if got, err := client.get(at, host, "/"); err != nil || got.status != want {
					t.Errorf("%s, SNI one, Host %s: %d %v, want %d", alpn, host, got.status, err, want)
				}
			}
		}
		for _, sni := range []string{"unknown.example.com", "weir.invalid", "example.com", ""} {
			client.sni = sni
			if state, err := client.shake(at); err == nil {
				t.Errorf("SNI %q got a handshake with %s", sni, state.PeerCertificates[0].Subject)
			}
		}
		client.sni, client.ciphers = "one.example.com", []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		config := client.config()
		config.MaxVersion, config.MinVersion = tls.VersionTLS11, tls.VersionTLS10
		if conn, err := tls.Dial("tcp", at, config); err == nil {
			conn.Close()
			t.Error("TLS 1.1 was agreed under the intermediate profile")
		}
	})
}

func TestRedirectToHTTPS(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w, _ := secureWorld(t, h, "")
		at := w.at(17).String() + ":8080"
		client := http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		for host, want := range map[string]string{"one.example.com": "one.example.com", "ONE.example.com:8080": "one.example.com", "one.example.com.": "one.example.com"} {
			for _, method := range []string{"GET", "POST"} {
				request, err := http.NewRequestWithContext(t.Context(), method, "http://"+at+"/a%20b/c?d=e%2Ff&g", nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Host = host
				answer, err := client.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if to := "https://" + want + ":8443/a%20b/c?d=e%2Ff&g"; answer.StatusCode != 308 || answer.Header.Get("Location") != to {
					t.Errorf("%s %s: %d to %q, want 308 to %q", method, host, answer.StatusCode, answer.Header.Get("Location"), to)
				}
			}
		}
		if status, _, err := w.get(at, "unknown.example.com", "/"); err != nil || status != 404 {
			t.Errorf("unknown host: %d %v", status, err)
		}
	})
}

// rawly sends text as it is from an address, and gives the first line of the answer; "" when the connection ends
// without one.
func (w *world) rawly(from, to, text string) string {
	w.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(w.t.Context(), "tcp", to)
	if err != nil {
		return ""
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitLong)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return ""
	}
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

// proxyV2 is a PROXY header of version 2 that tells of a client over TCP and IPv4.
func proxyV2(source, destination net.IP) string {
	return "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + string(source.To4()) + string(destination.To4()) + "\x30\x39\x1f\x90"
}

// TestClientAddressIsBelievedFromListedSourcesOnly: of PROXY headers and of X-Forwarded-For.
func TestClientAddressIsBelievedFromListedSourcesOnly(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		origin := w.origin(200, "web1")
		w.apply(strings.ReplaceAll(w.oneZone(), "tuning: default}", fmt.Sprintf(
			"tuning: default, trustedProxies: {proxyProtocol: [%s/32], forwardedFor: [%s/32]}}", w.at(101), w.at(102))))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		at := w.at(17).String() + ":8080"
		w.serves(at, "www.example.com", "/")
		plain, proxy, forwarder := w.at(100).String(), w.at(101).String(), w.at(102).String()
		request := func(path string) string {
			return "GET /" + path + " HTTP/1.1\r\nHost: www.example.com\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: gopher\r\nForwarded: for=203.0.113.9\r\nConnection: close\r\n\r\n"
		}
		v1 := "PROXY TCP4 203.0.113.7 " + w.at(17).String() + " 12345 8080\r\n"
		v2 := proxyV2(net.ParseIP("203.0.113.8"), net.ParseIP(w.at(17).String()))
		for _, c := range []struct{ name, from, head, want, forwarded, proto string }{
			{"plain", plain, "", "200", plain, "http"},
			{"plain-v1", plain, v1, "400", "", ""},
			{"plain-v2", plain, v2, "400", "", ""},
			{"proxy-v1", proxy, v1, "200", "203.0.113.7", "http"},
			{"proxy-v2", proxy, v2, "200", "203.0.113.8", "http"},
			{"proxy-without", proxy, "", "", "", ""},
			{"forwarder", forwarder, "", "200", "203.0.113.9, " + forwarder, "gopher"},
			{"forwarder-v1", forwarder, v1, "400", "", ""},
		} {
			line := w.rawly(c.from, at, c.head+request(c.name))
			if c.want == "" && line != "" || !strings.Contains(line, c.want) {
				t.Errorf("%s: %q, want %q", c.name, line, c.want)
			}
			seen := origin.Requests("/" + c.name)
			if (len(seen) > 0) != (c.want == "200") {
				t.Errorf("%s: the origin saw %d requests", c.name, len(seen))
			}
			if len(seen) == 0 {
				continue
			}
			header := seen[0].Header
			if got := strings.Join(header.Values("X-Forwarded-For"), ", "); got != c.forwarded {
				t.Errorf("%s: X-Forwarded-For %q, want %q", c.name, got, c.forwarded)
			}
			if got := strings.Join(header.Values("X-Forwarded-Proto"), ", "); got != c.proto {
				t.Errorf("%s: X-Forwarded-Proto %q, want %q", c.name, got, c.proto)
			}
			if got := header.Get("Forwarded"); (got != "") != (c.from == forwarder) {
				t.Errorf("%s: Forwarded %q", c.name, got)
			}
		}
	})
}
