package agent

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// listen lets a site listen at a port with certificates.
func (b *bed) listen(name string, port weir.Port, mode weir.PortMode, profile string, hosts []string, certificates ...string) {
	for i := range b.node.Sites {
		if s := &b.node.Sites[i]; s.Name == name {
			s.Hostnames, s.Listeners = hosts, []ir.Listener{{Port: port, Mode: mode, TLS: &weir.ListenerTLS{Certificates: certificates, Profile: profile}}}
			if mode == weir.PortTLSTCP {
				s.Mode, s.Hostnames = "tcp", nil
			}
		}
	}
}

// proven says how many certificates are proven, and which are not.
func (b *bed) proven() string {
	b.proofs(b.t.Context(), proofPatience+time.Second)
	text := fmt.Sprint(len(b.prover.proven))
	for id, d := range b.prover.unshown() {
		text += " " + id + ": " + d.Message
	}
	return text
}

// TestCertificatesAreProven: of every listener that can show a certificate a client sees it, whole: twins each for its
// kind of key, wildcards, by all profiles, with a PROXY header where one is expected; after a change, a start and a new
// agent.
func TestCertificatesAreProven(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b, v := newBed(t, h), newVault(t)
		b.key = v.key
		for i, name := range []string{"twins", "wild", "modern", "legacy", "tcp"} {
			b.site(name, byte(40+i))
		}
		b.node.Pools[4].Mode = "tcp"
		b.listen("twins", 8443, weir.PortHTTPS, "intermediate", []string{"twins.example", "www.twins.example"}, "twin-ec", "twin-rsa")
		b.listen("wild", 8443, weir.PortHTTPS, "intermediate", []string{"*.wild.example"}, "wild")
		b.listen("modern", 8443, weir.PortHTTPS, "modern", []string{"modern.example"}, "modern", "modern-rsa")
		b.listen("legacy", 8443, weir.PortHTTPS, "legacy", []string{"legacy.example"}, "legacy")
		b.listen("tcp", 8444, weir.PortTLSTCP, "intermediate", nil, "tcp")
		// The chain of two is shown whole.
		legacy := v.rsa("legacy", "legacy.example")
		legacy.Chain = weir.NewChain(legacy.Chain.String() + v.ecdsa("issuer", "issuer.example").Chain.String())
		b.node.Certificates = []ir.Certificate{
			legacy, v.ecdsa("modern", "modern.example"), v.rsa("modern-rsa", "modern.example"), v.ecdsa("tcp", "tcp.example"),
			v.ecdsa("twin-ec", "twins.example", "www.twins.example"), v.rsa("twin-rsa", "twins.example", "www.twins.example"), v.ecdsa("wild", "*.wild.example"),
		}
		b.converge()
		if got := b.proven(); got != "7" {
			t.Fatal("after the start: ", got)
		}
		renew := func(i int, c ir.Certificate) {
			b.node.Certificates = append([]ir.Certificate(nil), b.node.Certificates...)
			b.node.Certificates[i] = c
		}
		renew(4, v.ecdsa("twin-ec", "twins.example", "www.twins.example"))
		renew(5, v.rsa("twin-rsa", "twins.example", "www.twins.example"))
		out := b.converge()
		if out.Reloaded || len(b.prover.flying) != 2 {
			t.Errorf("renewed: %+v, asked for %v", out.Plan, b.prover.flying)
		}
		if got := b.proven(); got != "7" {
			t.Fatal("after renewals: ", got)
		}
		if b.converge(); len(b.prover.flying) > 0 {
			t.Errorf("nothing has changed, and it is asked for %v", b.prover.flying)
		}
		b.node.Group.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		renew(2, v.rsa("modern-rsa", "modern.example"))
		renew(6, v.ecdsa("wild", "*.wild.example"))
		b.converge()
		if got := b.proven(); got != "7" {
			t.Fatal("behind a PROXY header: ", got)
		}
		b.anew(h, v)
		if err := b.resume(t.Context(), b.node.Resources()); err != nil {
			t.Fatal(err)
		}
		b.converge()
		if got := b.proven(); got != "7" {
			t.Fatal("by a new agent: ", got)
		}
	})
}

