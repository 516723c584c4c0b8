package e2e

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// returning is a client that comes again and again, and shows the ticket that it got last.
type returning struct {
	w       *world
	version uint16
	config  *tls.Config
	// lasts is how long a ticket is good at least, the period of the keys; 0 for longer than any test. A client that the
	// machine has kept away for longer may begin anew.
	lasts   time.Duration
	last    time.Time // when the visit began that brought the ticket
	early   bool      // whether the ticket of the last visit was surely good
	resumed int       // visits that went on with a session
}

func (w *world) returning(roots *x509.CertPool, version uint16) *returning {
	return &returning{w: w, version: version, config: &tls.Config{
		ServerName: "one.example.com", RootCAs: roots, MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}}
}

// visit makes one request over a connection of its own and says whether its handshake went on with an earlier session.
func (c *returning) visit(addr string) (resumed bool, err error) {
	begun := time.Now()
	conn, err := tls.DialWithDialer((&tlsClient{w: c.w}).dialer(), "tcp", addr, c.config)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	c.early = c.lasts == 0 || time.Since(c.last) < c.lasts
	if err := conn.SetDeadline(time.Now().Add(waitLong)); err != nil {
		return false, err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: one.example.com\r\nConnection: close\r\n\r\n"); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return false, errors.New(answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body) // in TLS 1.3 the next ticket comes with it
	c.last = begun
	if resumed = conn.ConnectionState().DidResume; resumed {
		c.resumed++
	}
	return resumed, err
}

// resumes visits load balancers one after the other; each must go on with the session of the one before.
func (c *returning) resumes(when string, addrs ...string) {
	c.w.t.Helper()
	for _, addr := range addrs {
		resumed, err := c.visit(addr)
		if err != nil || !resumed && c.early {
			c.w.t.Errorf("%s, %s: a client that comes to %s goes on with its session: %t %v", when, tls.VersionName(c.version), addr, resumed, err)
		}
	}
}

// resumesOnceThere waits until a load balancer takes connections; the first must go on with the session.
func (c *returning) resumesOnceThere(when, addr string) {
	c.w.t.Helper()
	weirtest.Eventually(c.w.t, waitLong, func() error {
		resumed, err := c.visit(addr)
		if err == nil && !resumed {
			c.w.t.Errorf("%s, %s: the first handshake with %s went on with nothing", when, tls.VersionName(c.version), addr)
		}
		return err
	})
}

// ticketStatus is how the ticket keys of the group are.
type ticketStatus struct {
	Generation int64
	Since      time.Time
	Has, Of    int
	Laggards   []string
	Renewing   int
	Message    string
}

func (w *world) ticketKeys() (s ticketStatus, err error) {
	_, err = w.call("GET", "/api/v1/loadbalancergroups/edge/ticketkeys", "", &s)
	return s, err
}

// shares waits until so many load balancers have the group's ticket keys, of a generation at least.
func (w *world) shares(n int, generation int64) ticketStatus {
	w.t.Helper()
	var s ticketStatus
	weirtest.Eventually(w.t, waitLong, func() error {
		var err error
		if s, err = w.ticketKeys(); err == nil && (s.Has != n || s.Of != n || s.Generation < generation) {
			err = fmt.Errorf("%+v: want %d that have generation %d or newer", s, n, generation)
		}
		return err
	})
	return s
}

// reaches says whether the group's ticket keys are of a generation, or of a newer one.
func (w *world) reaches(generation int64) error {
	s, err := w.ticketKeys()
	if err == nil && s.Generation < generation {
		err = fmt.Errorf("%+v: waiting for generation %d", s, generation)
	}
	return err
}

// rotateEvery sets how often ticket keys change.
func (w *world) rotateEvery(period string) {
	w.t.Helper()
	w.apply(fmt.Sprintf("kind: LoadBalancerGroup\nmetadata: {name: edge}\nspec: {ranges: [%s/28], tuning: default, ticketKeys: {every: %s}}\n", w.at(16), period))
}

// joinShifted makes a load balancer whose addresses are another part of the test's.
func (w *world) joinShifted(name string, h weirtest.HAProxy, first int) (*runningAgent, string) {
	w.t.Helper()
	local := fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, w.at(16), w.at(first))
	return w.join(name, "edge", "az1", h, local), w.at(first+1).String() + ":8443"
}

