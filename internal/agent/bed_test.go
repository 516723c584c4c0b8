package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/plan"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// bed is an engine with a real HAProxy, an address of its own and origins.
type bed struct {
	*engine
	t      *testing.T
	prefix netip.Prefix
	node   ir.Node
}

func newBed(t *testing.T, h weirtest.HAProxy) *bed {
	t.Helper()
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, prefix: weirtest.Prefix(t)}
	b.engine = openEngine(t, h, version, weirtest.TempDir(t))
	t.Cleanup(func() {
		if b.process != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = b.process.Stop(ctx)
		}
	})
	b.node = b.newNode()
	return b
}

// newNode is what a load balancer without sites must do.
func (b *bed) newNode() ir.Node {
	tuning := weir.Tuning{Ports: []weir.BoundPort{{Port: 8080, Mode: weir.PortHTTP}}}
	tuning.Normalize()
	return ir.Node{
		Self:      ir.Self{Name: "lb1", Zone: "az1", State: weir.Active},
		Group:     ir.Group{Name: "edge", Ranges: []netip.Prefix{netip.PrefixFrom(b.at(16), 30)}, Zones: []string{"az1"}},
		Tuning:    ir.Tuning{Tuning: tuning},
		Addresses: []ir.Address{{Name: "vip", Address: b.at(17), HomeZone: "az1"}},
	}
}

func openEngine(t testing.TB, h weirtest.HAProxy, version haproxy.Version, dir string) *engine {
	t.Helper()
	live, err := openFolder(filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	staging, err := openFolder(filepath.Join(dir, "check"))
	if err != nil {
		t.Fatal(err)
	}
	staging.aside = true
	for _, f := range []*folder{live, staging} {
		if err := placeholder(f); err != nil {
			t.Fatal(err)
		}
	}
	held, err := openQuarantine(filepath.Join(dir, "quarantine.json"), h.Full, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	forms, err := openGoodForms(filepath.Join(dir, "good.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return &engine{
		forms: forms, good: forms.resources(), prover: newProver(),
		log: slog.New(slog.NewTextHandler(t.Output(), nil)), clock: time.Now,
		key: func(string, weir.SealedRef) (secrets.Secret, error) {
			return secrets.Secret{}, fmt.Errorf("no keys here")
		},
		keyRefs: map[string]weir.SealedRef{},
		options: hapctl.Options{Path: h.Path, Dir: live.dir, DieWithParent: true},
		env:     haproxy.Env{Version: version, Unbindable: map[netip.AddrPort]bool{}, UnbindableUDP: map[netip.AddrPort]bool{}},
		folder:  live, staging: staging, quarantine: held, halfKnown: map[string]string{}, refusedBinds: map[spot]refusal{},
	}
}

func (b *bed) at(host byte) netip.Addr {
	a := b.prefix.Addr().As4()
	a[3] = host
	return netip.AddrFrom4(a)
}

// site adds a site with a pool of the given servers, each with an origin.
func (b *bed) site(name string, hosts ...byte) {
	b.t.Helper()
	pool := ir.Pool{Name: name, Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "tcp", Interval: weir.Duration(100 * time.Millisecond), Rise: 1, Fall: 3}}
	for _, host := range hosts {
		addr := netip.AddrPortFrom(b.at(host), 9000)
		weirtest.NewOrigin(b.t, addr.String())
		pool.Servers = append(pool.Servers, ir.Server{Name: fmt.Sprintf("s%d", host), Address: addr, Weight: 100, Owner: fmt.Sprintf("Server/s%d", host)})
	}
	b.node.Pools = append(b.node.Pools, pool)
	b.node.Sites = append(b.node.Sites, ir.Site{
		Name: name, Mode: "http", Hostnames: []string{name + ".example"}, Addresses: []string{"vip"},
		Listeners: []ir.Listener{{Port: 8080, Mode: weir.PortHTTP}}, Backends: []ir.Backend{{Name: "default", Pool: name}},
	})
}

func (b *bed) converge() outcome {
	b.t.Helper()
	out, err := b.engine.converge(b.t.Context(), b.node.Resources())
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// settled holds what runs against a HAProxy that reads the files, as far as plans can tell them apart.
func (b *bed) settled() {
	b.t.Helper()
	seen, err := b.process.Client().Observe(b.t.Context(), b.engine.want)
	if err != nil {
		b.t.Fatal(err)
	}
	if left := plan.Diff(seen, b.engine.want); !left.Empty() {
		b.t.Fatalf("HAProxy is not as wanted: %+v", left)
	}
	if again := b.converge(); !again.Plan.Empty() {
		b.t.Fatalf("a second pass is not empty: %+v", again.Plan)
	}
}

func (b *bed) get(host, path string) (int, error) {
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, "http://"+netip.AddrPortFrom(b.at(17), 8080).String()+path, nil)
	if err != nil {
		return 0, err
	}
	request.Host = host
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}).Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, nil
}

func (b *bed) serves(name string) {
	b.t.Helper()
	weirtest.Eventually(b.t, longWait, func() error {
		status, err := b.get(name+".example", "/")
		if err != nil || status != 200 {
			return fmt.Errorf("%s: %d %v", name, status, err)
		}
		return nil
	})
}
