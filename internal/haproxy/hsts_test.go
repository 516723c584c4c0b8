package haproxy_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// withHSTS gives the modern site a year with subdomains and a port that redirects, and the legacy one a time of zero.
func withHSTS(n *ir.Node) {
	for i := range n.Sites {
		s := &n.Sites[i]
		switch s.Name {
		case "modern":
			s.Listeners[0].TLS.HSTS = &weir.HSTS{MaxAge: new(weir.Duration(365 * 24 * time.Hour)), IncludeSubdomains: true, Preload: true}
			s.Listeners = append([]ir.Listener{{Port: 8080, Mode: weir.PortHTTP, RedirectTo: fortPort}}, s.Listeners...)
		case "legacy":
			s.Listeners[0].TLS.HSTS = &weir.HSTS{MaxAge: new(weir.Duration(0))}
		}
	}
}

// header asks for a path of a host over a connection that was opened for a name, or over none of TLS for "", and gives
// the status and Strict-Transport-Security.
func (f fort) header(name, host, path string) (string, error) {
	scheme, port := "https", fortPort
	if name == "" {
		scheme, port = "http", 8080
	}
	request, err := http.NewRequest("GET", fmt.Sprintf("%s://%s%s", scheme, f.addr(17, port), path), nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	transport := &http.Transport{TLSClientConfig: &tls.Config{ServerName: name, RootCAs: f.pki.roots(), NextProtos: []string{"http/1.1"}}, DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	return fmt.Sprint(answer.StatusCode, " ", answer.Header.Values("Strict-Transport-Security")), nil
}

// TestHSTS: every answer of the site over TLS carries it, HAProxy's own too, and no answer for another name, on whose
// behalf it would be believed; nothing without TLS does.
func TestHSTS(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, withHSTS, nil)
		const year = "[max-age=31536000;includeSubDomains;preload]"
		modern, intermediate, legacy := hostOf("modern"), hostOf("intermediate"), hostOf("legacy")
		f.origins[33].SetStatus("/missing", 404)
		ask := func(name, host, path, want string) {
			t.Helper()
			if got, err := f.header(name, host, path); err != nil || got != want {
				t.Errorf("connection %q, host %s%s: %s, %v; want %s", name, host, path, got, err, want)
			}
		}
		ask(modern, modern+":8443", "/", "200 "+year)
		ask(modern, "MODERN.example.:8443", "/", "200 "+year)
		ask(modern, modern, "/missing", "404 "+year)
		ask(intermediate, intermediate, "/", "200 []")
		ask(legacy, legacy, "/", "200 [max-age=0]")
		ask(modern, intermediate, "/", "421 []")
		ask(intermediate, modern, "/", "421 []")
		ask(modern, "unknown.example", "/", "404 []")
		ask("", modern, "/", "308 []")
		ask("", intermediate, "/", "404 []")
		f.origins[33].Stop()
		ask(modern, modern, "/", "503 "+year)
	})
}
