package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/discovery"
)

// pipes is a network within a test's bubble, whose connections can be cut at any byte.
type pipes struct {
	conns  chan net.Conn
	mu     sync.Mutex
	open   map[*cutConn]bool
	budget int // bytes until those that are open are cut; -1 is never
	down   bool
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), open: map[*cutConn]bool{}, budget: -1}
}

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// serve lets h answer until the test ends.
func (p *pipes) serve(t *testing.T, h http.Handler) {
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(p)
	}()
	t.Cleanup(func() {
		close(p.conns)
		_ = srv.Close()
		<-done
	})
}

func (p *pipes) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	p.mu.Lock()
	down := p.down
	p.mu.Unlock()
	if down || addr != "kube.test:80" {
		return nil, fmt.Errorf("dial %s: connection refused", addr)
	}
	near, far := net.Pipe()
	c := &cutConn{Conn: far, p: p}
	p.mu.Lock()
	p.open[c] = true
	p.mu.Unlock()
	select {
	case p.conns <- c:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// setDown refuses new connections, or takes them again.
func (p *pipes) setDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
}

// cut ends all connections after so many bytes more.
func (p *pipes) cut(after int) {
	p.mu.Lock()
	p.budget = after
	p.mu.Unlock()
	if after == 0 {
		p.end()
	}
}

func (p *pipes) end() {
	p.mu.Lock()
	p.budget = -1
	open := slices.Collect(maps.Keys(p.open))
	clear(p.open)
	p.mu.Unlock()
	for _, c := range open {
		_ = c.Conn.Close()
	}
}

type cutConn struct {
	net.Conn
	p *pipes
}

func (c *cutConn) Write(b []byte) (int, error) {
	c.p.mu.Lock()
	left := c.p.budget
	if left >= 0 {
		c.p.budget = max(0, left-len(b))
	}
	c.p.mu.Unlock()
	if left < 0 || len(b) < left {
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:left])
	c.p.end()
	return n, net.ErrClosed
}

// memory is a sink that keeps what it is told, and holds it against the promises of discovery.Sink.
type memory struct {
	t      *testing.T
	mu     sync.Mutex
	parts  map[string][]discovery.Found
	calls  []string
	errs   []error
	onPart func(name string, before, now []discovery.Found)
}

func (m *memory) Part(name string, found []discovery.Found) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, "part "+name)
	for i := 1; i < len(found); i++ {
		if found[i-1].ID >= found[i].ID {
			m.t.Errorf("part %s: %s before %s", name, found[i-1].ID, found[i].ID)
		}
	}
	if m.onPart != nil {
		m.onPart(name, m.parts[name], found)
	}
	m.parts[name] = found
}

func (m *memory) Whole(parts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, "whole")
	if !slices.IsSorted(parts) {
		m.t.Errorf("whole %v", parts)
	}
	for name := range m.parts {
		if !slices.Contains(parts, name) {
			if m.onPart != nil {
				m.onPart(name, m.parts[name], nil)
			}
			delete(m.parts, name)
		}
	}
}

func (m *memory) Alive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, "alive")
}

func (m *memory) Failed(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, "failed")
	m.errs = append(m.errs, err)
}

// told is the calls since it was asked last.
func (m *memory) told() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := strings.Join(m.calls, ", ")
	m.calls = nil
	return calls
}

// failed is the failures since it was asked last.
func (m *memory) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	errs := m.errs
	m.errs = nil
	return errors.Join(errs...)
}

// see is what the sink has, as "part: id=state ...".
func (m *memory) see() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(m.parts)) {
		line := name + ":"
		for _, f := range m.parts[name] {
			line += fmt.Sprintf(" %s=%s", f.ID, f.State)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// bed is a double that is watched.
type bed struct {
	*double
	*memory
	t *testing.T
}

// watched runs test in a bubble with a source of c watching a double; prepare may be nil.
func watched(t *testing.T, c Config, prepare func(*double), test func(*bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDouble(t)
		if prepare != nil {
			prepare(d)
		}
		c.Server, c.Dial = "http://kube.test", d.dial
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{double: d, memory: &memory{t: t, parts: map[string][]discovery.Found{}}, t: t}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Watch(ctx, b.memory)
		}()
		synctest.Wait()
		test(b)
		cancel()
		<-done
		b.memory.told()
		synctest.Wait()
		if told := b.memory.told(); told != "" {
			t.Errorf("told after the end: %s", told)
		}
	})
}

// pass lets the bubble's time pass.
func (b *bed) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// sees wants the sink to have this, now.
func (b *bed) sees(want string) {
	b.t.Helper()
	synctest.Wait()
	if got := b.see(); got != want {
		b.t.Errorf("the sink has\n%s\nand should have\n%s", got, want)
	}
}

// one is a slice of a service in namespace shop with pods, as "web-1" or "web-1=terminating".
func one(name, service string, pods ...string) *apiSlice {
	eighty := 8080
	s := &apiSlice{
		Metadata:    apiMeta{Name: name, Namespace: "shop", Labels: map[string]string{serviceLabel: service, "team": "web"}},
		AddressType: IPv4, Endpoints: []apiEndpoint{}, Ports: []apiPort{{Name: "http", Protocol: "TCP", Port: &eighty}},
	}
	for _, p := range pods {
		s.Endpoints = append(s.Endpoints, pod(p))
	}
	return s
}

// modes are the conditions that an endpoint slice controller writes.
var modes = map[string]map[string]bool{
	"":            {"ready": true, "serving": true, "terminating": false},
	"unready":     {"ready": false, "serving": false, "terminating": false},
	"terminating": {"ready": false, "serving": true, "terminating": true},
	"ending":      {"ready": false, "serving": false, "terminating": true},
}

func pod(text string) apiEndpoint {
	name, mode, _ := strings.Cut(text, "=")
	n := 0
	for _, c := range name {
		n = (n*31 + int(c)) % 65000
	}
	return apiEndpoint{
		Addresses: []string{fmt.Sprintf("10.1.%d.%d", n/256, n%256)}, Conditions: modes[mode],
		TargetRef: &apiRef{Kind: "Pod", Namespace: "shop", Name: name},
	}
}
