package haproxy_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
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
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// aside is what a frontend answers that has no way but the short one, when that does not decide.
const aside = 418

// waysNode has sites of all kinds at two addresses, an http and an https port; every pool has an origin of its
// own but that of the site dead.
func waysNode(prefix netip.Prefix) ir.Node {
	n := testNode(prefix)
	n.Tuning.StrictSNI = new(false)
	n.Sites, n.Pools, n.Maps = nil, nil, nil
	next := byte(40)
	backend := func(site, name string) ir.Backend {
		b := ir.Backend{Name: name}
		for _, zone := range n.Group.Zones {
			at := prefix.Addr().As4()
			at[3] = next
			next++
			pool := ir.Pool{
				Name: site + "-" + name + "-" + zone, Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"},
				Servers: []ir.Server{{Name: "s", Address: netip.AddrPortFrom(netip.AddrFrom4(at), 9000), Weight: 1}},
			}
			n.Pools = append(n.Pools, pool)
			b.Slots = append(b.Slots, pool.Name)
		}
		return b
	}
	site := func(name string, hosts, addresses []string, prefixes ...string) *ir.Site {
		s := ir.Site{
			Name: name, Mode: "http", Hostnames: hosts, Addresses: addresses,
			Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}, {Port: 8443, Mode: weir.PortHTTPS}},
			Backends:  []ir.Backend{backend(name, "default")},
		}
		for i, p := range prefixes {
			b := backend(name, fmt.Sprintf("b%d", i))
			s.Backends = append(s.Backends, b)
			s.Routes = append(s.Routes, weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: p}}, Backend: b.Name})
		}
		n.Sites = append(n.Sites, s)
		return &n.Sites[len(n.Sites)-1]
	}
	both, first, second := []string{"vip1", "vip2"}, []string{"vip1"}, []string{"vip2"}
	site("www", []string{"example", "www.example"}, both, "/api", "/api/v2/", "/static/")
	site("shop", []string{"shop.example", "www.example.org"}, first, "/api/", "/apix")
	site("all", []string{"all.example"}, second, "/", "/api")
	site("wild", []string{"*.wild.example", "wild.example"}, both, "/api")
	rich := site("rich", []string{"rich.example"}, both, "/api")
	rich.Routes = append(rich.Routes, weir.SiteRoute{Match: weir.RouteMatch{Path: &weir.PathMatch{Exact: "/static"}}, Backend: "b0"})
	site("dead", []string{"dead.example"}, both).ErrorPages = map[weir.Status3]string{503: "sorry"}
	site("empty", []string{"empty.example"}, both).Backends = nil
	moved := site("moved", []string{"moved.example"}, both)
	moved.Listeners[0].RedirectTo = 443
	return n
}

// ways are two proxies with the same node, one of which goes the short way only and the other the long way.
type ways struct {
	proxy
	rng *mathrand.Rand
}

const shortOffset, longOffset = 10000, 20000

