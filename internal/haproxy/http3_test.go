package haproxy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// HTTP/3 goes both ways of a request, and says of its clients what TLS says.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		f := startFort(t, h, func(n *ir.Node) {
			for i := range n.Sites {
				n.Sites[i].Listeners[0].TLS.HTTP3 = n.Sites[i].Name != "legacy"
			}
		}, nil)
		client := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		client.Dial = func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, f.at(), c, q)
		}
		t.Cleanup(func() { client.Close() })
		for _, c := range []struct {
			profile, host string
			status        int
		}{
			{"modern", "modern.example", 200},
			{"intermediate", "intermediate.example", 200},
			{"modern", "MODERN.example", 200},              // the long way
			{"legacy", "legacy.example", 421},              // did not ask
			{"modern", "intermediate.example", 421},        // another site's connection
			{"modern", "unknown.example", 404},             // nobody's
			{"intermediate", "intermediate.example.", 200}, // the long way
		} {
			uri := "/" + c.profile + "-" + c.host
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://%s:%d%s", hostOf(c.profile), fortPort, uri), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = c.host
			request.Header.Set("X-Forwarded-For", "6.6.6.6")
			answer, err := client.RoundTrip(request)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			answer.Body.Close()
			told := answer.Header.Get("Alt-Svc")
			if answer.StatusCode != c.status || (told == `h3=":8443";ma=3600`) != (c.status == 200) || c.status != 200 && told != "" {
				t.Errorf("%+v: %d, Alt-Svc %q", c, answer.StatusCode, told)
			}
			seen := f.origins[33].Requests(uri)
			if (len(seen) == 1) != (c.status == 200) {
				t.Errorf("%+v: the origin saw %v", c, seen)
				continue
			}
			if c.status == 200 && (seen[0].Header.Get("X-Forwarded-For") != "127.0.0.1" || seen[0].Header.Get("X-Forwarded-Proto") != "https") {
				t.Errorf("%+v: the origin was told %v", c, seen[0].Header)
			}
		}
	})
}

// Where nobody asks for HTTP/3 there is no text of it; where somebody does, its own frontend has nothing that is TCP's, and
// workers that are not root keep the right to its sockets.
func TestHTTP3IsTextOfItsPort(t *testing.T) {
	t.Parallel()
	text := func(user string, on bool) string {
		n := testNode(weirtest.Prefix(t))
		n.Tuning.FastOpen = true
		n.Sites = append(n.Sites, ir.Site{
			Name: "secure", Mode: "http", Hostnames: []string{"secure.example"}, Addresses: []string{"vip1"}, Backends: n.Sites[0].Backends,
			Listeners: []ir.Listener{{Port: 443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{HTTP3: on, EarlyData: true}}},
		})
		all, _ := haproxy.Render(n, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}, User: user, Group: user}).Text()
		return all
	}
	for _, got := range []string{text("haproxy", false), text("", false)} {
		if strings.Contains(got, "quic") || strings.Contains(got, "http3") || strings.Contains(got, "setcap") {
			t.Error("a configuration that nobody asked it for has text of HTTP/3")
		}
	}
	got := text("haproxy", true)
	_, quic, found := strings.Cut(got, "frontend quic-443 ")
	quic, _, _ = strings.Cut(quic, "\n\n")
	if !found || !strings.Contains(quic, "alpn h3") || !strings.Contains(got, "setcap cap_net_bind_service\n") || strings.Contains(text("", true), "setcap") {
		t.Error(got)
	}
	for _, word := range []string{"expect-proxy", "allow-0rtt", "tfo", "(sess.early)"} {
		if strings.Contains(quic, word) {
			t.Errorf("%s in %s", word, quic)
		}
	}
}
