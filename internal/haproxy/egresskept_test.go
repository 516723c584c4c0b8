package haproxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// closesKept is a partner that answers the first request of each connection, and closes it at the second; connections are
// counted. Of /gone it closes each.
type closesKept struct{ connections atomic.Int32 }

func (p *closesKept) serve(conn net.Conn) {
	defer conn.Close()
	p.connections.Add(1)
	in := bufio.NewReader(conn)
	for i := 0; ; i++ {
		r, err := http.ReadRequest(in)
		if err != nil || i > 0 || r.URL.Path == "/gone" {
			return
		}
		if r.Header.Get("Upgrade") != "" {
			says(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello")
			return
		}
		says(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

// A partner that closes a kept connection as a call is sent over it: where that call is not made again, HAProxy closes the
// caller's connection without an answer and a log line, and counts; where it is made again in vain, and at a level whose calls
// have connections of their own, it answers.
func TestCallsOverKeptConnections(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		g := startGate(t, h, func(n *ir.Node) {
			calling(hostsOf(n), weir.EgressRule{Clients: []string{"myback-prod"}, SLAs: []string{"again", "high", "own"}})(n)
			own := ir.SLA{Name: "own", SLA: weir.SLA{Connections: weir.ConnectionsOwn}}
			again := ir.SLA{Name: "again", SLA: weir.SLA{Retries: &weir.SLARetries{Methods: weir.RetryAll}}}
			own.Normalize()
			again.Normalize()
			n.SLAs = append(n.SLAs, own, again)
			slices.SortFunc(n.SLAs, func(a, b ir.SLA) int { return strings.Compare(a.Name, b.Name) })
		})
		partner := &closesKept{}
		meets(t, g.addr(37, 9000), nil, partner.serve)
		conn, in := g.begin("own", "POST /high/", "Content-Length: 0")
		defer func() { conn.Close() }()
		call := func(level, path string) (int, string, error) {
			says(conn, "POST /myback/prod/example/prod/own/"+level+path+" HTTP/1.1\r\nHost: egress.inside\r\nContent-Length: 0\r\n\r\n")
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				return 0, "", err
			}
			body, err := io.ReadAll(answer.Body)
			return answer.StatusCode, string(body), err
		}
		if answer, _ := wholeAnswer(t, in); answer.StatusCode != 200 {
			t.Fatal(answer.StatusCode)
		}
		if status, _, err := call("high", "/"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("over a connection that the partner closes: %d, %v", status, err)
		}
		if n := g.counted("example.prod.own", haproxy.ResponseErrors); n != 1 {
			t.Errorf("%d response errors are counted", n)
		}
		conn, in = g.begin("own", "POST /high/", "Content-Length: 0")
		if answer, _ := wholeAnswer(t, in); answer.StatusCode != 200 {
			t.Fatal(answer.StatusCode)
		}
		if status, _, err := call("again", "/"); status != 200 || err != nil {
			t.Errorf("made again: %d, %v", status, err)
		}
		if status, body, err := call("again", "/gone"); status != 502 || !strings.HasPrefix(body, "example/prod/own broke off") {
			t.Errorf("made again in vain: %d %q, %v", status, body, err)
		}
		conn, in = g.begin("own", "POST /high/", "Content-Length: 0") // which leaves a connection that is kept
		if answer, _ := wholeAnswer(t, in); answer.StatusCode != 200 {
			t.Fatal(answer.StatusCode)
		}
		before := partner.connections.Load()
		for i := range 3 {
			if status, _, err := call("own", "/"); status != 200 || err != nil {
				t.Errorf("call %d by a connection of its own: %d, %v", i, status, err)
			}
		}
		if status, body, err := call("own", "/gone"); status != 502 || !strings.HasPrefix(body, "example/prod/own broke off") {
			t.Errorf("a call that fails by a connection of its own: %d %q, %v", status, body, err)
		}
		if n := partner.connections.Load() - before; n != 4 {
			t.Errorf("%d connections were made for four calls", n)
		}
		_, in = g.begin("own", "GET /own/", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		if answer, err := http.ReadResponse(in, nil); err != nil || answer.StatusCode != 101 || !hears(in, "hello") {
			t.Errorf("a WebSocket: %+v, %v", answer, err)
		}
	})
}

// counted gives a counter of a pool's backend.
func (g *gate) counted(pool string, counter haproxy.Counter) (n uint64) {
	g.t.Helper()
	rows, err := haproxy.ParseCounters(g.tell("run/admin.sock", "show stat"))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, row := range rows {
		if row.Service == "BACKEND" && haproxy.BaseName(row.Proxy) == pool {
			n += row.Counters[counter]
		}
	}
	return n
}
