package bench

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/weirtest"
)

var ticketFigures = []string{"resumed_share", "resumed_handshakes"}

const (
	ticketClients = 32
	ticketPause   = 100 * time.Millisecond // between two visits of a client
	ticketPort    = 18443
	// The keys change every second; one of two load balancers is killed after killAfter of ticketTime.
	ticketTime, killAfter = 14 * time.Second, 5 * time.Second
	// leastRotations must have been seen in that time: one each second, but that the one that was killed is waited for once.
	leastRotations = 11
)

// returningClient keeps its last session, as browsers do, and counts how often it could go on with it.
type returningClient struct {
	mu       sync.Mutex
	session  *tls.ClientSessionState
	offered  bool
	config   *tls.Config
	returned int // handshakes with a ticket to show
	resumed  int
	err      error // of a visit to the load balancer that nobody kills
}

// Get implements tls.ClientSessionCache.
func (c *returningClient) Get(string) (*tls.ClientSessionState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offered = c.session != nil
	return c.session, c.session != nil
}

// Put implements tls.ClientSessionCache.
func (c *returningClient) Put(_ string, s *tls.ClientSessionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
}

// visit makes one request over a connection of its own.
func (c *returningClient) visit(addr netip.AddrPort) error {
	c.offered = false
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", addr.String(), c.config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if c.offered {
		c.returned++
		if conn.ConnectionState().DidResume {
			c.resumed++
		}
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: p0000.example.com\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// goAround visits the two load balancers in turn until the end; the first of them may be away.
func (c *returningClient) goAround(at [2]netip.AddrPort, end time.Time) {
	beat := time.NewTicker(ticketPause)
	defer beat.Stop()
	for i := 0; time.Now().Before(end); i++ {
		if err := c.visit(at[i%2]); err != nil && i%2 == 1 {
			c.err = fmt.Errorf("visit the load balancer that serves on: %w", err)
			return
		}
		<-beat.C
	}
}

// measureTickets has clients come again and again to two load balancers whose ticket keys change every second, and
// kills one of them. Half of the clients speak TLS 1.2, half 1.3. A handshake counts when the client had a ticket.
func measureTickets(t *testing.T) []figure {
	f := startControlPlane(t, newLoop(t), 2)
	var at [2]netip.AddrPort
	for lb := range at {
		f.startLoadBalancer(lb)
		at[lb] = netip.AddrPortFrom(f.where.at(byte(16*lb+17)), ticketPort)
	}
	weirtest.NewOrigin(t, f.originAddr(firstOrigin).String())
	f.must(http.MethodPost, "apply?reason=bench", f.ticketSite(benchCertificates(t, 1)[0]))
	f.eventually("the site is on both load balancers", 30*time.Second, f.converged)
	f.eventually("both share ticket keys", 30*time.Second, func() error {
		s, err := f.ticketKeys()
		if err == nil && s.Has < 2 {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	clients := make([]*returningClient, ticketClients)
	for i := range clients {
		c := &returningClient{}
		version := uint16(tls.VersionTLS12 + i%2)
		c.config = &tls.Config{ServerName: "p0000.example.com", InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ClientSessionCache: c}
		f.eventually("both load balancers serve", 30*time.Second, func() error { return errors.Join(c.visit(at[0]), c.visit(at[1])) })
		c.returned, c.resumed, clients[i] = 0, 0, c
	}
	before, err := f.ticketKeys()
	if err != nil {
		t.Fatal(err)
	}
	var around sync.WaitGroup
	end := time.Now().Add(ticketTime)
	for _, c := range clients {
		around.Go(func() { c.goAround(at, end) })
	}
	f.rest(killAfter)
	f.processes[fleetName(0)].Kill()
	around.Wait()
	after, err := f.ticketKeys()
	if err != nil || after.Generation-before.Generation < leastRotations {
		t.Fatalf("the keys changed %d times, not %d: %v", after.Generation-before.Generation, leastRotations, err)
	}
	returned, resumed := 0, 0
	for _, c := range clients {
		if c.err != nil {
			t.Fatal(c.err)
		}
		returned, resumed = returned+c.returned, resumed+c.resumed
	}
	if returned == 0 {
		t.Fatal("no client came back")
	}
	t.Logf("the keys changed %d times", after.Generation-before.Generation)
	return []figure{{ticketFigures[0], float64(resumed) / float64(returned), "share"}, {ticketFigures[1], float64(resumed), "handshakes"}}
}

// ticketStatus is how the group's ticket keys are.
type ticketStatus struct {
	Generation int64
	Has, Of    int
}

func (f *fleet) ticketKeys() (s ticketStatus, err error) {
	raw, err := f.call(http.MethodGet, "loadbalancergroups/edge/ticketkeys", "")
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	return s, err
}

func (f *fleet) ticketSite(c benchCertificate) string {
	indent := func(text string) string {
		return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
	}
	return f.siteAlone() + f.server(firstOrigin, 100) + fmt.Sprintf(`---
kind: Certificate
metadata: {name: tickets, role: web}
spec:
  chain: |
%s  key: |
%s---
kind: Site
metadata: {name: tickets, role: web}
spec: {hostnames: [p0000.example.com], addresses: [www-az1], listeners: [{port: %d, tls: {certificates: [tickets]}}], backends: {default: web}}
---
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [203.0.113.0/28], tuning: default, ticketKeys: {every: 1s}}
`, indent(c.chain), indent(c.key), ticketPort)
}