func startWays(t *testing.T, h weirtest.HAProxy, editMap func(*haproxy.Map)) ways {
	t.Helper()
	w := ways{proxy{prefix: weirtest.Prefix(t)}, mathrand.New(mathrand.NewPCG(1, 2))}
	n := waysNode(w.prefix)
	for _, p := range n.Pools {
		if !strings.HasPrefix(p.Name, "dead-") {
			weirtest.NewOrigin(t, p.Servers[0].Address.String()).Name = p.Name
		}
	}
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	for _, offset := range []int{shortOffset, longOffset} {
		n.Self.LocalPorts = map[weir.Port]weir.Port{8080: weir.Port(8080 + offset), 8443: weir.Port(8443 + offset)}
		c := haproxy.Render(n, haproxy.Env{Version: version})
		only(t, &c, offset == shortOffset)
		for i := range c.Maps {
			if offset == shortOffset && editMap != nil {
				editMap(&c.Maps[i])
			}
		}
		dir := weirtest.TempDir(t)
		writeFiles(t, dir, c)
		for path, content := range map[string][]byte{haproxy.StateFile: nil, haproxy.PlaceholderCert: selfSigned(t)} {
			if err := os.WriteFile(filepath.Join(dir, path), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		weirtest.Command(t, "sh", "-c", "cd "+dir+" && exec "+h.Path+" -db -f haproxy.cfg")
		weirtest.Eventually(t, weirtest.Patience, func() error {
			conn, err := net.Dial("tcp", w.addr(17, 8443+offset))
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
	return w
}

// only leaves one of the two ways in every http frontend.
func only(t *testing.T, c *haproxy.Config, short bool) {
	t.Helper()
	done := 0
	for i := range c.Sections {
		s := &c.Sections[i]
		at := slices.IndexFunc(s.Lines, func(l haproxy.Line) bool { return strings.HasPrefix(l.Text, "http-request allow if") })
		if s.Kind != "frontend" || at < 0 {
			continue
		}
		done++
		s.Lines = slices.Clone(s.Lines)
		if short {
			s.Lines = slices.Insert(s.Lines, at+1, haproxy.Line{Text: fmt.Sprintf("http-request return status %d", aside)})
		} else {
			s.Lines = slices.Delete(s.Lines, at, at+1)
		}
	}
	if done != 2 {
		t.Fatalf("%d frontends with a short way, want 2", done)
	}
}

func selfSigned(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})...)
}

// question is one request, over TLS when there is a name to give.
type question struct {
	vip            byte
	tls            bool
	name, raw, all string
}

func pick(r *mathrand.Rand, list ...string) string { return list[r.IntN(len(list))] }

// question makes up a request: mostly a host that there is, in some spelling, and paths about the prefixes.
func (w ways) question() question {
	r := w.rng
	known := []string{"example", "www.example", "shop.example", "www.example.org", "all.example", "wild.example", "a.wild.example", "a.b.wild.example", "rich.example", "empty.example", "moved.example"}
	host := pick(r, known...)
	switch r.IntN(12) {
	case 0:
		host = strings.ToUpper(host)
	case 1, 2:
		host += pick(r, ":8080", ":8443", ":80", ":443", ":", ".", ".:8080")
	case 3:
		host = pick(r, "", "other.example", "x"+host, host+"x", host+"|vip1", "|"+host, host+"/api", "*.wild.example", host+"!", "!", host+"%2f")
	}
	var path strings.Builder
	for range 1 + r.IntN(4) {
		path.WriteString(pick(r, "/", "/api", "/api", "/apix", "/v2", "/static", "/API", "/x.html", "/%61pi", "/..", "/.", "/api|", "/!"))
	}
	line := pick(r, "GET", "HEAD", "POST") + " " + path.String() + pick(r, "", "", "?q=/api", "?") + pick(r, " HTTP/1.1", " HTTP/1.1", " HTTP/1.0")
	switch r.IntN(12) {
	case 0:
		line = "OPTIONS * HTTP/1.1"
	case 1:
		line = "GET http://" + host + pick(r, "", path.String(), "?q") + " HTTP/1.1"
	}
	q := question{vip: byte(17 + r.IntN(2)), tls: r.IntN(3) == 0, raw: line + "\r\nHost: " + host + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"}
	if q.tls && r.IntN(8) > 0 {
		q.name = strings.TrimRight(pick(r, host, strings.TrimSuffix(host, ":8443"), pick(r, known...)), ".")
		if strings.ContainsAny(q.name, ":/|!%*") || strings.HasPrefix(q.name, ".") {
			q.name = "" // no name for a certificate
		}
	}
	q.all = fmt.Sprintf("vip %d, tls %v %q: %q", q.vip, q.tls, q.name, q.raw)
	return q
}

// ask gives the status, where a redirect leads to, the origin, and the beginning of an error page.
func (w ways) ask(t *testing.T, q question, offset int) string {
	t.Helper()
	port := 8080
	if q.tls {
		port = 8443
	}
	conn, err := net.Dial("tcp", w.addr(q.vip, port+offset))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if q.tls {
		conn = tls.Client(conn, &tls.Config{ServerName: q.name, InsecureSkipVerify: true})
	}
	if _, err := conn.Write([]byte(q.raw)); err != nil {
		t.Fatalf("%s: %v", q.all, err)
	}
	method, _, _ := strings.Cut(q.raw, " ")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v", q.all, err)
	}
	defer answer.Body.Close()
	return strings.TrimRight(fmt.Sprintln(answer.StatusCode, answer.Header.Get("Location"), answer.Header.Get("X-Origin"), answer.Header.Get("Content-Type")), " \n")
}

// compare asks both ways so many questions: how many the short way decided, and where the long way says
// something else.
func (w ways) compare(t *testing.T, questions int) (decided int, disagree []string) {
	t.Helper()
	for range questions {
		q := w.question()
		short := w.ask(t, q, shortOffset)
		if strings.HasPrefix(short, fmt.Sprint(aside)) {
			continue
		}
		if !strings.HasPrefix(short, "400") { // HAProxy's own, before any rule
			decided++
		}
		if long := w.ask(t, q, longOffset); long != short {
			disagree = append(disagree, fmt.Sprintf("%s: the short way says %s, the long way %s", q.all, short, long))
		}
	}
	return decided, disagree
}

func TestShortWayForetellsTheLongWay(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := startWays(t, h, nil)
		decided, disagree := w.compare(t, 1500)
		for _, d := range disagree {
			t.Error(d)
		}
		// An error page of the short way; it takes seconds, the retries.
		q := question{vip: 17, all: "a dead server", raw: "GET / HTTP/1.1\r\nHost: dead.example\r\nConnection: close\r\n\r\n"}
		for _, offset := range []int{shortOffset, longOffset} {
			if got := w.ask(t, q, offset); got != "503   application/json" {
				t.Errorf("a dead server: %s", got)
			}
		}
		if got := w.ask(t, question{vip: 17, raw: strings.Replace(q.raw, "dead", "empty", 1)}, longOffset); got != "503   text/html" {
			t.Errorf("a site without backends: %s", got)
		}
		if decided < 200 {
			t.Errorf("the short way decided %d questions of 1500: too few to show anything", decided)
		}
	})
}

// Without the keys that leave a prefix's own path to the long way, the default would have it.
func TestWaysThatDisagreeAreSeen(t *testing.T) {
	w := startWays(t, weirtest.HAProxies(t)[0], func(m *haproxy.Map) {
		m.Entries = slices.DeleteFunc(slices.Clone(m.Entries), func(e haproxy.Entry) bool { return e.Value == "!" })
	})
	if _, disagree := w.compare(t, 500); len(disagree) == 0 {
		t.Error("nothing seen")
	}
}
