package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/agent"
	"weir/internal/weirtest"
)

// example is one of deploy/examples, applied as it stands but for addresses: its private network is the test's own, so
// that 10.7.0.101 is the test's .101, and its public addresses are bound where localRanges say.
type example struct {
	*world
	objects []*weir.Object
	origins map[string]*weirtest.Origin // by server/port or pool/member

	revision int64
}

// newExample applies a folder's manifests, with the test's own network in the place of theirs, which begins as network
// does, and with other words in the place of some, each of which must be there.
func newExample(t *testing.T, name, network string, words func(*world) map[string]string) *example {
	t.Helper()
	e := &example{world: newWorld(t), origins: map[string]*weirtest.Origin{}}
	files, err := filepath.Glob(filepath.Join(weirtest.Root(t), "deploy", "examples", name, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no example %s: %v", name, err)
	}
	var text []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, string(raw))
	}
	all := strings.Join(text, "\n---\n")
	others := map[string]string{}
	if words != nil {
		others = words(e.world)
	}
	others[network] = strings.TrimSuffix(e.prefix.Addr().String(), "0")
	for word, instead := range others {
		if !strings.Contains(all, word) {
			t.Errorf("%s does not say %q any more", name, word)
		}
		all = strings.ReplaceAll(all, word, instead)
	}
	if e.objects, err = weir.Decode(name, []byte(all)); err != nil {
		t.Fatal(err)
	}
	for _, o := range e.objects {
		switch s := o.Spec.(type) {
		case *weir.Server:
			for port, n := range s.Ports {
				e.answer(netip.AddrPortFrom(s.Address, uint16(n)), o.Metadata.Name+"/"+port)
			}
		case *weir.Pool:
			for _, m := range s.Members {
				if s.Mode == "http" {
					e.answer(netip.AddrPortFrom(m.Address, uint16(m.Port)), o.Metadata.Name+"/"+m.Name)
				}
			}
		}
	}
	e.revision = e.apply(all)
	return e
}

// answer starts the origin of a name, unless there is one.
func (e *example) answer(at netip.AddrPort, name string) {
	e.t.Helper()
	for _, o := range e.origins {
		if o.Addr == at.String() {
			e.origins[name] = o
			return
		}
	}
	o := weirtest.NewOrigin(e.t, at.String())
	o.Name = name
	e.origins[name] = o
}

// balancer runs one of a group. Its public range is the test's from first on; it listens at 8080 in place of 80, and at
// 8443 in place of 443.
func (e *example) balancer(name, group, zone string, h weirtest.HAProxy, public string, first int) *runningAgent {
	e.t.Helper()
	_, bits, _ := strings.Cut(public, "/")
	return e.balancerAt(name, group, zone, h, map[string]string{public: e.at(first).String() + "/" + bits}, map[int]int{80: 8080, 443: 8443})
}

// balancerAt is balancer with all ranges and ports.
func (e *example) balancerAt(name, group, zone string, h weirtest.HAProxy, ranges map[string]string, ports map[int]int) *runningAgent {
	e.t.Helper()
	a := &runningAgent{name: name, dir: filepath.Join(e.dir, name), haproxy: h, edit: func(o *agent.Options) { o.StopWithAgent = false }}
	e.leftServing(a)
	local, err := json.Marshal(map[string]any{"localRanges": ranges, "localPorts": ports})
	if err != nil {
		e.t.Fatal(err)
	}
	e.joinAs(a, group, zone, ","+strings.Trim(string(local), "{}")+"}")
	return a
}

// well waits until all load balancers have everything and see every server of the pools up.
func (e *example) well() {
	e.t.Helper()
	e.converged(e.revision)
	weirtest.Eventually(e.t, waitLong, func() error {
		for _, o := range e.objects {
			if o.Kind == "Certificate" {
				if c := e.conditions("certificates/" + o.Metadata.Name)["Programmed"]; c.Status != "True" || c.Of == 0 {
					return fmt.Errorf("certificate %s: %+v", o.Metadata.Name, c)
				}
			}
			if o.Kind != "Pool" {
				continue
			}
			var answer struct {
				Servers []struct {
					Server string
					Up, Of int
				}
			}
			if _, err := e.call("GET", "/api/v1/pools/"+o.Metadata.Name+"/health", "", &answer); err != nil {
				return err
			}
			if len(answer.Servers) == 0 {
				return fmt.Errorf("pool %s has no server", o.Metadata.Name)
			}
			for _, s := range answer.Servers {
				if s.Of == 0 || s.Up < s.Of {
					return fmt.Errorf("pool %s: %d of %d see %s up", o.Metadata.Name, s.Up, s.Of, s.Server)
				}
			}
		}
		return nil
	})
}

