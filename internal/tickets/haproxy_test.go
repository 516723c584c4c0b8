package tickets

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/weirtest"
)

// balancer is a load balancer of the group with a HAProxy.
type balancer struct {
	Me
	b       *bed
	h       weirtest.HAProxy
	dir     string
	addr    string
	process *hapctl.Process
	client  *hapctl.Client
}

const (
	keyFile = "tickets"
	// balancerConfig has no mention of keys: what a file brings it has at start.
	balancerConfig = `global
  stats socket unix@run/admin.sock mode 600 level admin
  hard-stop-after 10s
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend f
  bind %s ssl crt site.pem tls-ticket-keys ` + keyFile + `
  http-request return status 200
`
)

// site is the certificate that all load balancers show.
type site struct {
	cert *x509.Certificate
	text []byte
}

func (b *bed) site() site {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	b.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	b.must(err)
	cert, err := x509.ParseCertificate(der)
	b.must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	b.must(err)
	return site{cert, append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)}
}

func (b *bed) bounded() context.Context {
	ctx, cancel := context.WithTimeoutCause(b.Context(), weirtest.Patience, errors.New("the test waited too long"))
	b.Cleanup(cancel)
	return ctx
}

// start starts a HAProxy with keys.
func (b *bed) start(h weirtest.HAProxy, me Me, s site, keys Keys) *balancer {
	b.Helper()
	l := &balancer{Me: me, b: b, h: h, dir: weirtest.TempDir(b), addr: weirtest.Addr(b) + ":8443"}
	b.must(os.Mkdir(filepath.Join(l.dir, "run"), 0o700))
	l.write("site.pem", s.text)
	l.write("haproxy.cfg", fmt.Appendf(nil, balancerConfig, l.addr))
	l.write(keyFile, keys.File())
	var err error
	l.process, err = hapctl.Start(b.bounded(), hapctl.Options{Path: h.Path, Dir: l.dir, DieWithParent: true})
	b.must(err)
	l.client = l.process.Client()
	b.Cleanup(l.kill)
	return l
}

func (l *balancer) write(name string, text []byte) {
	l.b.Helper()
	l.b.must(os.WriteFile(filepath.Join(l.dir, name), text, 0o600))
}

// kill ends HAProxy at once.
func (l *balancer) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.process.Stop(ctx)
}

// follow does what an agent does when it hears of the group's state: the file first, then run time, then it reads
// back. It gives how many keys HAProxy was sent.
func (l *balancer) follow(s State) int {
	l.b.Helper()
	want := l.b.keys(l.Me, s)
	have, err := l.client.TicketKeys(l.b.bounded(), keyFile)
	l.b.must(err)
	push, ahead := Pushes(have.Digests, want)
	if ahead {
		l.b.Fatalf("%s is ahead", l.Name)
	}
	l.write(keyFile, want.File())
	var text []string
	for _, k := range push {
		text = append(text, k.Base64())
	}
	l.b.must(l.client.PushTicketKeys(l.b.bounded(), keyFile, text...))
	if have, err = l.client.TicketKeys(l.b.bounded(), keyFile); err != nil || have.Digests != want.Digests() {
		l.b.Fatalf("%s has other keys than it was sent: %v", l.Name, err)
	}
	return len(push)
}

// trip is a client of each TLS version that goes from one load balancer to another one.
func (b *bed) trip(s site, when string, from, to *balancer, want bool) {
	b.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		v := weirtest.NewVisitor(version, "www.example.com", s.cert)
		if resumed, err := v.Visit(b.bounded(), from.addr); err != nil || resumed {
			b.Errorf("%s, %s: first visit of %s: resumed %t, %v", when, tls.VersionName(version), from.Name, resumed, err)
		}
		if resumed, err := v.Visit(b.bounded(), to.addr); err != nil || resumed != want {
			b.Errorf("%s, %s: from %s to %s: resumed %t, want %t, %v", when, tls.VersionName(version), from.Name, to.Name, resumed, want, err)
		}
	}
}

func (b *bed) bothWays(s site, when string, x, y *balancer, want bool) {
	b.Helper()
	b.trip(s, when, x, y, want)
	b.trip(s, when, y, x, want)
}

// Clients resume on another load balancer before, in the middle of and after a rotation, and after a reload; when the
// one that they were at dies, too. One that lags two rotations resumes nobody and harms nobody, until it catches up.
func TestClientsResumeOnAnotherLoadBalancer(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, 30)
		site, a, z := b.site(), b.me("a"), b.me("z")
		s := b.work(State{Group: group}, a, z)
		x, y := b.start(h, a, site, b.keys(a, s)), b.start(h, z, site, b.keys(z, s))
		b.bothWays(site, "before", x, y, true)
		s = b.rotate(s, a, z)
		if n := x.follow(s); n != 1 {
			t.Errorf("%d keys for one rotation", n)
		}
		b.bothWays(site, "one has rotated", x, y, true)
		s = b.rotate(s, a, z)
		x.follow(s)
		b.bothWays(site, "one has rotated twice", x, y, false)
		if n := y.follow(s); n != 2 {
			t.Errorf("%d keys for two rotations", n)
		}
		b.bothWays(site, "both have rotated", x, y, true)
		s = b.rotate(s, a, z)
		y.follow(s)
		_, err := y.process.Reload(b.bounded())
		b.must(err)
		b.bothWays(site, "one was reloaded", x, y, true)
		if n := y.follow(s); n != 0 {
			t.Errorf("%d keys after a reload from the file", n)
		}
		b.dies(site, x, y)
	})
}

// dies kills a load balancer under clients that had been there.
func (b *bed) dies(s site, x, y *balancer) {
	b.Helper()
	var clients []*weirtest.Visitor
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		v := weirtest.NewVisitor(version, "www.example.com", s.cert)
		if _, err := v.Visit(b.bounded(), x.addr); err != nil {
			b.Fatal(err)
		}
		clients = append(clients, v)
	}
	x.kill()
	for _, v := range clients {
		if _, err := v.Visit(b.bounded(), x.addr); err == nil {
			b.Error("the load balancer that was killed answers")
		}
		if resumed, err := v.Visit(b.bounded(), y.addr); err != nil || !resumed {
			b.Errorf("after its load balancer died: resumed %t, %v", resumed, err)
		}
	}
}

// One that is alone, or of another epoch, serves as any other, by full handshakes for who comes from elsewhere, and
// joins the others at run time.
func TestOneThatIsAloneServesAndJoinsTheOthers(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, 31)
		site, a, z := b.site(), b.me("a"), b.me("z")
		s := b.work(State{Group: group}, a)
		alone, err := Alone(b.random)
		b.must(err)
		x, y := b.start(h, a, site, b.keys(a, s)), b.start(h, z, site, alone)
		b.trip(site, "alone", y, y, true)
		b.bothWays(site, "alone", x, y, false)
		s = b.work(s, a, z)
		if n := y.follow(s); n != 3 {
			t.Errorf("%d keys for one that was alone", n)
		}
		b.bothWays(site, "joined", x, y, true)
		// As if nobody of those present had the secret: three new generations of another epoch.
		begun := b.work(s, b.me("new"), z)
		begun.Seeds, begun.Epochs = nil, begun.Epochs[1:]
		begun = b.work(begun, z)
		if n := y.follow(begun); n != 3 || begun.Seeds[0].Epoch != 2 {
			t.Errorf("%d keys for epoch %d", n, begun.Seeds[0].Epoch)
		}
		b.bothWays(site, "another epoch", x, y, false)
		b.trip(site, "another epoch", y, y, true)
	})
}
