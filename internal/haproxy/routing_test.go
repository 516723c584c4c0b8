package haproxy_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// proxy is a HAProxy that runs a node's files, with the origins of testNode behind.
type proxy struct {
	prefix  netip.Prefix
	origins map[byte]*weirtest.Origin
	tcp     *weirtest.TCPOrigin
	dir     string // where HAProxy runs
}

func (p proxy) addr(host byte, port int) string {
	b := p.prefix.Addr().As4()
	b[3] = host
	return fmt.Sprintf("%s:%d", netip.AddrFrom4(b), port)
}

func startProxy(t *testing.T, h weirtest.HAProxy, edit func(*ir.Node), text ...func(*haproxy.Config)) proxy {
	t.Helper()
	return startProxyIn(t, h, &haproxy.Env{}, edit, text...)
}

// startProxyIn lets edit change the environment, too.
func startProxyIn(t *testing.T, h weirtest.HAProxy, env *haproxy.Env, edit func(*ir.Node), text ...func(*haproxy.Config)) proxy {
	t.Helper()
	p := proxy{prefix: weirtest.Prefix(t), origins: map[byte]*weirtest.Origin{}}
	n := testNode(p.prefix)
	if edit != nil {
		edit(&n)
	}
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	for host, name := range map[byte]string{33: "api", 35: "web1", 36: "web2"} {
		p.origins[host] = weirtest.NewOrigin(t, p.addr(host, 9000))
		p.origins[host].Name = name
	}
	p.tcp = weirtest.NewTCPOrigin(t, p.addr(34, 9000), "hello\n")
	env.Version = version
	c := haproxy.Render(n, *env)
	for _, f := range text {
		f(&c)
	}
	dir := weirtest.TempDir(t)
	p.dir = dir
	writeFiles(t, dir, c)
	if err := os.WriteFile(filepath.Join(dir, haproxy.StateFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := weirtest.Command(t, "sh", "-c", "cd "+dir+" && exec "+h.Path+" -db -f haproxy.cfg")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		// Servers are tried before they are up where none is: these two must be.
		if _, err := os.Stat(filepath.Join(p.dir, haproxy.AdminSocket)); err != nil {
			return err
		}
		for line := range strings.Lines(p.command(t, "show stat")) {
			if strings.HasPrefix(line, "web") && strings.Contains(line, ",DOWN") {
				return errors.New(line)
			}
		}
		for host, want := range map[byte]string{17: "web1", 18: "web2"} {
			status, origin, _ := p.get(t, host, "GET / HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n")
			if status != 200 || origin != want {
				return fmt.Errorf("status %d from %q, not %q\n%s", status, origin, want, run.Output())
			}
		}
		return nil
	})
	return p
}

// command gives what the run-time socket answers to a command.
func (p proxy) command(t *testing.T, command string) string {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(p.dir, haproxy.AdminSocket))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// get sends raw bytes to a VIP at port 8080 and gives status, X-Origin and body.
func (p proxy) get(t *testing.T, host byte, raw string) (int, string, string) {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr(host, 8080))
	if err != nil {
		return 0, "", err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		return 0, "", err.Error()
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		return 0, "", err.Error()
	}
	var status int
	_, status3, _ := strings.Cut(string(answer), " ")
	_, _ = fmt.Sscanf(status3, "%d", &status)
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	origin := ""
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		if strings.EqualFold(name, "X-Origin") {
			origin = value
		}
	}
	return status, origin, head + "\n" + body
}

