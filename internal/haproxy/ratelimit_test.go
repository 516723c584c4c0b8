package haproxy_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// gate is a HAProxy with rate limits that is changed while it runs.
type gate struct {
	proxy
	t       *testing.T
	dir     string
	version haproxy.Version
	node    ir.Node
	config  haproxy.Config
}

// hour is long enough that nothing is forgotten during a test.
const hour = weir.Duration(time.Hour)

func limit(name, count string, soft, hard int) ir.RateLimit {
	l := ir.RateLimit{Name: name, RateLimit: weir.RateLimit{Count: count, Period: hour}}
	if count == weir.CountConcurrent {
		l.Period = 0
	}
	if soft >= 0 {
		l.Soft = &weir.SoftLimit{Above: soft}
	}
	if hard >= 0 {
		l.Hard = &weir.HardLimit{Above: hard}
	}
	l.Normalize()
	return l
}

// limited gives a node's sites their limits, which are those of the node.
func limited(sites map[string][]string, limits ...ir.RateLimit) func(*ir.Node) {
	return func(n *ir.Node) {
		n.Limits = limits
		for i := range n.Sites {
			n.Sites[i].RateLimits = sites[n.Sites[i].Name]
		}
	}
}

func startGate(t *testing.T, h weirtest.HAProxy, edit func(*ir.Node)) *gate {
	t.Helper()
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{proxy: proxy{prefix: weirtest.Prefix(t), origins: map[byte]*weirtest.Origin{}}, t: t, dir: weirtest.TempDir(t), version: version}
	g.node = testNode(g.prefix)
	for i := range g.node.Pools {
		g.node.Pools[i].Check = weir.HealthCheck{Type: "none"}
	}
	edit(&g.node)
	for host, name := range map[byte]string{33: "api", 35: "web1", 36: "web2"} {
		g.origins[host] = weirtest.NewOrigin(t, g.addr(host, 9000))
		g.origins[host].Name = name
	}
	g.tcp = weirtest.NewTCPOrigin(t, g.addr(34, 9000), "hello\n")
	g.config = haproxy.Render(g.node, haproxy.Env{Version: version})
	writeFiles(t, g.dir, g.config)
	if err := os.WriteFile(filepath.Join(g.dir, haproxy.StateFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := weirtest.Command(t, "sh", "-c", "cd "+g.dir+" && exec "+h.Path+" -W -db -S unix@"+g.dir+"/run/master.sock -f haproxy.cfg")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if status, _, all := g.get(t, 17, "GET / HTTP/1.1\r\nHost: unknown\r\nConnection: close\r\n\r\n"); status != 404 {
			return fmt.Errorf("%s\n%s", all, run.Output())
		}
		return nil
	})
	return g
}

// tell gives what HAProxy answers to a command at one of its sockets.
func (g *gate) tell(socket, command string) string {
	g.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(g.dir, socket))
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		g.t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(answer)
}

// change changes the node and brings the maps of the running HAProxy to it; a change of text is an error.
func (g *gate) change(edit func(*ir.Node)) {
	g.t.Helper()
	before := g.config
	edit(&g.node)
	g.config = haproxy.Render(g.node, haproxy.Env{Version: g.version})
	if was, _ := (haproxy.Config{Sections: before.Sections}).Text(); was != sectionsOf(g.config) {
		g.t.Fatal("the change takes a reload")
	}
	for i, m := range g.config.Maps {
		if m.Text() == before.Maps[i].Text() {
			continue
		}
		command := "clear map " + m.Path
		for _, e := range m.Entries {
			command += "; add map " + m.Path + " " + e.Key + " " + e.Value
		}
		if said := strings.TrimSpace(g.tell(haproxy.AdminSocket, command)); said != "" {
			g.t.Fatal(said)
		}
	}
	writeFiles(g.t, g.dir, g.config)
}

func sectionsOf(c haproxy.Config) string {
	text, _ := haproxy.Config{Sections: c.Sections}.Text()
	return text
}

