package bench

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

var dataPlaneFigures = []string{
	"dataplane_vs_handwritten_ratio", "dataplane_vs_lean_ratio",
	"dataplane_weir_us", "dataplane_handwritten_us", "dataplane_lean_us",
}

// Slices are short, so that the noise of a busy machine meets all proxies alike.
const (
	connections = 24
	before      = 100              // requests of a slice that don't count: caches are another's
	inSlice     = 300              // requests that do
	measureFor  = 35 * time.Second // all proxies together
)

// contender is a proxy to measure.
type contender struct {
	name    string
	process *weirtest.Process
	addr    netip.AddrPort
	clients *clients
	asks    [][]byte // the requests that it is given by turns
	log     *accesslog.Receiver
	spent   []float64 // processor time of a request in each slice, in microseconds
}

// measureDataPlane sends the same requests to a Weir-made HAProxy, to one with a configuration written by hand
// and to that without retries of requests (lean), in short slices by turns, and compares the processor time that
// they took.
func measureDataPlane(t *testing.T) []figure {
	where := place{weirtest.Prefix(t)}
	l := newLoop(t)
	for _, member := range where.members() {
		l.origin(t, member, answer())
	}
	start := func(name string, port weir.Port, files func(haproxy.Log) []haproxy.File) *contender {
		c := startContender(t, name, files)
		c.addr = netip.AddrPortFrom(where.vip(0), uint16(port))
		return c
	}
	made := start("weir", weirPort, func(log haproxy.Log) []haproxy.File {
		return haproxy.Render(where.node(), haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}, Log: log}).Files()
	})
	written := start("handwritten", handwrittenPort, func(log haproxy.Log) []haproxy.File {
		return where.handwritten(log, handwrittenPort, true, siteNames())
	})
	lean := start("lean", leanPort, func(log haproxy.Log) []haproxy.File { return where.handwritten(log, leanPort, false, siteNames()) })
	apart(t, made.process.Pid(), written.process.Pid(), lean.process.Pid())
	compare(t, l, []*contender{made, written, lean}, measureFor)
	return []figure{
		{dataPlaneFigures[0], written.against(made), "ratio"},
		{dataPlaneFigures[1], lean.against(made), "ratio"},
		{dataPlaneFigures[2], median(made.spent), "us"},
		{dataPlaneFigures[3], median(written.spent), "us"},
		{dataPlaneFigures[4], median(lean.spent), "us"},
	}
}

// against gives what a request costs c, as a part of what it costs another in the slice beside.
func (c *contender) against(other *contender) float64 {
	ratios := make([]float64, len(c.spent))
	for i := range ratios {
		ratios[i] = c.spent[i] / other.spent[i]
	}
	return median(ratios)
}

// compare measures the contenders by turns, each round in another order, and looks at their logs afterwards.
func compare(t *testing.T, l *loop, list []*contender, total time.Duration) {
	t.Helper()
	// Nobody asks before the checks have let the servers in: a zone that is asked for what it does not have counts as one that
	// has died, and for some 20 s nothing takes the short way.
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		if err := l.turn(time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range list {
		c.ready(t, l)
	}
	for _, c := range list {
		var err error
		if c.clients, err = l.dial(c.addr, connections, c.asks, len(body)); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	warm := time.Now().Add(3 * time.Second) // until every server has been found healthy
	for end := warm.Add(total); time.Now().Before(end); {
		counts := time.Now().After(warm)
		for i := range list {
			i = (i + asked) % len(list)
			if asked/len(list)%2 == 1 {
				i = len(list) - 1 - i
			}
			list[i].slice(t, counts)
		}
		asked++
	}
	for _, c := range list {
		c.checkLog(t, asked*(before+inSlice))
	}
}

// slice asks for a number of things and notes what that cost.
func (c *contender) slice(t *testing.T, counts bool) {
	t.Helper()
	ask := func(requests int) time.Duration {
		if err := c.clients.ask(requests, 10*time.Second); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, c.process.Output())
		}
		spent, err := cpuTime(c.process.Pid())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		return spent
	}
	start := ask(before)
	if spent := ask(inSlice) - start; counts {
		c.spent = append(c.spent, float64(spent.Nanoseconds())/1000/inSlice)
	}
}

// checkLog shows that the lines came and say what they should: a proxy that logs less would win.
func (c *contender) checkLog(t *testing.T, requests int) {
	t.Helper()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if n := c.log.Snapshot(); n.Lines+n.Lost < uint64(requests) || n.Malformed > 0 {
			return fmt.Errorf("%s: %d lines of %d requests came, %d were lost, %d malformed", c.name, n.Lines, requests, n.Lost, n.Malformed)
		}
		return nil
	})
	for _, e := range c.log.Recent(accesslog.Filter{}, 100) {
		if e.Site == "" || e.Host != hostOf(e.Site) || e.Route == "" || e.Path == "" || e.Server == "" || e.Status != 200 {
			t.Fatalf("%s: the log says of a request: %+v", c.name, e)
		}
	}
}

