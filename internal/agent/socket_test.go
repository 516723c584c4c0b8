package agent

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// A server at an abstract socket is checked, comes and goes at run time, and outlives a reload.
func TestServersAtSockets(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		name := "test-" + strings.ReplaceAll(b.at(17).String(), ".", "-")
		for _, socket := range []string{name, name + "-other"} {
			l, err := net.Listen("unix", "@"+socket)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // ends with its listener
				if strings.HasSuffix(socket, "-other") {
					w.WriteHeader(http.StatusTeapot)
				}
			}))
		}
		b.node.Self.Sources = append(b.node.Self.Sources, b.at(50)) // not for sockets
		b.site("one")
		b.node.Pools[0].Check = weir.HealthCheck{Type: "http", Method: "GET", Path: "/", Expect: "200-499", Interval: weir.Duration(100 * time.Millisecond), Rise: 1, Fall: 3}
		b.node.Pools[0].Servers = []ir.Server{{Name: "local", Socket: name, Weight: 100, Owner: "Pool/one"}}
		b.converge()
		b.settled()
		b.serves("one")
		reloads := b.reloads.Count

		b.node.Pools[0].Servers = []ir.Server{{Name: "local", Socket: name + "-other", Weight: 100, Owner: "Pool/one"}}
		weirtest.Eventually(t, longWait, func() error {
			b.converge()
			status, err := b.get("one.example", "/")
			if err == nil && status != http.StatusTeapot {
				return fmt.Errorf("status %d", status)
			}
			return err
		})
		if b.reloads.Count != reloads {
			t.Errorf("reloads: %v", b.reloads.Reasons)
		}
		b.node.Tuning.Timeouts.Client += weir.Duration(time.Second)
		b.converge()
		b.settled()
		if status, err := b.get("one.example", "/"); err != nil || status != http.StatusTeapot {
			t.Errorf("after a reload: %d, %v", status, err)
		}
	})
}
