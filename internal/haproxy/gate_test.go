package haproxy_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
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
	env     haproxy.Env
	node    ir.Node
	config  haproxy.Config
}

func startGate(t *testing.T, h weirtest.HAProxy, edit func(*ir.Node), log ...haproxy.Log) *gate {
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
	env := haproxy.Env{Version: version}
	if len(log) > 0 {
		env.Log = log[0]
	}
	g.env = env
	g.config = haproxy.Render(g.node, env)
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
	g.config = haproxy.Render(g.node, g.env)
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
	conn := g.dial(from, 8080)
	defer conn.Close()
	return askOver(g.t, conn, host, path, append(headers, "Connection: close")...)
}

// dial opens a connection from an address to a port.
func (g *gate) dial(from byte, port int) net.Conn {
	g.t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(g.addr(from, 0)))}
	conn, err := dialer.Dial("tcp", g.addr(17, port))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	return conn
}

func askOver(t *testing.T, conn net.Conn, host, path string, headers ...string) (int, string) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: " + host}, headers...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	return statusOf(string(answer)), string(answer)
}

// want asks several times in a row.
func (g *gate) want(from byte, host, path string, want ...int) {
	g.t.Helper()
	g.wantWith(from, host, path, nil, want...)
}

func (g *gate) wantWith(from byte, host, path string, headers []string, want ...int) {
	g.t.Helper()
	var got []int
	for range want {
		status, _ := g.ask(from, host, path, headers...)
		got = append(got, status)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		g.t.Errorf(".%d asks for %s%s with %v: %v, want %v", from, host, path, headers, got, want)
	}
}
