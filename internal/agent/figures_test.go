package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/tally"
	"weir/internal/weirtest"
)

// counting are origins and clients that know what HAProxy must have counted.
type counting struct {
	t      *testing.T
	vip    netip.Addr
	origin *weirtest.Origin
	// echoed is how many bytes came through the tcp pool, each way.
	echoed atomic.Uint64
	most   map[string]tally.Row
}

// newCounting gives a load balancer a site with requests and one with plain connections.
func newCounting(a *agentBed) *counting {
	c := &counting{t: a.t, vip: a.at(17), most: map[string]tally.Row{}}
	server := func(host byte) ir.Server {
		return ir.Server{Name: fmt.Sprintf("s%d", host), Address: netip.AddrPortFrom(a.at(host), 9000), Weight: 100}
	}
	c.origin = weirtest.NewOrigin(a.t, server(40).Address.String())
	l, err := net.Listen("tcp", server(41).Address.String())
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); conn.Close() }()
		}
	}()
	a.node.Tuning.Ports = append(a.node.Tuning.Ports, weir.BoundPort{Port: 3890, Mode: weir.PortTCP})
	check := weir.HealthCheck{Type: "tcp", Interval: weir.Duration(100 * time.Millisecond), Rise: 1, Fall: 3}
	a.node.Pools = append(a.node.Pools,
		ir.Pool{Name: "web", Mode: "http", Balance: "roundrobin", Check: check, Servers: []ir.Server{server(40)}},
		ir.Pool{Name: "db", Mode: "tcp", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Servers: []ir.Server{server(41)}})
	a.node.Sites = append(a.node.Sites,
		ir.Site{Name: "db", Mode: "tcp", Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 3890, Mode: weir.PortTCP}}, Backends: []ir.Backend{{Name: "default", Pool: "db"}}},
		ir.Site{Name: "web", Mode: "http", Hostnames: []string{"web.example"}, Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: "web"}}})
	return c
}

// traffic sends requests over kept connections until the function that it gives is called; then all have been answered.
func (c *counting) traffic() (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: longWait}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				request, err := http.NewRequest(http.MethodGet, "http://"+netip.AddrPortFrom(c.vip, 8080).String()+"/counted", nil)
				if err != nil {
					c.t.Error(err)
					return
				}
				request.Host = "web.example"
				answer, err := client.Do(request)
				if err != nil {
					c.t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		})
	}
	return func() { cancel(); clients.Wait() }
}

// connect begins a connection that echoes.
func (c *counting) connect() net.Conn {
	c.t.Helper()
	conn, err := net.Dial("tcp", netip.AddrPortFrom(c.vip, 3890).String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

func (c *counting) echo(conn net.Conn, n int) {
	c.t.Helper()
	if err := conn.SetDeadline(time.Now().Add(longWait)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, n)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, n)); err != nil {
		c.t.Fatal(err)
	}
	c.echoed.Add(uint64(n))
}

// watch holds that no sum ever goes back in what is told, and gives what was told last.
func (c *counting) watch(r link.Report) (f tally.Figures, err error) {
	if err := json.Unmarshal(r.Figures, &f); err != nil {
		return f, err
	}
	now := maps.Clone(f.Pools)
	maps.Copy(now, f.Frontends)
	now["total"] = f.Total
	for pool, servers := range f.Servers {
		for name, row := range servers {
			now[pool+"/"+name] = row
		}
	}
	for name, row := range now {
		for i, n := range row.Counters {
			if before := c.most[name].Counters[i]; n < before {
				c.t.Fatalf("%s of %s goes back from %d to %d", haproxy.Counter(i), name, before, n)
			}
		}
		c.most[name] = row
	}
	return f, nil
}

// settled waits until what is told is what the origins know.
func (c *counting) settled(a *agentBed) {
	c.t.Helper()
	a.await(func(r link.Report) error {
		f, err := c.watch(r)
		if err != nil {
			return err
		}
		requests, bytes := uint64(0), c.echoed.Load()
		for _, n := range c.origin.Counts() {
			requests += uint64(n)
		}
		web, db := f.Pools["web"].Counters, f.Pools["db"].Counters
		for what, pair := range map[string][2]uint64{
			"requests": {web[haproxy.Requests], requests}, "answers": {web[haproxy.Responses2xx], requests},
			"answers of the server": {f.Servers["web"]["s40"].Counters[haproxy.Responses2xx], requests},
			"requests of the port":  {f.Frontends["http-8080"].Counters[haproxy.Requests], requests},
			"bytes in":              {db[haproxy.BytesIn], bytes}, "bytes out": {db[haproxy.BytesOut], bytes},
			"bytes of the server": {f.Servers["db"]["s41"].Counters[haproxy.BytesOut], bytes},
			"bytes of the port":   {f.Frontends["tcp-3890"].Counters[haproxy.BytesIn], bytes},
			"bytes in all":        {f.Total.Counters[haproxy.BytesIn], bytes + web[haproxy.BytesIn]},
		} {
			if pair[0] != pair[1] {
				return fmt.Errorf("%s: %d, want %d", what, pair[0], pair[1])
			}
		}
		return nil
	})
}