// ready waits until the proxy answers all requests.
func (c *contender) ready(t *testing.T, l *loop) {
	t.Helper()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		select {
		case <-c.process.Done():
			t.Fatalf("%s has ended", c.name)
		default:
		}
		for range 200 { // the checks want answers
			if err := l.turn(time.Millisecond); err != nil {
				return err
			}
		}
		for probe := range requests("www") {
			conn, err := l.dial(c.addr, 1, c.asks[probe:probe+1], len(body))
			if err != nil {
				return err
			}
			err = conn.ask(1, time.Second)
			conn.close()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		return nil
	})
}

// startContender runs HAProxy with files that are given the access log's directive and formats.
func startContender(t *testing.T, name string, files func(haproxy.Log) []haproxy.File) *contender {
	t.Helper()
	token := accesslog.NewToken()
	receiver, err := accesslog.Listen("127.0.0.1:0", token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { receiver.Close() })
	dir := weirtest.TempDir(t)
	for _, f := range files(haproxy.Log{
		Target:      accesslog.LogTarget(receiver.Addr()),
		HTTPFormat:  accesslog.HTTPFormat(token),
		TCPFormat:   accesslog.TCPFormat(token),
		ErrorFormat: accesslog.ErrorFormat(token),
	}) {
		path := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.Content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := weirtest.HAProxies(t)[0].Path
	return &contender{name: name, asks: requests("www"), log: receiver, process: weirtest.Command(t, "sh", "-c", "mkdir -p "+dir+"/run && cd "+dir+" && exec "+binary+" -db -f haproxy.cfg")}
}

// handwritten fills in what depends on the test: addresses, and the sites, of which there are many alike.
func (p place) handwritten(log haproxy.Log, port weir.Port, retries bool, sites []string) []haproxy.File {
	type server struct {
		Name    string
		Address netip.AddrPort
		Backup  bool
	}
	type backend struct {
		Name    string
		Servers []server
	}
	var data struct {
		Log, Format, VIP string
		Port             weir.Port
		Retries          bool
		Backends         []backend
	}
	data.Log, data.VIP, data.Port, data.Retries = log.Target, p.vip(0).String(), port, retries
	// Here a backend is a route, and so the line can say its name.
	const route = `%{+json}[var(txn.route)]`
	if !strings.Contains(log.HTTPFormat, route) {
		panic("the access log's format has no " + route + ": the hand-written configuration would log another one")
	}
	data.Format = strings.Replace(log.HTTPFormat, route, `"%[var(txn.site)]/%b"`, 1)
	var hosts strings.Builder
	for _, site := range sites {
		fmt.Fprintln(&hosts, hostOf(site), site)
		for _, name := range backendsOf(site) {
			b := backend{Name: strings.TrimSuffix(site+"-"+name, "-default")}
			for zone := range zones {
				for _, s := range p.pool(site, name, zones[zone]).Servers {
					b.Servers = append(b.Servers, server{s.Name, s.Address, zone > 0})
				}
			}
			data.Backends = append(data.Backends, b)
		}
	}
	var cfg strings.Builder
	if err := template.Must(template.ParseFiles("testdata/handwritten.cfg")).Execute(&cfg, data); err != nil {
		panic(err)
	}
	return []haproxy.File{{Path: "haproxy.cfg", Content: cfg.String()}, {Path: "hosts.map", Content: hosts.String()}, {Path: haproxy.StateFile}}
}

const body = "<!doctype html><title>bench</title><p>" +
	"A page of a few hundred bytes, as an interface or a small page has; what is in it is all the same to a proxy. " +
	"A page of a few hundred bytes, as an interface or a small page has; what is in it is all the same to a proxy. " +
	"A page of a few hundred bytes, as an interface or a small page has; what is in it is all the same to a proxy.\n"

// answer is what the origin says to everything, checks included.
func answer() []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: max-age=60\r\nETag: \"5f3a-12\"\r\n\r\n%s", len(body), body)
}

// requests are as a browser sends them: one for the site, two for its prefixes.
func requests(site string) [][]byte {
	var list [][]byte
	for _, path := range []string{"/", "/api/carts/4711?full=1", "/static/app.3f2b.css"} {
		list = append(list, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n"+
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"+
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"+
			"Accept-Language: en-GB,en;q=0.7\r\nAccept-Encoding: gzip, deflate, br\r\n"+
			"Cookie: session=9f2a77c0b1d84e3f; theme=light\r\n\r\n", path, hostOf(site)))
	}
	return list
}