// ticketWorld is two load balancers of one group, of different versions, with a site.
func ticketWorld(t *testing.T) (w *world, ca *authority, a, b *runningAgent, atA, atB string, newest, oldest weirtest.HAProxy) {
	t.Helper()
	all := weirtest.HAProxies(t)
	slices.SortFunc(all, func(a, b weirtest.HAProxy) int { return cmp.Compare(b.Version, a.Version) })
	newest, oldest = all[0], all[len(all)-1]
	w = newWorld(t)
	ca = w.ticketSite()
	a, atA = w.joinShifted("lb-a", newest, 16)
	b, atB = w.joinShifted("lb-b", oldest, 32)
	w.served(ca, atA, atB)
	return w, ca, a, b, atA, atB, newest, oldest
}

// ticketSite is the site that clients come back to.
func (w *world) ticketSite() *authority {
	w.t.Helper()
	w.origin(200, "web1")
	ca := newAuthority(w.t, "ca")
	w.apply(w.oneZone() + ca.issue("one.example.com").manifest("one") + secureSite("one", "one.example.com", "[one]"))
	return ca
}

// served waits until load balancers serve that site.
func (w *world) served(ca *authority, addrs ...string) {
	w.t.Helper()
	w.converged(1)
	for _, addr := range addrs {
		tlsClient{w: w, roots: ca.pool(), sni: "one.example.com"}.serves(addr, "one.example.com", "/")
	}
}

// TestClientsResumeAnywhere: a client goes on with its session on another load balancer of the group, in TLS 1.2 and
// 1.3: before, during and after rotations, after one has died, after a reload, after an agent and its HAProxy were
// started anew, at one that joins, and at one that was away for many generations.
func TestClientsResumeAnywhere(t *testing.T) {
	t.Parallel()
	w, ca, a, b, atA, atB, newest, _ := ticketWorld(t)
	first := w.shares(2, 1).Generation
	var lasts time.Duration
	both := func(f func(c *returning)) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c := w.returning(ca.pool(), version)
			c.lasts = lasts
			if _, err := c.visit(atA); err != nil {
				t.Fatal(err)
			}
			f(c)
		}
	}
	both(func(c *returning) { c.resumes("before", atB, atA, atB) })

	lasts = 2 * time.Second
	w.rotateEvery(lasts.String())
	clients := []*returning{w.returning(ca.pool(), tls.VersionTLS12), w.returning(ca.pool(), tls.VersionTLS13)}
	for _, c := range clients {
		c.lasts = lasts
		if _, err := c.visit(atA); err != nil {
			t.Fatal(err)
		}
	}
	weirtest.Eventually(t, waitLong, func() error {
		for _, c := range clients {
			if c.resumes("while keys change", atB, atA); c.resumed < 4 {
				return fmt.Errorf("%s went on with its session %d times: that shows little", tls.VersionName(c.version), c.resumed)
			}
		}
		return w.reaches(first + 3)
	})
	c, atC := w.joinShifted("lb-c", newest, 48)
	w.shares(3, 1)
	both(func(c *returning) { c.resumes("at one that joined", atC, atB, atC) })
	w.rotateEvery("1h")
	w.shares(3, 1)
	lasts = 0
	both(func(c *returning) { c.resumes("after", atB, atC, atA) })

	both(func(one *returning) {
		w.converged(w.apply(tuningOf(one.version)))
		one.resumes("after a reload", atB, atA)
	})
	both(func(c *returning) {
		b.stop()
		w.startAgent(b)
		c.resumesOnceThere("after a start", atB)
	})

	both(func(one *returning) {
		if one.version == tls.VersionTLS12 {
			return
		}
		a.stop() // and HAProxy with it
		one.resumes("one has died", atB, atC)
	})

	// One that was away for longer than anybody's keys last catches up before it takes clients.
	c.stop()
	w.rotateEvery("1s")
	was, err := w.ticketKeys()
	if err != nil {
		t.Fatal(err)
	}
	weirtest.Eventually(t, waitLong, func() error { return w.reaches(was.Generation + 3) })
	w.rotateEvery("1h")
	late := w.returning(ca.pool(), tls.VersionTLS13)
	if _, err := late.visit(atB); err != nil {
		t.Fatal(err)
	}
	w.startAgent(c)
	late.resumesOnceThere("at one that was away", atC)
}