// reload lets the agent reload HAProxy.
func (c *counting) reload(a *agentBed) {
	c.t.Helper()
	before := a.plane.report().Reloads.Count
	a.node.Tuning.MaxConnections = 1000 + before
	a.wish()
	if n := a.plane.report().Reloads.Count; n != before+1 {
		c.t.Fatalf("%d reloads, want one more than %d", n, before)
	}
}

// Requests and bytes are counted to the last one over reloads under load, by whomever, while old workers serve on, and
// over an agent that starts anew; a HAProxy that was killed takes nothing with it that was read.
func TestCountersOutliveWorkers(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		dir := weirtest.TempDir(t)
		options := func(o *Options) { o.Dir, o.StopWithAgent, o.CountEvery = dir, false, 20*time.Millisecond }
		first := newAgentBed(t, h, options)
		c := newCounting(first)
		first.wish()
		first.serves("web")
		stop := c.traffic()
		var conns []net.Conn
		for i := range 5 {
			conns = append(conns, c.connect())
			for _, conn := range conns {
				c.echo(conn, 1000+i)
			}
			c.reload(first)
		}
		for _, conn := range conns { // of five old workers
			c.echo(conn, 333)
		}
		if _, err := first.engine.process.Reload(t.Context()); err != nil { // another hand
			t.Fatal(err)
		}
		for _, conn := range conns { // HAProxy counts the bytes of a connection when it ends
			c.echo(conn, 333)
			conn.Close()
		}
		stop()
		c.settled(first)

		stop = c.traffic()
		first.end()
		conn := c.connect()
		c.echo(conn, 4444) // while nobody looks
		conn.Close()
		stop()
		second := newAgentBed(t, h, func(o *Options) { options(o); o.StopWithAgent = true })
		second.node, second.prefix, second.revision = first.node, first.prefix, first.revision
		second.wish()
		c.settled(second)

		second.killMaster()
		second.serves("web")
		stop = c.traffic()
		conn = c.connect()
		c.echo(conn, 777)
		conn.Close()
		stop()
		c.settled(second)
		if files, err := filepath.Glob(filepath.Join(dir, ".*counters*")); err != nil || len(files) > 0 {
			t.Errorf("left behind: %v, %v", files, err)
		}
	})
}

// Old workers end soon after their last connection, although they are witnessed.
func TestOldWorkersEnd(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h)
		c := newCounting(a)
		a.wish()
		conn := c.connect()
		c.echo(conn, 10)
		c.reload(a)
		old := func(want int) {
			t.Helper()
			weirtest.Eventually(t, longWait, func() error {
				proc, err := a.engine.process.Workers(t.Context())
				if err != nil || len(proc.Old) != want {
					return fmt.Errorf("%+v, %v", proc, err)
				}
				return nil
			})
		}
		old(1)
		c.echo(conn, 10)
		conn.Close()
		old(0)
	})
}

// A pool and a server that are removed leave what they counted, to the last request, and may come back.
func TestCountersOfWhatIsRemoved(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h, func(o *Options) { o.CountEvery = time.Hour }) // what is counted is read when it goes
		c := newCounting(a)
		a.wish()
		pools, sites := slices.Clone(a.node.Pools), slices.Clone(a.node.Sites)
		for i := range 3 {
			conn := c.connect()
			c.echo(conn, 1000+i)
			conn.Close()
			a.node.Pools, a.node.Sites = pools[:1], sites[1:]
			a.wish()
			a.node.Pools, a.node.Sites = pools, sites
			a.wish()
		}
		f := a.agent.figures
		weirtest.Eventually(t, longWait, func() error {
			process, servers := a.agent.counted()
			f.look(t.Context(), process, servers, true)
			f.mu.Lock()
			defer f.mu.Unlock()
			sums := f.book.Figures(true)
			for what, n := range map[string]uint64{"pool": sums.Pools["db"].Counters[haproxy.BytesIn], "total": sums.Total.Counters[haproxy.BytesIn]} {
				if n != c.echoed.Load() {
					return fmt.Errorf("%s: %d bytes, want %d", what, n, c.echoed.Load())
				}
			}
			return nil
		})
	})
}