func TestHostsAndPathsAreDecided(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, nil)
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if status, _, all := p.get(t, 17, "GET /api HTTP/1.0\r\nHost: www.example\r\n\r\n"); status != 200 {
				return errors.New(all)
			}
			return nil
		})
		for name, c := range map[string]struct {
			line, host string
			status     int
			origin     string
		}{
			"the host as it stands":          {"GET / HTTP/1.1", "www.example", 200, "web1"},
			"upper case":                     {"GET / HTTP/1.1", "WWW.Example", 200, "web1"},
			"a port in Host":                 {"GET / HTTP/1.1", "www.example:8080", 200, "web1"},
			"a trailing dot":                 {"GET / HTTP/1.1", "www.example.", 200, "web1"},
			"a trailing dot and a port":      {"GET / HTTP/1.1", "www.example.:80", 200, "web1"},
			"an absolute URI":                {"GET http://www.example/api HTTP/1.1", "www.example", 200, "api"},
			"an unknown host":                {"GET / HTTP/1.1", "other.example", 404, ""},
			"an unknown host by its parent":  {"GET / HTTP/1.1", "sub.www.example", 404, ""},
			"HTTP/1.0 with a host":           {"GET / HTTP/1.0", "www.example", 200, "web1"},
			"a Unicode host":                 {"GET / HTTP/1.1", "www.exämple", 400, ""},
			"an empty host":                  {"GET / HTTP/1.1", "", 400, ""},
			"a host with the key's mark":     {"GET / HTTP/1.1", "www.example|vip2", 404, ""},
			"a literal wildcard":             {"GET / HTTP/1.1", "*.rich.example", 200, "web1"},
			"below a wildcard":               {"GET / HTTP/1.1", "a.rich.example", 200, "web1"},
			"far below a wildcard":           {"GET / HTTP/1.1", "a.b.c.d.e.rich.example", 200, "web1"},
			"a prefix, exactly":              {"GET /api HTTP/1.1", "www.example", 200, "api"},
			"below a prefix":                 {"GET /api/x?y=1 HTTP/1.1", "www.example", 200, "api"},
			"beside a prefix":                {"GET /apix HTTP/1.1", "www.example", 200, "web1"},
			"an exact path":                  {"GET /one HTTP/1.1", "rich.example", 200, "api"},
			"below an exact path":            {"GET /one/x HTTP/1.1", "rich.example", 200, "web1"},
			"an exact path with a query":     {"GET /one?x HTTP/1.1", "rich.example", 200, "api"},
			"a regex":                        {"GET /r42 HTTP/1.1", "rich.example", 200, "api"},
			"a regex matches the whole path": {"GET /r42x HTTP/1.1", "rich.example", 200, "web1"},
			"a prefix on the long way":       {"GET /deep/er HTTP/1.1", "a.rich.example", 200, "api"},
			"a map":                          {"GET /old/x HTTP/1.1", "rich.example", 200, "api"},
			"another site's exact path":      {"GET /one HTTP/1.1", "www.example", 200, "web1"},
		} {
			status, origin, all := p.get(t, 17, c.line+"\r\nHost: "+c.host+"\r\nConnection: close\r\n\r\n")
			if status != c.status || origin != c.origin {
				t.Errorf("%s: %d from %q, want %d from %q\n%s", name, status, origin, c.status, c.origin, all)
			}
		}
		if status, _, all := p.get(t, 17, "GET / HTTP/1.0\r\n\r\n"); status != 404 {
			t.Errorf("HTTP/1.0 without Host: %d\n%s", status, all)
		}
		if status, _, all := p.get(t, 17, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"); status != 400 {
			t.Errorf("HTTP/1.1 without Host: %d\n%s", status, all)
		}
		if status, origin, _ := p.get(t, 18, "GET / HTTP/1.0\r\nHost: www.example\r\n\r\n"); status != 200 || origin != "web2" {
			t.Errorf("address of the second zone: %d from %q", status, origin)
		}
		if status, _, _ := p.get(t, 18, "GET / HTTP/1.0\r\nHost: rich.example\r\n\r\n"); status != 404 {
			t.Errorf("a site at another site's address: %d", status)
		}
		if status, _, _ := p.get(t, 16, "GET / HTTP/1.0\r\nHost: www.example\r\n\r\n"); status != 0 {
			t.Errorf("an address of the range that is no VIP answered %d", status)
		}
	})
}

func TestZonesStandInForEachOther(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, nil)
		p.origins[35].Stop()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if status, origin, all := p.get(t, 17, "GET / HTTP/1.0\r\nHost: www.example\r\n\r\n"); status != 200 || origin != "web2" {
				return errors.New(all)
			}
			return nil
		})
		p.origins[36].Stop()
		weirtest.Eventually(t, weirtest.Patience, func() error {
			status, _, all := p.get(t, 17, "GET / HTTP/1.0\r\nHost: www.example\r\n\r\n")
			if status != 503 || !strings.Contains(all, `{"sorry":"503"}`) || !strings.Contains(all, "application/json") {
				return errors.New(all)
			}
			return nil
		})
		if status, _, all := p.get(t, 17, "GET / HTTP/1.0\r\nHost: rich.example\r\n\r\n"); status != 503 || !strings.Contains(all, "<h1>503</h1>") {
			t.Errorf("a site without a page: %d\n%s", status, all)
		}
	})
}

func TestForwardedHeadersAreReplacedUnlessTrusted(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for trusted, want := range map[bool]string{false: "", true: "9.9.9.9"} {
			p := startProxy(t, h, func(n *ir.Node) {
				if trusted {
					n.Group.ForwardedFor = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			p.get(t, 17, "GET /api HTTP/1.0\r\nHost: www.example\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n\r\n")
			seen := p.origins[33].Requests("/api")
			if len(seen) == 0 {
				t.Fatal("no request came through")
			}
			header := seen[len(seen)-1].Header
			all := strings.Join(header.Values("X-Forwarded-For"), ",")
			if strings.Contains(all, "9.9.9.9") != trusted || !strings.Contains(all, "127.") || (header.Get("Forwarded") != "") != trusted {
				t.Errorf("trusted %v (%s): %v", trusted, want, header)
			}
		}
	})
}

func TestTCPSites(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		p := startProxy(t, h, nil)
		weirtest.Eventually(t, weirtest.Patience, func() error {
			conn, err := net.Dial("tcp", p.addr(17, 3890))
			if err != nil {
				return err
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			banner := make([]byte, 6)
			if _, err := io.ReadFull(conn, banner); err != nil || string(banner) != "hello\n" {
				return fmt.Errorf("banner %q: %v", banner, err)
			}
			return nil
		})
		// Through a passthrough site the origin's own bytes come back, which are no TLS; an unknown name is
		// closed before any.
		for name, want := range map[string]bool{"sni.example": true, "other.example": false} {
			conn, err := tls.Dial("tcp", p.addr(17, 8444), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err == nil {
				conn.Close()
				t.Fatal("a banner passed for TLS")
			}
			var record tls.RecordHeaderError
			if errors.As(err, &record) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
