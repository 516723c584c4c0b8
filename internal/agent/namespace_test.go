package agent

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// within gives the status of the bed's site for a client in a network namespace, over each way to it.
func (b *bed) within(namespace string) (clear, secure error) {
	ctx, cancel := contextFor(b.t)
	defer cancel()
	asked := func(by http.RoundTripper, scheme string, port int) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s://one.example:%d/", scheme, port), nil)
		if err != nil {
			return err
		}
		answer, err := by.RoundTrip(r)
		if err != nil {
			return err
		}
		answer.Body.Close()
		if namespace != "" && answer.Header.Get("Alt-Svc") != "" {
			b.t.Errorf("clients are told of HTTP/3: %v", answer.Header)
		}
		if answer.StatusCode != 200 {
			return fmt.Errorf("status %d", answer.StatusCode)
		}
		return nil
	}
	dial := func(port uint16) func(ctx context.Context, network, _ string) (net.Conn, error) {
		return func(ctx context.Context, network, _ string) (c net.Conn, err error) {
			err = hapctl.InNamespace(namespace, func() error {
				c, err = new(net.Dialer).DialContext(ctx, network, netip.AddrPortFrom(b.at(17), port).String())
				return err
			})
			return c, err
		}
	}
	any := &tls.Config{InsecureSkipVerify: true}
	clear = asked(&http.Transport{DisableKeepAlives: true, DialContext: dial(8080)}, "http", 8080)
	secure = asked(&http.Transport{DisableKeepAlives: true, TLSClientConfig: any, DialContext: dial(8443)}, "https", 8443)
	return clear, secure
}

// servedIn fails unless clients in one network namespace are served, and those in the other reach nobody.
func (b *bed) servedIn(namespace, other string) {
	b.t.Helper()
	weirtest.Eventually(b.t, longWait, func() error {
		if clear, secure := b.within(namespace); clear != nil || secure != nil {
			return fmt.Errorf("in %q: HTTP %v, HTTPS %v", namespace, clear, secure)
		}
		return nil
	})
	if clear, secure := b.within(other); clear == nil || secure == nil {
		b.t.Errorf("served in %q, too: HTTP %v, HTTPS %v", other, clear, secure)
	}
}

func (b *bed) said(id string) link.Deviation {
	return resourceReport(link.State{Resources: b.node.Resources()}, b.engine, nil).Deviations[id]
}

// Sites are served in the network namespace that the load balancer names, and nowhere else, by servers outside; one that is
// not there is told of and nobody's fault.
func TestListenersInANetworkNamespace(t *testing.T) {
	t.Parallel()
	if !weirtest.InNamespaces(t) {
		return
	}
	for i, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			t.Parallel()
			b, v := newBed(t, h), newVault(t)
			b.key = v.key
			b.site("one", 40)
			b.node.Certificates = append(b.node.Certificates, v.ecdsa("one", "one.example"))
			b.secure(0, "one")
			b.node.Sites[0].Listeners[1].TLS.HTTP3 = true // which is left out inside: HAProxy answers no handshake there (3.4.7, 3.2.26)
			name := fmt.Sprintf("weir-test.%d", i)
			b.node.Self.Namespace = name
			again := func() {
				t.Helper()
				if !b.retryBinds() {
					t.Errorf("left out: %q, %v", b.env.NoNamespace, b.refusedBinds)
				}
				b.converge()
				b.settled()
			}
			lacking := func() {
				t.Helper()
				b.converge()
				b.settled()
				d := b.said("address/vip")
				if want := "can't listen in network namespace " + name + ": the machine has no such network namespace; make it with ip netns add"; d.Reason != link.CannotBind || !strings.HasPrefix(d.Message, want) || d.Since.IsZero() {
					t.Errorf("told: %+v", d)
				}
				if len(b.quarantine.held) > 0 || b.process == nil || b.retryBinds() {
					t.Errorf("held: %v, process %v", b.quarantine.held, b.process)
				}
			}
			reload := func() { b.node.Tuning.Timeouts.Client += weir.Duration(time.Second) }

			lacking()
			remove := weirtest.AddNamespace(t, name)
			again()
			if d := b.said("address/vip"); d.Message != "" {
				t.Errorf("told: %+v", d)
			}
			b.servedIn(name, "")
			for _, bound := range b.have.Binds() {
				if bound.UDP || bound.Namespace != name {
					t.Errorf("listened at: %+v", bound)
				}
			}
			if got := b.proven(); got != "1" {
				t.Errorf("proven: %s", got)
			}
			reload()
			b.converge()
			b.settled()
			b.servedIn(name, "")

			// Out of it and back, while another program has a port inside.
			b.node.Self.Namespace = ""
			b.converge()
			b.settled()
			if got := fmt.Sprint(b.reloads.Reasons); !strings.Contains(got, "opened in HAProxy's own network namespace (namespace)") {
				t.Errorf("reloads: %s", got)
			}
			b.servedIn("", name)
			var holder net.Listener
			if err := hapctl.InNamespace(name, func() (err error) {
				holder, err = net.Listen("tcp", netip.AddrPortFrom(b.at(17), 8443).String())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			go func() {
				for c, err := holder.Accept(); err == nil; c, err = holder.Accept() {
					c.Close()
				}
			}()
			b.node.Self.Namespace = name
			b.converge()
			b.settled()
			d := b.said("address/vip")
			if d.Reason != link.CannotBind || !strings.Contains(d.Message, "port 8443 in network namespace "+name+": another program listens there") {
				t.Errorf("told: %+v", d)
			}
			if clear, _ := b.within(name); clear != nil {
				t.Errorf("the other port: %v", clear)
			}
			holder.Close()
			again()
			b.servedIn(name, "")
			// It goes: what needs no reload is done, and a reload leaves it out.
			remove()
			b.node.Pools[0].Servers[0].Weight = 50
			b.converge()
			b.settled()
			if d := b.said("address/vip"); d.Message != "" {
				t.Errorf("told: %+v", d)
			}
			reload()
			lacking()
			weirtest.AddNamespace(t, name)
			again()
			b.servedIn(name, "")
		})
	}
}
