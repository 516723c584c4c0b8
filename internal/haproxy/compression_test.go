package haproxy_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// wordy is an origin whose path says what it answers: /type/subtype/length.
func wordy(t *testing.T, addr, name string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var length int
		part := strings.Split(r.URL.Path, "/")
		_, _ = fmt.Sscan(part[3], &length)
		w.Header().Set("Content-Type", part[1]+"/"+part[2])
		w.Header().Set("Content-Length", part[3])
		w.Header().Set("X-Origin", name+" "+r.Header.Get("Accept-Encoding"))
		says(w, strings.Repeat("x", length))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
}

// fetch gives the length of what was sent, whether that is compressed, and who answered.
func (p proxy) fetch(t *testing.T, host, path, encoding string) (length int, compressed bool, origin string) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+p.addr(17, 8080)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Accept-Encoding", encoding)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, Timeout: weirtest.Patience}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := io.Reader(res.Body)
	if compressed = res.Header.Get("Content-Encoding") == "gzip"; compressed {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	content, err := io.ReadAll(body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("status %d, %v", res.StatusCode, err)
	}
	return len(content), compressed, res.Header.Get("X-Origin")
}

// TestAnswersAreCompressed: those of pools that say so, of their types and sizes; also from a backend that was added at
// run time.
func TestAnswersAreCompressed(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		var late netip.AddrPort
		p := startProxy(t, h, func(n *ir.Node) {
			at := n.Pools[0].Servers[0].Address.Addr()
			late = netip.AddrPortFrom(at, 9402)
			wordy(t, late.String(), "late")
			for i, name := range []string{"zip", "plain"} {
				addr := netip.AddrPortFrom(at, uint16(9400+i))
				wordy(t, addr.String(), name)
				pool := ir.Pool{Name: name, Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Servers: []ir.Server{{Name: "s", Address: addr, Weight: 1}}}
				if name == "zip" {
					pool.Compression = &weir.Compression{Types: []string{"application/json", "text/html"}, MinSize: 500}
				}
				n.Pools = append(n.Pools, pool)
				n.Sites = append(n.Sites, ir.Site{
					Name: name, Mode: "http", Hostnames: []string{name + ".size.example"}, Addresses: []string{"vip1"},
					Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: name}},
				})
			}
		})
		check := func(host, path, encoding, origin string, length int, want bool) {
			t.Helper()
			got, compressed, from := p.fetch(t, host, path, encoding)
			if got != length || compressed != want || from != strings.TrimSpace(origin+" "+encoding) {
				t.Errorf("%s%s for %q: %d bytes, compressed %v, from %q; want %v", host, path, encoding, got, compressed, from, want)
			}
		}
		check("zip.size.example", "/text/html/4000", "gzip", "zip", 4000, true)
		check("zip.size.example", "/application/json/500", "br, gzip", "zip", 500, true)
		check("zip.size.example", "/text/html/400", "gzip", "zip", 400, false)
		check("zip.size.example", "/text/plain/4000", "gzip", "zip", 4000, false)
		check("zip.size.example", "/text/html/4000", "br", "zip", 4000, false)
		check("plain.size.example", "/text/html/4000", "gzip", "plain", 4000, false)
		if h.Version == "3.2" {
			return
		}
		text, err := os.ReadFile(filepath.Join(p.dir, "haproxy.cfg"))
		if err != nil {
			t.Fatal(err)
		}
		profile := regexp.MustCompile(`p-http-roundrobin\.z-\S+`).FindString(string(text))
		for _, command := range []string{
			"add backend late from " + profile, "add server late/s " + late.String(), "enable server late/s", "publish backend late",
			"set map maps/pools.map zip/default@vip1 late", "set map maps/pools.map plain/default@vip1 late",
		} {
			t.Log(command, p.command(t, command))
		}
		check("zip.size.example", "/text/html/4000", "gzip", "late", 4000, true)
		check("plain.size.example", "/text/plain/4000", "gzip", "late", 4000, false)
	})
}
