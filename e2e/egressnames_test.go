package e2e

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// TestNamesOfPartnersMove: a partner is where a real name server says, with its name in SNI and certificate; one that is
// nowhere yet is told of and answered 503; addresses that come, change and go take no reload on 3.4, a name that is gone keeps
// its last ones, also when the control plane starts anew; and load balancers that ask for themselves see the same.
func TestNamesOfPartnersMove(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		zone := weirtest.KnotZone{Name: "example.test."}
		k := weirtest.StartKnot(t, zone)
		w := newWorld(t)
		w.stopServer()
		w.resolvers = []string{k.Addr}
		w.startServer()
		w.origin(200, "web1")
		inside, theirs := newAuthority(t, "inside"), newAuthority(t, "theirs")
		for host, name := range map[int]string{201: "first", 202: "second"} {
			w.secureOrigin(w.at(host).String()+":4430", name, &tls.Config{Certificates: []tls.Certificate{theirs.issue("moves.example.test", "later.example.test").tls(t)}})
		}
		set := func(names map[string]int) {
			zone.Records = nil
			for name, host := range names {
				zone.Records = append(zone.Records, name+" A "+w.at(host).String())
			}
			k.Change(zone)
		}
		set(map[string]int{"moves": 201})
		me := w.at(50).String()
		named := func(name, host, more string) string {
			return strings.Replace(partner(name, host, 4430, "", "ca: theirs"), "addresses: []", more, 1)
		}
		manifests := w.oneZone() + inside.sign(rsaKey(t, 2048), "egress.inside").manifest("inside") + keyPair{chain: theirs.pem}.manifest("theirs") + w.egressSite(me) +
			named("moves", "moves.example.test", "prefer: ipv4") + named("later", "later.example.test", "prefer: ipv6") + named("own", "moves.example.test", "resolve: load-balancer")
		w.apply(strings.Replace(manifests, "spec: {ports: [", `spec: {nameservers: ["`+k.Addr+`"], ports: [`, 1))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		client := tlsClient{w: w, roots: inside.pool(), sni: "egress.inside", source: me}
		answers := func(partner string, status int, origin string) {
			t.Helper()
			weirtest.Eventually(t, waitLong, func() error {
				got, err := client.get(w.at(17).String()+":8443", "egress.inside", "/myback/prod/"+partner+"/prod/www/high/x")
				if err != nil || got.status != status || got.origin != origin {
					return fmt.Errorf("%s: %d by %q, want %d by %q: %v", partner, got.status, got.origin, status, origin, err)
				}
				return nil
			})
		}
		answers("moves", 200, "first")
		answers("own", 200, "first")
		answers("later", 503, "")
		w.says("partners/moves", "Resolved", "True", "moves.example.test is "+w.at(201).String()+", by "+k.Addr)
		w.says("partners/own", "Resolved", "True", "load balancers ask "+k.Addr+" (group edge) for moves.example.test")
		w.says("partners/later", "Resolved", "False", "since 20", "NXDOMAIN", "calls to it are answered 503")
		reloads := w.reloads()
		set(map[string]int{"moves": 202, "later": 201})
		answers("moves", 200, "second")
		answers("own", 200, "second")
		answers("later", 200, "first")
		w.says("partners/later", "Resolved", "True")
		set(nil)
		w.says("partners/moves", "Resolved", "False", "NXDOMAIN", "what it had last stays: "+w.at(202).String())
		answers("own", 503, "")
		answers("moves", 200, "second")
		w.stopServer()
		w.startServer()
		w.says("partners/moves", "Resolved", "False", "what it had last stays: "+w.at(202).String())
		answers("moves", 200, "second")
		set(map[string]int{"moves": 201})
		answers("moves", 200, "first")
		answers("own", 200, "first")
		w.says("partners/moves", "Resolved", "True")
		// The name server itself is gone: what the control plane heard last stays, what load balancers ask for is told.
		k.Stop()
		w.says("partners/moves", "Resolved", "False", "what it had last stays: "+w.at(201).String())
		answers("own", 503, "")
		answers("moves", 200, "first")
		if got := w.reloads() - reloads; got > 0 && h.Version == "3.4" {
			t.Errorf("names took %d reloads: %+v", got, w.status())
		}
	})
}
