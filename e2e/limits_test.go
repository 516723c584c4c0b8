package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"weir/internal/weirtest"
)

// TestCookieKeepsAClientAtItsServer: also when servers come, and until its own goes.
func TestCookieKeepsAClientAtItsServer(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		origins := map[string]*weirtest.Origin{}
		for i := range 3 {
			name := fmt.Sprintf("m%d", i)
			origins[name] = w.origin(200+i, name)
		}
		spec := func(n int) string {
			var members []string
			for i := range n {
				members = append(members, fmt.Sprintf("{name: m%d, address: %s, port: 9000}", i, w.at(200+i)))
			}
			return "members: [" + strings.Join(members, ", ") + "], persistence: {cookie: STICK}, slowStart: 1s, healthCheck: {path: /ping, interval: 100ms, rise: 1}"
		}
		w.apply(w.oneZone() + poolSite("stick", spec(2)))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		w.health("stick", "m0", "up")
		w.health("stick", "m1", "up")
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext, Proxy: nil}}
		ask := func() string {
			t.Helper()
			at := url.URL{Scheme: "http", Host: w.at(17).String() + ":8080", Path: "/"}
			request, err := http.NewRequestWithContext(t.Context(), "GET", at.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "stick.example.com"
			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			for _, c := range answer.Cookies() {
				if c.Name != "STICK" || !c.HttpOnly || strings.Contains(c.Value, ":") {
					t.Errorf("cookie %s", c)
				}
			}
			return answer.Header.Get("X-Origin")
		}
		mine := ask()
		w.converged(w.apply(poolSite("stick", spec(3))))
		w.health("stick", "m2", "up")
		for range 20 {
			if got := ask(); got != mine {
				t.Fatalf("a client of %s was sent to %s", mine, got)
			}
		}
		for _, seen := range origins[mine].Requests("/") {
			if c := seen.Header.Get("Cookie"); c != "" {
				t.Errorf("the server was sent the cookie: %s", c)
			}
		}
		origins[mine].SetHealthy(false)
		w.health("stick", mine, "down")
		next := ask()
		for range 10 {
			if got := ask(); got == mine || got != next {
				t.Fatalf("a client of %s, once of %s, was sent to %s", next, mine, got)
			}
		}
	})
}

// TestFullServersAnswerAtOnceOrQueue: perServer bounds what a server is given, queue says what becomes of the rest.
func TestFullServersAnswerAtOnceOrQueue(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		full := newGate(t, w.at(201).String()+":9000")
		spec := func(queue string) string {
			return fmt.Sprintf("members: [{name: m, address: %s, port: 9000}], maxConnections: {perServer: 2}, healthCheck: {type: none}, queue: %s", w.at(201), queue)
		}
		w.apply(w.oneZone() + poolSite("none", spec("none")) + poolSite("some", spec("{timeout: 30s}")))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		at := w.at(17).String() + ":8080"
		for _, c := range []struct {
			host string
			want int // of the third
		}{{"none.example.com", 503}, {"some.example.com", 200}} {
			results := make(chan int, 3)
			for range 2 {
				go func() { results <- status(at, c.host) }()
			}
			full.waits(t, 2)
			go func() { results <- status(at, c.host) }()
			if c.want == 503 {
				if got := <-results; got != 503 {
					t.Errorf("%s: the third request got %d", c.host, got)
				}
			} else {
				w.queued("some", 1)
			}
			full.open()
			for range 3 - map[int]int{503: 1}[c.want] {
				if got := <-results; got != 200 {
					t.Errorf("%s: %d", c.host, got)
				}
			}
			if most := full.most.Load(); most > 2 {
				t.Errorf("%s: the server had %d requests at once", c.host, most)
			}
			full.close()
		}
	})
}

func status(at, host string) int {
	request, err := http.NewRequest("GET", "http://"+at+"/", nil)
	if err != nil {
		return 0
	}
	request.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: waitLong}
	answer, err := client.Do(request)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// queued waits until n requests of a pool are in its queue.
func (w *world) queued(pool string, n int) {
	w.t.Helper()
	client := w.socket(w.agents["lb1"])
	weirtest.Eventually(w.t, waitLong, func() error {
		rows, err := client.Stat(w.t.Context())
		if err != nil {
			return err
		}
		for _, row := range rows {
			if strings.HasPrefix(row.Proxy, pool+".") && row.Queue >= n {
				return nil
			}
		}
		return fmt.Errorf("nothing is queued for %s", pool)
	})
}

// gate is an origin that answers when it is open, and holds requests while it is closed.
type gate struct {
	mu         sync.Mutex
	now        chan struct{} // closed while the gate is open
	held, most atomic.Int64
}

func newGate(t *testing.T, addr string) *gate {
	t.Helper()
	g := &gate{now: make(chan struct{})}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return g
}

// ServeHTTP answers when the gate is open.
func (g *gate) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	n := g.held.Add(1)
	defer g.held.Add(-1)
	for {
		most := g.most.Load()
		if n <= most || g.most.CompareAndSwap(most, n) {
			break
		}
	}
	g.mu.Lock()
	open := g.now
	g.mu.Unlock()
	select {
	case <-open:
	case <-in.Context().Done():
	}
	out.Header().Set("X-Origin", "gate")
}

func (g *gate) open() { g.mu.Lock(); close(g.now); g.mu.Unlock() }

func (g *gate) close() { g.mu.Lock(); g.now = make(chan struct{}); g.mu.Unlock() }

func (g *gate) waits(t *testing.T, n int64) {
	t.Helper()
	weirtest.Eventually(t, waitLong, func() error {
		if got := g.held.Load(); got < n {
			return fmt.Errorf("the server has %d requests", got)
		}
		return nil
	})
}
