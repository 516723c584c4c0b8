package agent

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"weir/internal/ir"
	"weir/internal/weirtest"
)

// gate is an origin whose answers to /held wait until it is opened.
type gate struct {
	asked, open chan struct{}
}

func newGate(t *testing.T, addr string) *gate {
	t.Helper()
	g := &gate{asked: make(chan struct{}, 10), open: make(chan struct{})}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			g.asked <- struct{}{}
			select {
			case <-g.open:
			case <-r.Context().Done():
			}
		}
		fmt.Fprintln(w, "ok")
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return g
}

// A request that is under way when its server is removed, alone or with all of its pool, is answered; meanwhile
// other changes go on, and the server goes when it can.
func TestRequestOutlivesItsServer(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(map[bool]string{false: "server", true: "pool"}[whole], func(t *testing.T) {
			weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
				b := newBed(t, h)
				b.site("one")
				b.site("other", 42)
				g := newGate(t, netip.AddrPortFrom(b.at(40), 9000).String())
				pool := &b.node.Pools[0]
				pool.Servers = []ir.Server{{Name: "s40", Address: netip.AddrPortFrom(b.at(40), 9000), Weight: 1, Owner: "Server/s40"}}
				b.converge()
				b.serves("one")
				b.serves("other")
				answered := make(chan error, 1)
				go func() {
					status, err := b.get("one.example", "/held")
					if err == nil && status != http.StatusOK {
						err = fmt.Errorf("status %d", status)
					}
					answered <- err
				}()
				<-g.asked

				full := b.node
				if whole {
					b.node.Sites, b.node.Pools = b.node.Sites[1:], b.node.Pools[1:]
				} else {
					weirtest.NewOrigin(t, netip.AddrPortFrom(b.at(41), 9000).String())
					pool.Servers = []ir.Server{{Name: "s41", Address: netip.AddrPortFrom(b.at(41), 9000), Weight: 1, Owner: "Server/s41"}}
				}
				out := b.converge()
				if out.Reloaded { // 3.2 takes a pool away with a reload: its old worker lets the request end
					if !whole || h.Version != "3.2" {
						t.Fatalf("reload: %v", out.Plan.Reload)
					}
				} else if len(b.waiting) == 0 {
					t.Fatal("nothing waits for the request")
				}
				for weight := range 3 {
					other := &b.node.Pools[len(b.node.Pools)-1]
					other.Servers[0].Weight = 10 + weight
					b.converge()
					if len(b.want.Backends) == 0 || !out.Reloaded && len(b.waiting) == 0 {
						t.Fatal("the removal did not wait")
					}
				}
				b.serves("other")
				select {
				case err := <-answered:
					t.Fatalf("the request ended too early: %v", err)
				default:
				}
				if whole && !out.Reloaded {
					// The pool is wanted again before it could go, and then no more: it is the same one all the time.
					node := b.node
					b.node = full
					b.converge()
					b.serves("one")
					b.node = node
					if b.converge(); len(b.waiting) == 0 {
						t.Fatal("the removal did not wait")
					}
				}
				close(g.open)
				if err := <-answered; err != nil {
					t.Errorf("the request under way: %v", err)
				}
				weirtest.Eventually(t, longWait, func() error {
					if b.converge(); len(b.waiting) > 0 {
						return fmt.Errorf("still waiting: %v", b.waiting)
					}
					return nil
				})
				b.settled()
			})
		})
	}
}
