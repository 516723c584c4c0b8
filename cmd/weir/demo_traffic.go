package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// demoServers is how many origins a zone has.
const demoServers = 3

func demoServer(zone, n int) string { return fmt.Sprintf("web-az%d-%d", zone, n) }

func (d *demo) originAddress(zone, n int) string { return fmt.Sprintf("%s.%d.%d", d.base, 200+zone, n) }

// startOrigins serves HTTP in each zone, and a banner for the directory's site.
func (d *demo) startOrigins(context.Context) error {
	for zone := 1; zone <= 3; zone++ {
		for n := 1; n <= demoServers+1; n++ {
			if err := d.startOrigin(d.originAddress(zone, n)+":"+strconv.Itoa(d.ports.origin), demoServer(zone, n)); err != nil {
				return err
			}
		}
	}
	for _, host := range []string{".211.9", ".212.9"} {
		l, err := net.Listen("tcp", d.base+host+":9389")
		if err != nil {
			return err
		}
		d.origins = append(d.origins, func() { _ = l.Close() })
		go greet(l)
	}
	return nil
}

func (d *demo) startOrigin(addr, name string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Origin", name)
		_, _ = fmt.Fprintf(w, "%s answers %s\n", name, r.URL.Path)
	})}
	d.origins = append(d.origins, func() { _ = srv.Close() })
	go func() { _ = srv.Serve(l) }()
	return nil
}

func greet(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "hello from the directory\n")
		_ = conn.Close()
	}
}

// traffic is a small steady load on every load balancer.
type traffic struct {
	stop func()

	mu         sync.Mutex
	ok, failed int
	last       string
}

// pace is the pause between two requests to one load balancer.
const pace = 40 * time.Millisecond

// admitted waits until every load balancer answers for every path of the traffic: a server gets no request
// before its first good check.
func (d *demo) admitted(ctx context.Context) error {
	for i := range demoNames() {
		for _, path := range []string{"/", "/api/orders"} {
			err := d.until(ctx, 10*time.Second, func() error {
				return ask(ctx, http.DefaultClient, d.web(i), "www.demo.example", path)
			})
			if err != nil {
				return err
			}
		}
	}
	return d.until(ctx, 10*time.Second, func() error {
		status, err := d.fleet(ctx)
		if err != nil {
			return err
		}
		// What is told comes a moment after what is so, and is what people look at first.
		for _, g := range status.Groups {
			for _, o := range g.NotServing {
				return fmt.Errorf("%s does not serve everywhere yet", o.Object)
			}
		}
		return nil
	})
}

func (d *demo) startTraffic(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	d.traffic = &traffic{stop: func() { cancel(); wg.Wait() }}
	for i := range demoNames() {
		wg.Go(func() { d.traffic.run(ctx, d.web(i)) })
	}
}

// run asks one load balancer again and again, half of the time over a new connection.
func (t *traffic) run(ctx context.Context, addr string) {
	kept := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	defer kept.CloseIdleConnections()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		client, path := kept, "/"
		if n%2 == 1 {
			client = fresh
		}
		if n%3 == 0 {
			path = "/api/orders"
		}
		err := ask(ctx, client, addr, "www.demo.example", path)
		if ctx.Err() != nil {
			return
		}
		t.note(addr, err)
	}
}

func (t *traffic) note(addr string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.ok++
		return
	}
	t.failed++
	t.last = fmt.Sprintf("%s: %v", addr, err)
}

func (t *traffic) counts() (ok, failed int, last string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ok, t.failed, t.last
}

// ask makes one request and wants a 200.
func ask(ctx context.Context, client *http.Client, at, host, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+path, nil)
	if err != nil {
		return err
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answered %s", host, path, resp.Status)
	}
	return nil
}
