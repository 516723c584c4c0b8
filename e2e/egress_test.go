package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// egressSite is a way out for prod at port 8443, with old TLS inside, and the client myback at an address.
func (w *world) egressSite(client string) string {
	return `---
kind: Site
metadata: {name: out, role: web}
spec:
  hostnames: [egress.inside]
  addresses: [www]
  listeners: [{port: 8443, tls: {certificates: [inside], profile: legacy}}]
  egress: {environments: [prod]}
---
kind: EgressClient
metadata: {name: myback, role: web}
spec: {environment: prod, sources: [` + client + `/32]}
---
kind: SLA
metadata: {name: high}
spec: {server: 5s, inFlight: 100}
`
}

// partner is a Partner with one service, which myback may call at level high.
func partner(name, host string, port int, at, tls string) string {
	return fmt.Sprintf(`---
kind: Partner
metadata: {name: %[1]s, role: web}
spec: {endpoints: [{environment: prod, service: www, host: %[2]s, port: %[3]d, addresses: [%[4]s], tls: {%[5]s}}]}
---
kind: EgressRule
metadata: {name: myback-%[1]s, role: web}
spec: {clients: [myback], partner: %[1]s, slas: [high]}
`, name, host, port, at, tls)
}

// TestEgress: an application that speaks TLS 1.0 calls partners that want today's, by rules alone; each partner is verified
// by name and authority and shown our certificate; and a new one, with an authority and a certificate of its own, takes no
// reload, nor does a split of calls, or maintenance, by a Schedule too.
func TestEgress(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		inside, theirs, ours := newAuthority(t, "inside"), newAuthority(t, "theirs"), newAuthority(t, "ours")
		asked := x509.NewCertPool()
		asked.AddCert(ours.cert)
		serve := func(host int, min uint16, names ...string) string {
			w.secureOrigin(w.at(host).String()+":4430", names[0], &tls.Config{
				Certificates: []tls.Certificate{theirs.issue(names...).tls(t)}, MinVersion: min, ClientCAs: asked, ClientAuth: tls.VerifyClientCertIfGiven,
			})
			return w.at(host).String()
		}
		at := serve(201, tls.VersionTLS12, "www.example.net")
		modern := serve(202, tls.VersionTLS13, "modern.example.net")
		me := w.at(50).String()
		w.apply(w.oneZone() + inside.sign(rsaKey(t, 2048), "egress.inside").manifest("inside") + keyPair{chain: theirs.pem}.manifest("theirs") + w.egressSite(me) +
			partner("example", "www.example.net", 4430, at, "ca: theirs") +
			partner("modern", "modern.example.net", 4430, modern, "ca: theirs, minVersion: TLSv1.3") +
			partner("wrong-name", "other.example.net", 4430, at, "ca: theirs") +
			partner("system", "www.example.net", 4430, at, "") +
			partner("ceiling", "modern.example.net", 4430, modern, "ca: theirs, maxVersion: TLSv1.2"))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)

		vip := w.at(17).String() + ":8443"
		client := tlsClient{w: w, roots: inside.pool(), sni: "egress.inside", source: me}
		call := func(partner string) (tlsAnswer, error) {
			return client.get(vip, "egress.inside", "/myback/prod/"+partner+"/prod/www/high/x")
		}
		if got := client.serves(vip, "egress.inside", "/myback/prod/example/prod/www/high/hello"); got.origin != "www.example.net" || got.header.Get("X-SNI") != "www.example.net" || got.header.Get("X-Client") != "" {
			t.Errorf("the partner answered %+v", got)
		}
		for name, want := range map[string]int{"modern": 200, "wrong-name": 503, "system": 503, "ceiling": 503, "nobody": 403} {
			if got, err := call(name); err != nil || got.status != want {
				t.Errorf("%s: %d, want %d: %v", name, got.status, want, err)
			}
		}
		other := client
		other.source = w.at(51).String()
		if got, err := other.get(vip, "egress.inside", "/myback/prod/example/prod/www/high/"); err != nil || got.status != 403 {
			t.Errorf("from elsewhere: %d, %v", got.status, err)
		}
		if status, body := old(t, client, vip, "/myback/prod/example/prod/www/high/old"); status != "200" {
			t.Errorf("by TLS 1.0: %s", body)
		}

		// One more partner, which asks for our certificate and has an authority of its own.
		reloads := w.reloads()
		third := newAuthority(t, "third")
		w.secureOrigin(w.at(203).String()+":4430", "third", &tls.Config{Certificates: []tls.Certificate{third.issue("t.example.net").tls(t)}, ClientCAs: asked, ClientAuth: tls.RequireAndVerifyClientCert})
		revision := w.apply(keyPair{chain: third.pem}.manifest("third") + ours.issue("myback").manifest("shown") +
			partner("third", "t.example.net", 4430, w.at(203).String(), "ca: third, clientCertificate: shown"))
		w.converged(revision)
		weirtest.Eventually(t, waitLong, func() error {
			if got, err := call("third"); err != nil || got.status != 200 || got.header.Get("X-Client") != "myback" {
				return fmt.Errorf("%d, shown %q: %v", got.status, got.header.Get("X-Client"), err)
			}
			return nil
		})
		if got := w.reloads() - reloads; got > 0 && h.Version == "3.4" {
			t.Errorf("a partner took %d reloads: %+v", got, w.status())
		}
		// Calls go over to another partner's service, which is closed then; no reload, with either version.
		reloads = w.reloads()
		w.converged(w.apply(`---
kind: Schedule
metadata: {name: since, role: web}
spec: {from: 2001-01-01T00:00:00Z, reason: "they moved"}
---
kind: Split
metadata: {name: moved, role: web}
spec: {site: out, schedule: since, legs: [{backend: example/prod/www, weight: 0}, {backend: modern/prod/www, weight: 1}]}
`))
		weirtest.Eventually(t, waitLong, func() error {
			if got, err := call("example"); err != nil || got.status != 200 || got.origin != "modern.example.net" {
				return fmt.Errorf("%d from %s: %v", got.status, got.origin, err)
			}
			return nil
		})
		closed := strings.Replace(partner("modern", "modern.example.net", 4430, modern, "ca: theirs, minVersion: TLSv1.3"), "spec: {endpoints", "spec: {maintenance: {status: 410, schedule: since}, endpoints", 1)
		w.converged(w.apply(closed))
		weirtest.Eventually(t, waitLong, func() error {
			if got, err := call("example"); err != nil || got.status != 410 {
				return fmt.Errorf("in maintenance: %d from %s: %v", got.status, got.origin, err)
			}
			return nil
		})
		if got := w.reloads() - reloads; got > 0 {
			t.Errorf("a split and maintenance took %d reloads: %+v", got, w.status())
		}
		// What is taken back is refused.
		if _, err := w.call("DELETE", "/api/v1/egressrules/myback-third?reason=test", "", nil); err != nil {
			t.Fatal(err)
		}
		weirtest.Eventually(t, waitLong, func() error {
			if got, err := call("third"); err != nil || got.status != 403 {
				return fmt.Errorf("without a rule: %d, %v", got.status, err)
			}
			return nil
		})
	})
}

// old asks as an application of twenty years does, by TLS 1.0.
func old(t *testing.T, c tlsClient, addr, path string) (status, all string) {
	t.Helper()
	config := c.config()
	config.MinVersion, config.MaxVersion, config.CipherSuites = tls.VersionTLS10, tls.VersionTLS10, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
	var conn net.Conn
	conn, err := tls.DialWithDialer(c.dialer(), "tcp", addr, config)
	if err != nil {
		return "", err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(waitLong))
	fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: egress.inside\r\n\r\n", path)
	answer, _ := io.ReadAll(conn)
	_, rest, _ := strings.Cut(string(answer), " ")
	status, _, _ = strings.Cut(rest, " ")
	return status, string(answer)
}