// TestWhatIsShownInstead: a proof that must fail does, and says what a client gets.
func TestWhatIsShownInstead(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	b, v := newBed(t, h), newVault(t)
	b.key = v.key
	b.site("www", 40)
	b.listen("www", 8443, weir.PortHTTPS, "intermediate", []string{"www.example"}, "www")
	other := v.ecdsa("www", "www.example")
	shown := v.ecdsa("www", "www.example")
	b.node.Certificates = []ir.Certificate{shown}
	b.converge()
	if got := b.proven(); got != "1" {
		t.Fatal(got)
	}
	at := netip.AddrPortFrom(b.at(17), 8443)
	ask := hapctl.Handshake{At: at, Name: "www.example", Chain: other.Chain, Patience: longWait}
	says := func(what string, ask hapctl.Handshake, want ...string) {
		t.Helper()
		err := ask.Prove(t.Context())
		if err == nil {
			t.Errorf("%s: it is proven", what)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", what, err, w)
			}
		}
	}
	hex := func(c ir.Certificate) string {
		n, ok := new(big.Int).SetString(serialOf(t, c), 10)
		if !ok {
			t.Fatal("no number")
		}
		return fmt.Sprintf("%X", n)
	}
	says("another one", ask, at.String()+" for www.example", "serial "+hex(shown)+" for www.example", "in place of serial "+hex(other))
	ask.Chain = weir.NewChain(shown.Chain.String() + other.Chain.String())
	says("a chain that is cut", ask, "another chain behind")
	ask.Chain, ask.Name = shown.Chain, "nobody.example"
	says("a name that is not in the list", ask, "is shown no certificate", "unrecognized name")
	ask.Name, ask.At = "www.example", netip.AddrPortFrom(b.at(17), 8499)
	says("nobody at the port", ask, "is shown no certificate", "refused")
	ask.At = netip.MustParseAddrPort("192.0.2.1:443")
	if err := ask.Prove(t.Context()); !errors.Is(err, hapctl.ErrUnprovable) {
		t.Errorf("another machine's address: %v", err)
	}
	silent, err := net.Listen("tcp", netip.AddrPortFrom(b.at(50), 8443).String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ask.At, ask.Patience = netip.AddrPortFrom(b.at(50), 8443), 50*time.Millisecond
	says("one that says nothing", ask, "is shown no certificate", context.DeadlineExceeded.Error())
}

// TestCertificateThatIsNotShown: HAProxy has it and no client sees it; it is told as pending with what is seen instead,
// and as programmed once it is seen. All else goes on meanwhile.
func TestCertificateThatIsNotShown(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h, func(o *Options) { o.LookEvery = time.Hour })
		v := newVault(t)
		a.engine.key, a.engine.prover.retry = v.key, 100*time.Millisecond
		a.site("www", 40)
		a.listen("www", 8443, weir.PortHTTPS, "intermediate", []string{"www.example"}, "www")
		old := v.ecdsa("www", "www.example")
		a.node.Certificates = []ir.Certificate{old}
		a.wish()
		a.await(func(r link.Report) error {
			if r.Resources.Pending > 0 || r.Resources.Programmed == 0 {
				return fmt.Errorf("%+v", r.Resources)
			}
			return nil
		})
		// Another hand takes the line away while the certificate is renewed.
		client := hapctl.NewClient(a.engine.folder.path(haproxy.AdminSocket))
		t.Cleanup(client.Close)
		do := func(words ...string) {
			t.Helper()
			c, err := hapctl.NewCommand(words...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Do(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		list, file := "certs/port-8443.list", "certs/www.pem"
		do("del", "ssl", "crt-list", list, file)
		renewed := v.ecdsa("www", "www.example")
		a.node.Certificates = []ir.Certificate{renewed}
		a.offer()
		a.await(func(r link.Report) error {
			d := r.Resources.Deviations["certificate/www"]
			if r.Revision != a.revision || r.State != link.Converged || r.Resources.Pending != 1 || d.State != link.Pending || d.Reason != link.NotServed || !strings.Contains(d.Message, "is shown no certificate") {
				return fmt.Errorf("%s, %+v", r.State, r.Resources)
			}
			return nil
		})
		do("add", "ssl", "crt-list", list, file)
		a.await(func(r link.Report) error {
			if len(r.Resources.Deviations) > 0 || r.Resources.Pending > 0 {
				return fmt.Errorf("%+v", r.Resources)
			}
			return nil
		})
		if got, err := a.shown("www.example"); err != nil || got != serialOf(t, renewed) {
			t.Errorf("shown %s %v", got, err)
		}
		if n := a.agent.Counts(); len(n.Series) > 0 {
			t.Errorf("proofs are counted as requests: %+v", n)
		}
	})
}

