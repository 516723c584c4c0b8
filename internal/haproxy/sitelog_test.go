package haproxy_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// logged is what these tests have in a line of the log.
type logged struct {
	Route  string             `json:"ro"`
	Path   string             `json:"u"`
	Status int                `json:"st"`
	Asked  map[string]*string `json:"rq"`
	Given  map[string]*string `json:"rs"`
}

// logReader collects lines that HAProxy sends.
type logReader struct {
	conn  net.PacketConn
	lines []logged
}

func newLogReader(t *testing.T, addr string) *logReader {
	t.Helper()
	conn, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(weirtest.Patience))
	return &logReader{conn: conn}
}

// line waits for that of a path.
func (r *logReader) line(t *testing.T, path string) logged {
	t.Helper()
	for {
		if i := slices.IndexFunc(r.lines, func(l logged) bool { return l.Path == path }); i >= 0 {
			return r.lines[i]
		}
		b := make([]byte, 16<<10)
		n, _, err := r.conn.ReadFrom(b)
		if err != nil {
			t.Fatalf("no line of %s: %v", path, err)
		}
		var l logged
		if err := json.Unmarshal(b[:n], &l); err == nil {
			r.lines = append(r.lines, l)
		}
	}
}

// value gives what was captured, "-" for nothing.
func value(of map[string]*string, name string) string {
	if v := of[name]; v != nil && *v != "" {
		return *v
	}
	return "-"
}

// talkative is an origin that says more than clients are to know.
func talkative(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{"X-Request-Guid": "guid-0123456789-guid-0123456789-guid", "X-Sql-Count": "7", "x-sql-time": "12ms", "X-Public": "yes"} {
			w.Header().Set(name, value)
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
}

// TestHeadersAreCapturedAndStripped: of sites that ask for it, whatever others of the group ask.
func TestHeadersAreCapturedAndStripped(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		var lines *logReader
		env := &haproxy.Env{Log: haproxy.Log{
			HTTPFormat: `{"ro":%{+json}[var(txn.route)],"u":%{+json}HPO,"st":%ST}`, TCPFormat: "{}", ErrorFormat: "{}",
		}}
		p := startProxyIn(t, h, env, func(n *ir.Node) {
			at := n.Pools[0].Servers[0].Address.Addr()
			lines = newLogReader(t, netip.AddrPortFrom(at, 5140).String())
			talkative(t, netip.AddrPortFrom(at, 9300).String())
			n.Pools = append(n.Pools, ir.Pool{Name: "talk", Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Servers: []ir.Server{{Name: "s", Address: netip.AddrPortFrom(at, 9300), Weight: 1}}})
			for name, log := range map[string]*weir.SiteLog{
				"all":   {RequestHeaders: map[string]int{"User-Agent": 12, "X-Trace": 5}, ResponseHeaders: map[string]int{"X-Request-Guid": 8}, Strip: []string{"X-Sql-Count", "X-SQL-Time"}},
				"agent": {RequestHeaders: map[string]int{"user-agent": 8}, ResponseHeaders: map[string]int{"x-sql-count": 4}, Strip: []string{"x-sql-count"}},
				"none":  nil,
			} {
				n.Sites = append(n.Sites, ir.Site{
					Name: name, Mode: "http", Hostnames: []string{name + ".talk.example"}, Addresses: []string{"vip1"}, Log: log,
					Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: "talk"}},
				})
			}
			env.Log.Target = "log udp4@" + lines.conn.LocalAddr().String() + " len 16384 format raw local0 info"
		})
		for _, c := range []struct{ host, agent, trace, guid, count, stripped, kept string }{
			{"all.talk.example", "weir/1 (a te", "abcde", "guid-012", "-", "x-sql-count x-sql-time", "x-public x-request-guid"},
			{"agent.talk.example", "weir/1 (a te", "-", "-", "7", "x-sql-count", "x-sql-time x-request-guid"},
			{"none.talk.example", "-", "-", "-", "-", "", "x-sql-count x-sql-time"},
			{"none.talk.example.", "-", "-", "-", "-", "", "x-sql-count x-sql-time"}, // the long way
		} {
			path := "/" + strings.ReplaceAll(c.host, ".", "/")
			status, _, head := p.get(t, 17, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weir/1 (a test)\r\nX-Trace: abcdefg\r\nConnection: close\r\n\r\n", path, c.host))
			head = strings.ToLower(head)
			if status != 200 {
				t.Fatalf("%s: %s", c.host, head)
			}
			for _, name := range strings.Fields(c.stripped) {
				if strings.Contains(head, "\n"+name+":") {
					t.Errorf("%s: %s was not stripped:\n%s", c.host, name, head)
				}
			}
			for _, name := range strings.Fields(c.kept) {
				if !strings.Contains(head, "\n"+name+":") {
					t.Errorf("%s: %s is missing:\n%s", c.host, name, head)
				}
			}
			l := lines.line(t, path)
			for what, pair := range map[string][2]string{
				"user-agent": {value(l.Asked, "user-agent"), c.agent}, "x-trace": {value(l.Asked, "x-trace"), c.trace},
				"x-request-guid": {value(l.Given, "x-request-guid"), c.guid}, "x-sql-count": {value(l.Given, "x-sql-count"), c.count},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %s is logged as %q, want %q", c.host, what, pair[0], pair[1])
				}
			}
		}
	})
}