// tuningOf is another Tuning each time, so that all reload.
func tuningOf(n uint16) string {
	return fmt.Sprintf("kind: Tuning\nmetadata: {name: default}\nspec: {maxConnections: %d, ports: [{port: 8080, mode: http}, {port: 8443, mode: https}]}\n", 500+int(n)%100)
}

// TestAloneAtItsStart: an agent that hears nothing of the control plane, after a start of its machine, serves TLS with
// keys of its own, and has the group's when it hears of them, without a reload.
func TestAloneAtItsStart(t *testing.T) {
	t.Parallel()
	w, ca, _, b, atA, atB, _, _ := ticketWorld(t)
	w.shares(2, 1)
	b.stop()
	w.stopServer()
	if err := os.RemoveAll(filepath.Join(w.memory, b.name)); err != nil {
		t.Fatal(err)
	}
	client := w.returning(ca.pool(), tls.VersionTLS13)
	if _, err := client.visit(atA); err != nil {
		t.Fatal(err)
	}
	w.startAgent(b)
	tlsClient{w: w, roots: ca.pool(), sni: "one.example.com"}.serves(atB, "one.example.com", "/")
	if resumed, err := client.visit(atB); err != nil || resumed {
		t.Errorf("at one that is alone: %t %v", resumed, err)
	}
	client.resumes("at one that is alone", atB)
	w.startServer()
	w.shares(2, 1)
	w.converged(1)
	if n := w.reloads(); n != 0 {
		t.Errorf("%d reloads", n)
	}
	client = w.returning(ca.pool(), tls.VersionTLS13)
	if _, err := client.visit(atA); err != nil {
		t.Fatal(err)
	}
	client.resumes("once it has heard", atB, atA)
}

// TestStolenLoadBalancer: when one is removed, the others go on with the keys that there are, and no client notices;
// when somebody says that it was stolen, within seconds no ticket of before opens anything, and new ones do.
func TestStolenLoadBalancer(t *testing.T) {
	t.Parallel()
	w, ca, _, b, atA, _, newest, _ := ticketWorld(t)
	_, atC := w.joinShifted("lb-c", newest, 48)
	first := w.shares(3, 1).Generation
	before, kept := w.returning(ca.pool(), tls.VersionTLS12), w.returning(ca.pool(), tls.VersionTLS13)
	for _, c := range []*returning{before, kept} {
		if _, err := c.visit(atA); err != nil {
			t.Fatal(err)
		}
	}
	b.stop()
	if _, err := w.call("DELETE", "/api/v1/loadbalancers/lb-b?reason=stolen", "", nil); err != nil {
		t.Fatal(err)
	}
	w.shares(2, 1)
	kept.resumes("after one was removed", atC, atA)
	if _, err := w.call("POST", "/api/v1/loadbalancergroups/edge/ticketkeys?reason=stolen", "", nil); err != nil {
		t.Fatal(err)
	}
	weirtest.Eventually(t, waitLong, func() error {
		s, err := w.ticketKeys()
		if err == nil && (s.Renewing > 0 || s.Generation < first+3 || s.Has != 2) {
			err = fmt.Errorf("%+v, from generation %d", s, first)
		}
		return err
	})
	if resumed, err := before.visit(atC); err != nil || resumed {
		t.Errorf("a ticket of before opens a session: %t %v", resumed, err)
	}
	before.resumes("after all keys were renewed", atA, atC)
}
