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

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"weir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

// client3 speaks HTTP/3 to the bed's address, over one connection for each host.
func (b *bed) client3() *http3.Transport {
	b.t.Helper()
	c := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	c.Dial = func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
		return quic.DialAddr(ctx, b.secured().String(), t, q)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

func (b *bed) secured() netip.AddrPort { return netip.AddrPortFrom(b.at(17), 8443) }

// ask gives the answer of a site of the bed, without its body.
func (b *bed) ask(ctx context.Context, by http.RoundTripper, site string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+site+".example:8443/", nil)
	if err != nil {
		return nil, err
	}
	answer, err := by.RoundTrip(request)
	if err == nil {
		answer.Body.Close()
	}
	return answer, err
}

// A port answers HTTP/3 after one reload, with certificates that change at run time, and through reloads; where another
// program has its UDP port, all else serves.
func TestHTTP3IsServed(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		v := newVault(t)
		b.key = v.key
		for i, name := range []string{"one", "two"} {
			b.site(name, byte(40+i))
			b.node.Certificates = append(b.node.Certificates, v.ecdsa(name, name+".example"))
			b.secure(i, name)
		}
		b.converge()
		b.settled()
		b.serves("one")
		reloads := b.reloads.Count

		// Another program has the port, and shares it with nobody.
		taken, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(b.secured()))
		if err != nil {
			t.Fatal(err)
		}
		b.node.Sites[0].Listeners[1].TLS.HTTP3 = true
		b.converge()
		b.settled()
		b.serves("one")
		said := resourceReport(link.State{Resources: b.node.Resources()}, b.engine, nil).Deviations["address/vip"]
		if said.Reason != link.CannotBindUDP || !strings.Contains(said.Message, "port 8443 for HTTP/3 (UDP): another program listens there") {
			t.Errorf("told: %+v", said)
		}
		if !strings.Contains(fmt.Sprint(b.reloads.Reasons), "port 8443 answers HTTP/3 for the first time (http3)") {
			t.Errorf("reloads: %v", b.reloads.Reasons)
		}
		taken.Close()
		if !b.retryBinds() {
			t.Errorf("left out: %v", b.refusedBinds)
		}
		b.converge()
		b.settled()
		if b.reloads.Count != reloads+2 {
			t.Errorf("%d reloads: %v", b.reloads.Count-reloads, b.reloads.Reasons)
		}

		ctx, cancel := contextFor(t)
		defer cancel()
		old := b.client3()
		serial := func(site string, by http.RoundTripper) string {
			t.Helper()
			r, err := b.ask(ctx, by, site)
			if err != nil || r.StatusCode != 200 || r.ProtoMajor != 3 {
				t.Fatalf("%s: %+v, %v", site, r, err)
			}
			return r.TLS.PeerCertificates[0].SerialNumber.String()
		}
		first := serial("one", old)
		if shown, err := b.shown("one.example"); shown != first {
			t.Errorf("another certificate than over TLS, %v", err)
		}
		if r, err := b.ask(ctx, old, "two"); err != nil || r.StatusCode != 421 {
			t.Errorf("a site that did not ask for HTTP/3: %+v, %v", r, err)
		}
		overTCP := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, b.secured().String())
		}}
		for site, want := range map[string]string{"one": `h3=":8443";ma=3600`, "two": ""} {
			if r, err := b.ask(ctx, overTCP, site); err != nil || r.Header.Get("Alt-Svc") != want {
				t.Errorf("%s: %+v, %v", site, r, err)
			}
		}

		reloads = b.reloads.Count
		b.node.Certificates[0] = v.ecdsa("one", "one.example")
		b.converge()
		b.settled()
		if now := serial("one", b.client3()); now == first {
			t.Error("the old certificate is shown")
		}
		b.node.Sites[1].Listeners[1].TLS.HTTP3 = true
		b.converge()
		b.settled()
		serial("two", b.client3())
		if b.reloads.Count != reloads {
			t.Errorf("reloads: %v", b.reloads.Reasons)
		}

		// A connection that was there before outlives reloads, and new ones find the new worker. What is being made at the
		// moment of a reload may be lost (docs/decisions/0053-listeners-and-sources.md).
		for range 2 {
			b.node.Tuning.Timeouts.Client += weir.Duration(time.Second)
			b.converge()
			serial("one", old)
			serial("one", b.client3())
		}
		if b.reloads.Count != reloads+2 {
			t.Errorf("%d reloads", b.reloads.Count-reloads)
		}
	})
}
