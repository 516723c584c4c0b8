package certs

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestAuthoritiesNameNoInsideHosts: an authority whose directory leads to another host inside has nothing sent there.
func TestAuthoritiesNameNoInsideHosts(t *testing.T) {
	t.Parallel()
	var knocks atomic.Int32
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	go func() {
		for {
			c, err := inside.Accept()
			if err != nil {
				return
			}
			knocks.Add(1)
			_ = c.Close()
		}
	}()
	_, port, err := net.SplitHostPort(inside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, weirtest.PebbleOptions{Wrap: func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "dir") {
				h.ServeHTTP(rw, r)
				return
			}
			got := httptest.NewRecorder()
			h.ServeHTTP(got, r)
			rw.Header().Set("Content-Type", "application/json")
			host := []byte("https://" + r.Host + "/nonce-plz")
			_, _ = rw.Write(bytes.Replace(got.Body.Bytes(), host, []byte("https://localhost:"+port+"/nonce-plz"), 1))
		})
	}})
	w.put("Certificate", "www", &weir.Certificate{Issuer: "public", Names: []string{"www.example.com"}})
	w.run()
	w.await("it is told", func() error {
		if r := w.record("www"); !strings.Contains(r.Failure, "no public address") {
			return fmt.Errorf("%q", r.Failure)
		}
		return nil
	})
	if n := knocks.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// TestPublic says which addresses are.
func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"192.0.2.1:443": true, "[2001:db8::1]:443": true, "172.65.32.248:443": true,
		"127.0.0.1:443": false, "[::1]:443": false, "10.1.2.3:443": false, "192.168.0.1:443": false, "172.16.0.1:443": false,
		"169.254.169.254:80": false, "[fe80::1%eth0]:443": false, "[fd00::1]:443": false, "100.64.0.1:443": false,
		"0.0.0.0:443": false, "[::]:443": false, "[::ffff:127.0.0.1]:443": false, "224.0.0.1:443": false, "x": false,
	} {
		if err := public("ca.example", address); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}