// TestFewOfManyAreAskedFor: when thousands change at once some are, and what changes later is in any case.
func TestFewOfManyAreAskedFor(t *testing.T) {
	t.Parallel()
	p := newProver()
	config := func(n int, renewed ...int) *haproxy.Config {
		c := &haproxy.Config{CrtLists: []haproxy.CrtList{{Path: "list"}}}
		for i := range n {
			name := fmt.Sprintf("certs/%04d.pem", i)
			c.Certs = append(c.Certs, haproxy.Cert{Path: name, Certificate: name, Digest: "old"})
			c.CrtLists[0].Entries = append(c.CrtLists[0].Entries, haproxy.CrtEntry{File: name, SNI: []string{name}})
		}
		for _, i := range renewed {
			c.Certs[i].Digest = "new"
		}
		return c
	}
	if list := p.pick(config(3)); len(list) != 3 {
		t.Errorf("few: %v", list)
	}
	p = newProver()
	all := config(5000)
	list := p.pick(all)
	if len(list) != mostProofs || len(p.proven) != 5000-mostProofs {
		t.Errorf("of many %d are asked for, and %d are taken as they were read back", len(list), len(p.proven))
	}
	for _, path := range list {
		p.proven[path] = p.stamps[path]
	}
	if again := p.pick(all); len(again) > 0 {
		t.Errorf("nothing has changed: %v", again)
	}
	if again := p.pick(config(5000)); len(again) > 0 {
		t.Errorf("nothing but places in memory have changed: %v", again)
	}
	if list := p.pick(config(5000, 7, 70, 4999)); fmt.Sprint(list) != "[certs/0007.pem certs/0070.pem certs/4999.pem]" {
		t.Errorf("renewed: %v", list)
	}
	moved := config(5000, 7, 70, 4999)
	moved.CrtLists[0].Entries[3].Options = "ssl-min-ver TLSv1.3"
	if list := p.pick(moved); len(list) != 4 {
		t.Errorf("shown in another way: %v", list)
	}
	p = newProver()
	p.pick(all)
	clear(p.proven)
	p.failed["certs/4321.pem"] = unproven{stamp: p.stamps["certs/4321.pem"], why: errors.New("no")}
	if list := p.pick(all); len(list) != mostProofs || list[0] != "certs/4321.pem" || len(p.failed) != 1 {
		t.Errorf("what was not shown before is not asked for: %v", list)
	}
	if list := p.pick(config(2)); len(p.proven)+len(list) != 2 {
		t.Errorf("of 2, %d are known and %d asked for", len(p.proven), len(list))
	}
}

// TestProofsTakeTurns: few are made at a time, and those that hang hold nobody up before they are many.
func TestProofsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, taken := newTurns(), make(chan func())
		for range proofsAtOnce + 1 {
			go func() { taken <- turns.take() }()
		}
		var hang []func()
		for n := range proofsAtOnce {
			began := time.Now()
			hang = append(hang, <-taken)
			if waited := time.Since(began); n == 0 && waited > 0 || n > 0 && waited != proofSlow {
				t.Errorf("turn %d came after %v", n, waited)
			}
		}
		<-time.After(time.Hour)
		select {
		case <-taken:
			t.Error("more than are allowed")
		default:
		}
		hang[0]()
		(<-taken)()
		for _, done := range hang[1:] {
			done()
		}
		synctest.Wait()
		if len(turns.all)+len(turns.quick) > 0 {
			t.Error("a turn was not given back")
		}
	})
}

// TestProofsLeaveRoomForClients: who proves one certificate after the other is busy for a quarter of the time.
func TestProofsLeaveRoomForClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, began := newTurns(), time.Now()
		for range 10 {
			done := turns.take()
			<-time.After(3 * time.Millisecond)
			done()
		}
		if took := time.Since(began); took != 111*time.Millisecond {
			t.Errorf("ten proofs of 3 ms took %v", took)
		}
		synctest.Wait()
	})
}

// TestProofsAreToldTogether: what a hundred proofs lead to is told a few times, and all of it at the end.
func TestProofsAreToldTogether(t *testing.T) {
	p, now, told := newProver(), time.Now(), 0
	for n := range 100 {
		p.flying[fmt.Sprint(n)] = 1
	}
	for n := range 100 {
		delete(p.flying, fmt.Sprint(n))
		now = now.Add(10 * time.Millisecond)
		if p.tellNow(true, now) {
			told++
		}
	}
	if told != 5 || p.untold {
		t.Errorf("told %d times in a second; something is left: %t", told, p.untold)
	}
	if p.tellNow(false, now.Add(time.Hour)) {
		t.Error("told though nothing is new")
	}
	if !p.tellNow(true, now) {
		t.Error("the last one waits")
	}
}
