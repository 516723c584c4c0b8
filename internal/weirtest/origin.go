package weirtest

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// seenLimit bounds how many requests an Origin remembers.
const seenLimit = 10_000

// Seen is a request as it reached an Origin.
type Seen struct {
	Method, Host, URI, Path, Proto, RemoteAddr string

	Header http.Header
}

// Origin is a small HTTP server of the kind that stands behind a load balancer. It tells its
// name in the X-Origin header and the body, counts its requests by path, and can be made
// slow, unhealthy, or be stopped and started again on the same address.
type Origin struct {
	Name string // what X-Origin says: the address, until the test changes it before use
	Addr string // host:port

	// Header is sent with every answer, and Upgrade takes the requests that ask for another protocol; both are set
	// before use.
	Header  http.Header
	Upgrade http.HandlerFunc

	mu     sync.Mutex
	srv    *http.Server
	ended  chan struct{}  // closed when srv has let its listener go
	status map[string]int // by path; "" is every path without a row of its own
	delay  time.Duration
	counts map[string]int
	seen   []Seen
}

// NewOrigin starts an Origin at addr (host:port; port 0 picks one). It ends with the test.
func NewOrigin(t testing.TB, addr string) *Origin {
	t.Helper()
	o := &Origin{status: map[string]int{}, counts: map[string]int{}}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("start origin: %v", err)
	}
	o.Addr = l.Addr().String()
	o.Name = o.Addr
	o.serve(l)
	t.Cleanup(o.Stop)
	return o
}

func (o *Origin) serve(l net.Listener) {
	o.mu.Lock()
	defer o.mu.Unlock()
	srv, ended := &http.Server{Handler: o}, make(chan struct{})
	o.srv, o.ended = srv, ended
	go func() {
		defer close(ended)
		srv.Serve(l) // ends with Stop
	}()
}

// ServeHTTP answers one request; it is exported for the HTTP server only.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, delay := o.note(r)
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("X-Origin", o.Name)
	if o.Upgrade != nil && r.Header.Get("Upgrade") != "" {
		o.Upgrade(w, r)
		return
	}
	maps.Copy(w.Header(), o.Header)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "%s %s\n", o.Name, r.URL.Path)
	}
}

func (o *Origin) note(r *http.Request) (int, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[r.URL.Path]++
	if len(o.seen) == seenLimit {
		o.seen = slices.Delete(o.seen, 0, seenLimit/2)
	}
	o.seen = append(o.seen, Seen{
		Method: r.Method, Host: r.Host, URI: r.RequestURI, Path: r.URL.Path, Proto: r.Proto,
		RemoteAddr: r.RemoteAddr, Header: r.Header.Clone(),
	})
	for _, key := range []string{r.URL.Path, ""} {
		if s, ok := o.status[key]; ok {
			return s, o.delay
		}
	}
	return http.StatusOK, o.delay
}

// Hits returns how many requests have come for the path.
func (o *Origin) Hits(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts[path]
}

// Counts returns how many requests have come, by path.
func (o *Origin) Counts() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.counts)
}

// Requests returns the last requests that came for the path, oldest first; "" means all.
func (o *Origin) Requests(path string) []Seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []Seen
	for _, s := range o.seen {
		if path == "" || s.Path == path {
			out = append(out, s)
		}
	}
	return out
}

// SetStatus makes the origin answer the path with the status, so that a check of one path
// can fail alone; path "" means every path without a status of its own.
func (o *Origin) SetStatus(path string, status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.status[path] = status
}

// SetHealthy makes the origin answer every path with 200, or with 503, and forgets what
// SetStatus said.
func (o *Origin) SetHealthy(healthy bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.status)
	if !healthy {
		o.status[""] = http.StatusServiceUnavailable
	}
}

// SetDelay makes every later answer wait for d first.
func (o *Origin) SetDelay(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.delay = d
}

// Stop closes the listener and every connection at once; connecting is refused from then on.
func (o *Origin) Stop() {
	o.mu.Lock()
	srv, ended := o.srv, o.ended
	o.srv = nil
	o.mu.Unlock()
	if srv != nil {
		srv.Close()
		<-ended
	}
}

// Restart starts a stopped origin on its old address; its counts go on.
func (o *Origin) Restart(t testing.TB) {
	t.Helper()
	o.Stop()
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		t.Fatalf("restart origin: %v", err)
	}
	o.serve(l)
}
