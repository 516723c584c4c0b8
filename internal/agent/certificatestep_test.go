package agent

import (
	"testing"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// TestWhatACrashLeftOfACertificate: an agent that was killed after any of the four steps by which a certificate comes,
// or is renewed, is followed by one that ends the open transaction first, and goes on to what is wanted, by handshakes.
func TestWhatACrashLeftOfACertificate(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b, v := newBed(t, h), newVault(t)
		b.key = v.key
		b.site("www", 40)
		b.listen("www", 8443, weir.PortHTTPS, "intermediate", []string{"www.example"}, "www")
		b.node.Certificates = []ir.Certificate{v.ecdsa("www", "www.example")}
		b.converge()
		pem := func(c ir.Certificate) string { return c.Chain.String() + v.keys[v.last[c.Name]] }
		do := func(payload string, words ...string) {
			t.Helper()
			c, err := hapctl.NewCommand(words...)
			if err == nil && payload != "" {
				c, err = c.WithPayload(payload)
			}
			if err == nil {
				_, err = b.process.Client().Do(t.Context(), c)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		const list = "certs/port-8443.list"
		steps := []func(c ir.Certificate, file string){
			func(_ ir.Certificate, file string) {
				if file != "certs/www.pem" {
					do("", "new", "ssl", "cert", file)
				}
			},
			func(c ir.Certificate, file string) { do(pem(c), "set", "ssl", "cert", file) },
			func(_ ir.Certificate, file string) { do("", "commit", "ssl", "cert", file) },
			func(c ir.Certificate, file string) {
				if file != "certs/www.pem" {
					do(haproxy.CrtEntry{File: file, Options: "ssl-min-ver TLSv1.2", SNI: c.Names}.Line()+"\n", "add", "ssl", "crt-list", list)
				}
			},
		}
		for last := range len(steps) {
			for _, renewed := range []bool{true, false} {
				c, sites := v.ecdsa("www", "www.example"), b.node.Sites[:1:1]
				b.node.Certificates = []ir.Certificate{c}
				if !renewed {
					c = v.ecdsa("xtra", "xtra.example")
					b.node.Certificates = append(b.node.Certificates, c)
					extra := sites[0]
					extra.Name, extra.Hostnames = "xtra", []string{"xtra.example"}
					extra.Listeners = []ir.Listener{{Port: 8443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: []string{"xtra"}, Profile: "intermediate"}}}
					sites = append(sites, extra)
				}
				b.node.Sites = sites
				for _, step := range steps[:last+1] {
					step(c, "certs/"+c.Name+".pem")
				}
				b.anew(h, v)
				if err := b.resume(t.Context(), b.node.Resources()); err != nil {
					t.Fatal(err)
				}
				if have, err := b.process.Client().Certs(t.Context()); err != nil || have.Transaction != "" {
					t.Errorf("after step %d: a transaction about %s is open, %v", last, have.Transaction, err)
				}
				if out := b.converge(); out.Reloaded {
					t.Errorf("after step %d: %+v", last, out.Plan)
				}
				b.settled()
				b.proven()
				for _, c := range b.node.Certificates {
					if got, err := b.shown(c.Names[0]); err != nil || got != serialOf(t, c) {
						t.Errorf("after step %d, renewed %v: %s is shown %s, %v", last, renewed, c.Name, got, err)
					}
				}
			}
		}
	})
}