// visit is one request over a connection of its own.
type visit struct {
	at     string         // the load balancer's address and port
	from   string         // where the client comes from, "" for anywhere
	client string         // whom a PROXY header names, "" for no such header
	roots  *x509.CertPool // of a client that speaks TLS
	h2     bool
	method string // GET when left out
	host   string
	path   string // / when left out
	header map[string]string
}

// visited is what came of it; status is 0 when the connection was closed without an answer.
type visited struct {
	status int
	origin string
	body   string
	header http.Header
	proto  string
	leaf   *x509.Certificate
}

func (v visited) String() string { return fmt.Sprintf("%d from %q: %.80s", v.status, v.origin, v.body) }

// dial connects, and says whose connection it is.
func (v visit) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: waitLong}
	if v.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(v.from)}
	}
	conn, err := d.DialContext(ctx, "tcp", v.at)
	if err == nil && v.client != "" {
		host, port, _ := net.SplitHostPort(v.at)
		_, err = fmt.Fprintf(conn, "PROXY TCP4 %s %s 40000 %s\r\n", v.client, host, port)
	}
	return conn, err
}

func (e *example) visit(v visit) visited {
	e.t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: !v.h2, ForceAttemptHTTP2: v.h2,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return v.dial(ctx) },
	}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if v.roots != nil {
		scheme = "https"
		transport.TLSClientConfig = &tls.Config{ServerName: v.host, RootCAs: v.roots}
	}
	if v.path == "" {
		v.path = "/"
	}
	request, err := http.NewRequestWithContext(e.t.Context(), v.method, scheme+"://"+v.at+v.path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	request.Host = v.host
	for name, value := range v.header {
		request.Header.Set(name, value)
	}
	return e.exchange(transport, request)
}

// exchange sends a request and reads the whole answer.
func (e *example) exchange(transport *http.Transport, request *http.Request) visited {
	client := http.Client{Transport: transport, Timeout: waitLong, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return visited{body: err.Error()}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return visited{body: err.Error()}
	}
	out := visited{status: answer.StatusCode, origin: answer.Header.Get("X-Origin"), body: string(body), header: answer.Header, proto: answer.Proto}
	if answer.TLS != nil {
		out.leaf = answer.TLS.PeerCertificates[0]
	}
	return out
}

// row is one thing that an account tells of its edge, and whether it is so.
type row struct {
	told  string
	check func() error
}

// walk looks at all of them, one after the other.
func walk(t *testing.T, rows []row) {
	for _, r := range rows {
		began := time.Now()
		if err := r.check(); err != nil {
			t.Errorf("%s: %v", r.told, err)
		}
		t.Logf("%5.1f s  %s", time.Since(began).Seconds(), r.told)
	}
}

// is holds a status and an origin, whose name begins so, against what is wanted.
func (v visited) is(status int, origin string) error {
	if v.status != status || !strings.HasPrefix(v.origin, origin) || origin == "" && v.origin != "" {
		return fmt.Errorf("%v, want %d from %q", v, status, origin)
	}
	return nil
}

// of holds it against the name of the port of the server, or of the member, that must have answered.
func (v visited) of(port string) error {
	if _, got, _ := strings.Cut(v.origin, "/"); v.status != 200 || got != port {
		return fmt.Errorf("%v, want 200 from port %s", v, port)
	}
	return nil
}

var errClosed = errors.New("closed without an answer")

// refused says how a client was refused: nil for not at all.
func (v visited) refused() error {
	switch v.status {
	case 200:
		return nil
	case 0:
		if strings.Contains(v.body, "EOF") || strings.Contains(v.body, "reset") {
			return errClosed
		}
	}
	return errors.New(v.String())
}
