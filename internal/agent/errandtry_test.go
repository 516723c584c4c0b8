package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// tryAgent is an agent of which there is as much as a try needs.
func tryAgent(t *testing.T, h weirtest.HAProxy) *Agent {
	t.Helper()
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	dir := weirtest.TempDir(t)
	return &Agent{
		opts: Options{Dir: dir, HAProxy: h.Path}, log: slog.New(slog.NewTextHandler(t.Output(), nil)), errands: newErrandState(),
		engine: openEngine(t, h, version, filepath.Join(dir, "engine")),
	}
}

// tryNode is a node of one pool with servers by their names.
func tryNode(check weir.HealthCheck, servers map[string]string) ir.Node {
	tuning := weir.Tuning{}
	tuning.Timeouts.Check = weir.Duration(400 * time.Millisecond)
	tuning.Normalize()
	check.Interval, check.Rise, check.Fall = weir.Duration(time.Hour), 2, 3
	pool := ir.Pool{Name: "web", Mode: "http", Balance: "roundrobin", Check: check}
	for name, at := range servers {
		pool.Servers = append(pool.Servers, ir.Server{Name: name, Address: netip.MustParseAddrPort(at), Weight: 100, Owner: "Pool/web"})
	}
	return ir.Node{
		Self: ir.Self{Name: "lb1", Zone: "az1", State: weir.Active}, Group: ir.Group{Name: "edge", Zones: []string{"az1"}, Ranges: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}},
		Tuning: ir.Tuning{Tuning: tuning}, Pools: []ir.Pool{pool},
	}
}

// tried runs a try as if it had come over the link.
func (a *Agent) tried(ctx context.Context, node ir.Node) (map[string]link.TryAnswer, error) {
	body, err := json.Marshal(link.TryAsk{Node: node})
	if err != nil {
		return nil, err
	}
	results := map[string]link.TryAnswer{}
	err = a.tryErrand(ctx, body, func(v any) error {
		r := v.(link.TryAnswer)
		results[r.Server] = r
		return nil
	})
	return results, err
}

// nobody gives an address where nobody listens.
func nobody(t *testing.T) string { return weirtest.Addr(t) + ":1" }

// listener listens at an address of the test's own.
func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", weirtest.Addr(t)+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func webServer(t *testing.T, pair *tls.Certificate) (at string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host == "broken.example":
			w.WriteHeader(503)
		case r.URL.Path != "/ping":
			w.WriteHeader(404)
		}
	}))
	_ = s.Listener.Close()
	s.Listener = listener(t)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if pair != nil {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{*pair}}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// trySigned makes a certificate, which is its own authority.
func trySigned(t *testing.T) (pair *tls.Certificate, text string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example"}, DNSNames: []string{"www.example"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestTry: a pool's own check is run once by a real HAProxy against servers that pass, answer another status, refuse, keep
// silent or show another certificate; each says what it was, and nothing is left.
func TestTry(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := tryAgent(t, h)
		check := func(what string, node ir.Node, want map[string]string) {
			t.Helper()
			got, err := a.tried(t.Context(), node)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for server, w := range want {
				r := got[server]
				status, said, _ := strings.Cut(w, " ")
				if r.Status != status || !strings.Contains(strings.ToLower(fmt.Sprint(r.Code, " ", r.Said)), said) || r.Passed != strings.HasSuffix(status, "OK") {
					t.Errorf("%s: %s: %+v, want %q", what, server, r, w)
				}
				if r.Passed && strings.HasPrefix(what, "http") && r.Code != 200 {
					t.Errorf("%s: %s: %+v, want code 200", what, server, r)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s: %v", what, got)
			}
			if _, err := os.Stat(filepath.Join(a.opts.Dir, tryDir)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: the folder is left: %v", what, err)
			}
		}
		good, silent, gone := webServer(t, nil), listener(t).Addr().String(), nobody(t)
		ping := weir.HealthCheck{Type: "http", Method: "GET", Path: "/ping", Host: "www.example", Expect: "200-399"}
		check("http", tryNode(ping, map[string]string{"good": good, "gone": gone, "silent": silent}), map[string]string{"good": "L7OK ", "gone": "L4CON refused", "silent": "L7TOUT time"})
		ping.Host = "broken.example"
		check("status", tryNode(ping, map[string]string{"good": good}), map[string]string{"good": "L7STS 503"})
		ping.Host, ping.Method, ping.Path = "www.example", "HEAD", "/other"
		ping.Expect = "200"
		check("another path", tryNode(ping, map[string]string{"good": good}), map[string]string{"good": "L7STS 404"})
		check("tcp", tryNode(weir.HealthCheck{Type: "tcp"}, map[string]string{"good": good, "silent": silent, "gone": gone}), map[string]string{"good": "L4OK ", "silent": "L4OK ", "gone": "L4CON refused"})
		pair, authority := trySigned(t)
		other, _ := trySigned(t)
		ping.Path = "/ping"
		ping.Method = "GET"
		node := tryNode(ping, map[string]string{"good": webServer(t, pair), "other": webServer(t, other), "plain": good})
		node.Pools[0].TLS = &weir.PoolTLS{Verify: "ca", CA: "inside", SNI: "www.example", MinVersion: "TLSv1.2"}
		node.Certificates = []ir.Certificate{{Name: "inside", Chain: weir.NewChain(authority)}}
		check("https", node, map[string]string{"good": "L7OK ", "other": "L6RSP ", "plain": "L6RSP "})
	})
}

// TestTryIsBounded: what an agent does not understand, or is too much, is refused; whoever goes ends HAProxy.
func TestTryIsBounded(t *testing.T) {
	t.Parallel()
	a := tryAgent(t, weirtest.HAProxies(t)[0])
	silent := listener(t).Addr().String()
	node := tryNode(weir.HealthCheck{Type: "http", Method: "GET", Path: "/", Host: "x", Expect: "200"}, map[string]string{"silent": silent})
	node.Tuning.Timeouts.Check = weir.Duration(time.Minute)
	refused := func(err error, word string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v, want %q", err, word)
		}
	}
	refused(a.tryErrand(t.Context(), json.RawMessage(`{"node":{"pools":[{"later":1}]}}`), nil), "upgrade it")
	_, err := a.tried(t.Context(), ir.Node{})
	refused(err, "one pool")
	many := node
	many.Pools = []ir.Pool{node.Pools[0]}
	for range maxTried {
		many.Pools[0].Servers = append(many.Pools[0].Servers, node.Pools[0].Servers[0])
	}
	_, err = a.tried(t.Context(), many)
	refused(err, "at most")
	a.errands.tries.Store(maxTries)
	if _, err = a.tried(t.Context(), node); !errors.Is(err, link.ErrBusy) {
		t.Error(err)
	}
	a.errands.tries.Store(0)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := a.tried(ctx, node)
		result <- err
	}()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		_, err := os.Stat(filepath.Join(a.opts.Dir, tryDir, haproxy.AdminSocket))
		return err
	})
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := os.Stat(filepath.Join(a.opts.Dir, tryDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
	if n := a.errands.tries.Load(); n != 0 {
		t.Errorf("%d are being tried", n)
	}
}