// ask sends a request for a host from an address of loopback, with further header lines, and gives the status, 0 when
// the connection was closed without an answer, and what was answered.
func (g *gate) ask(from byte, host, path string, headers ...string) (int, string) {
	g.t.Helper()
	at := netip.MustParseAddrPort(g.addr(from, 0))
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(at)}
	conn, err := dialer.Dial("tcp", g.addr(17, 8080))
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	return askOver(g.t, conn, host, path, append(headers, "Connection: close")...)
}

func askOver(t *testing.T, conn net.Conn, host, path string, headers ...string) (int, string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: " + host}, headers...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	var status int
	_, rest, _ := strings.Cut(string(answer), " ")
	_, _ = fmt.Sscanf(rest, "%d", &status)
	return status, string(answer)
}

// wantAll asks several times in a row.
func (g *gate) want(from byte, host, path string, want ...int) {
	g.t.Helper()
	var got []int
	for range want {
		status, _ := g.ask(from, host, path)
		got = append(got, status)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		g.t.Errorf(".%d asks for %s%s: %v, want %v", from, host, path, got, want)
	}
}

// Requests by the client's address: fine, then a page, then nothing; levels, mode and whom it spares change while
// HAProxy runs, other clients and other sites feel nothing, and a reload forgets nothing.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := limit("edge", weir.CountRequests, 2, 4)
		g := startGate(t, h, func(n *ir.Node) {
			limited(map[string][]string{"www": {"edge"}, "rich": {"edge"}}, l)(n)
			n.Lists = []ir.AccessList{{Name: "staff", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
			n.Pages = append(n.Pages, ir.Page{Name: "busy", ContentType: "text/plain", Body: "easy now"})
		})
		limits := func(edit func(*weir.RateLimit)) {
			t.Helper()
			edit(&l.RateLimit)
			g.change(func(n *ir.Node) { n.Limits = []ir.RateLimit{l} })
		}
		g.want(50, "www.example", "/api", 200, 200, 429, 429, 0, 0)
		g.want(51, "www.example", "/api", 200, 200, 429)
		g.want(50, "rich.example", "/", 200, 200, 429) // each site for itself
		limits(func(l *weir.RateLimit) {
			l.Soft, l.Hard = &weir.SoftLimit{Above: 8, Status: 503, ErrorPage: "busy"}, nil
		})
		g.want(50, "www.example", "/", 200, 200, 503)
		if status, all := g.ask(50, "www.example", "/"); status != 503 || !strings.HasSuffix(all, "\r\n\r\neasy now") || !strings.Contains(strings.ToLower(all), "content-type: text/plain\r\n") {
			t.Errorf("the page of the limit: %s", all)
		}
		limits(func(l *weir.RateLimit) { l.Mode = weir.LimitShadow })
		g.want(50, "www.example", "/", 200, 200)
		limits(func(l *weir.RateLimit) { l.Mode = weir.LimitEnforce })
		g.want(50, "www.example", "/", 503)
		limits(func(l *weir.RateLimit) { l.Exempt = []string{"staff"} })
		g.want(50, "www.example", "/", 200)
		limits(func(l *weir.RateLimit) { l.Exempt = nil })
		g.want(50, "www.example", "/", 503)

		counted := func() string {
			rates := regexp.MustCompile(`http_req_rate\(\d+\)=\d+`).FindAllString(g.tell(haproxy.AdminSocket, "show table limits/3600s"), -1)
			return strings.Join(rates, " ")
		}
		before := counted()
		if !strings.Contains(before, "=14") {
			t.Errorf("counted %s", before)
		}
		g.tell("run/master.sock", "reload")
		weirtest.Eventually(t, weirtest.Patience, func() error {
			if after := counted(); len(after) != len(before) {
				return fmt.Errorf("before the reload %s, after it %s", before, after)
			}
			return nil
		})
		g.want(50, "www.example", "/", 503)
		g.want(51, "www.example", "/", 200)
	})
}
