package explain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// world is a random node that a HAProxy runs, with all of its servers, some of which are not there.
type world struct {
	t    *testing.T
	rng  *rand.Rand
	node ir.Node
	dir  string
	// dead are the addresses at which nobody listens.
	dead map[netip.AddrPort]bool
	// calling says that most requests are calls to partners.
	calling bool
}

// seen is what an origin tells of a request that reached it.
type seen struct {
	Address, Method, Target, Host string
	Header                        http.Header
}

// origins answer at a list of addresses.
func origins(t *testing.T, list []netip.AddrPort) {
	t.Helper()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()
		w.Header().Set("X-Origin", at)
		w.Header().Set("X-Sql-Count", "1")
		told, _ := json.Marshal(seen{at, r.Method, r.RequestURI, r.Host, r.Header})
		w.Header().Set("X-Seen", string(told)) // which is there for HEAD too
		fmt.Fprint(w, "ok")                    // checks look for it
	})}
	t.Cleanup(func() { srv.Close() })
	for _, at := range list {
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		go srv.Serve(l)
	}
}

// at gives an address of the test's own.
func at(prefix netip.Prefix, host int) netip.Addr {
	b := prefix.Addr().As4()
	b[3] = byte(host)
	return netip.AddrFrom4(b)
}

const (
	ownOrigins  = 60
	deadOrigins = 12
)

// newWorld makes a node out of random objects whose sites have routes of all kinds, or call partners.
func newWorld(t *testing.T, h weirtest.HAProxy, seed uint64, calling bool) *world {
	t.Helper()
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 99)), dead: map[netip.AddrPort]bool{}, calling: calling}
	prefix := weirtest.Prefix(t)
	o := weirtest.Options{
		Ranges: []netip.Prefix{netip.PrefixFrom(at(prefix, 16), 28)}, Plain: true, Sealed: true, Zoned: true, Groups: 1,
		Servers: 36, Pools: 16, Sites: 10, Addresses: 6, Egress: calling,
	}
	for i := range ownOrigins {
		o.Origins = append(o.Origins, netip.AddrPortFrom(at(prefix, 64+i), 9000))
	}
	set := weirtest.RandomObjects(seed, o)
	w.enrich(set)
	w.node, _ = compile.Group(set, "edge") // what can't be compiled is left out
	for _, i := range w.rng.Perm(ownOrigins)[:deadOrigins] {
		w.dead[o.Origins[i]] = !w.partners(o.Origins[i].Addr()) // which nobody checks
	}
	origins(t, slices.DeleteFunc(slices.Clone(o.Origins), func(a netip.AddrPort) bool { return w.dead[a] }))
	w.settle()
	w.start(h)
	return w
}

// settle takes out of the node what would make its answers change with time.
func (w *world) settle() {
	n := &w.node
	n.Tuning.ZoneReturn = &weir.ZoneReturn{Wait: new(weir.Duration(0)), Ramp: new(weir.Duration(0))}
	n.Tuning.Threads = 1
	n.Tuning.StrictSNI = new(w.rng.IntN(2) == 0)
	n.Tuning.Normalize()
	n.Self = ir.Self{Name: "lb1", Zone: "az1", State: weir.Active}
	if w.rng.IntN(2) == 0 {
		n.Group.ForwardedFor = []netip.Prefix{netip.MustParsePrefix("127.7.0.0/16")}
	}
	for i := range n.SLAs {
		n.SLAs[i].InFlight = 0
	}
	for i := range n.Pools {
		p := &n.Pools[i]
		if e := p.Endpoint; e != nil {
			e.InFlight = 0
			for j := range p.Servers {
				p.Servers[j].Address = netip.AddrPortFrom(p.Servers[j].Address.Addr(), 9000)
			}
			continue
		}
		p.Check = weir.HealthCheck{Type: "tcp", Interval: weir.Duration(100 * time.Millisecond), Rise: 1, Fall: 1}
		p.SlowStart, p.MaxConnections, p.ServerTimeout, p.NoQueue, p.Unchecked = 0, 0, 0, false, false
	}
}

func (w *world) start(h weirtest.HAProxy) {
	t := w.t
	t.Helper()
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	now, _ := w.node.At(time.Now())
	c := haproxy.Render(now, haproxy.Env{Version: version})
	for i := range c.Sections {
		for j, l := range c.Sections[i].Lines {
			if strings.HasPrefix(l.Text, "timeout tarpit ") {
				c.Sections[i].Lines[j].Text = "timeout tarpit 10ms"
			}
		}
	}
	w.dir = weirtest.TempDir(t)
	write := func(path, content string) {
		path = filepath.Join(w.dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range c.Files() {
		write(f.Path, f.Content)
	}
	for _, cert := range c.Certs {
		write(cert.Path, cert.Chain.String()+weirtest.CertificateKey(cert.Chain.String()))
	}
	write(haproxy.StateFile, "")
	if len(c.CrtLists) > 0 {
		write(haproxy.PlaceholderCert, placeholder(t))
	}
	_ = os.MkdirAll(filepath.Join(w.dir, "run"), 0o755)
	_ = os.MkdirAll(filepath.Join(w.dir, haproxy.Jail), 0o755)
	run := weirtest.Command(t, "sh", "-c", "cd "+w.dir+" && exec "+h.Path+" -db -f haproxy.cfg")
	want := map[string]bool{}
	for _, p := range now.Pools {
		for _, s := range p.Servers {
			if p.Endpoint == nil && !w.dead[s.Address] && !s.Maintenance {
				want[p.Name+" "+s.Address.String()] = true
			}
		}
	}
	weirtest.Eventually(t, weirtest.Patience, func() error {
		text, err := command(filepath.Join(w.dir, haproxy.AdminSocket), "show servers state")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, run.Output())
		}
		states, err := haproxy.ParseServersState(text)
		if err != nil {
			return err
		}
		missing := maps.Clone(want)
		for _, s := range states {
			pool := s.Backend[:max(strings.LastIndexByte(s.Backend, '.'), 0)]
			if s.Op == haproxy.OpRunning {
				delete(missing, fmt.Sprintf("%s %s:%d", pool, s.Address, s.Port))
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("%d servers are not up: %v", len(missing), slices.Sorted(maps.Keys(missing)))
		}
		return nil
	})
}

// placeholder is a certificate of a name that nobody asks for, with its key.
func placeholder(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "placeholder.invalid"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(crand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func command(socket, text string) (string, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(weirtest.Patience))
	if _, err := fmt.Fprintln(conn, text); err != nil {
		return "", err
	}
	var b strings.Builder
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String(), nil
		}
	}
}

// alive says which servers HAProxy sees up.
func (w *world) alive(pool, server string) bool {
	for _, p := range w.node.Pools {
		for _, s := range p.Servers {
			if p.Name == pool && s.Name == server {
				return !w.dead[s.Address]
			}
		}
	}
	return false
}
