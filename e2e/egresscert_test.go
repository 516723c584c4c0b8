package e2e

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// anySession is of one client that resumes a session with whatever name it calls, as no honest one does.
type anySession struct{ kept *tls.ClientSessionState }

func (s *anySession) Get(string) (*tls.ClientSessionState, bool)    { return s.kept, s.kept != nil }
func (s *anySession) Put(_ string, session *tls.ClientSessionState) { s.kept = session }

// TestApplicationsShowCertificates: an EgressClient with a subject is believed by the certificate that its connection has
// shown, of the site's authority, resumed or not, and by no other; and all that takes no reload. When the authority is replaced,
// whoever was believed by the one before no longer is.
func TestApplicationsShowCertificates(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		inside, theirs, ours, strangers := newAuthority(t, "inside"), newAuthority(t, "theirs"), newAuthority(t, "ours"), newAuthority(t, "strangers")
		w.secureOrigin(w.at(201).String()+":4430", "partner", &tls.Config{Certificates: []tls.Certificate{theirs.issue("www.example.net").tls(t)}})
		me := w.at(50).String()
		w.apply(w.oneZone() + inside.issue("egress.inside").manifest("inside") + inside.issue("www.inside").manifest("beside") + keyPair{chain: theirs.pem}.manifest("theirs") + w.egressSite(me) + `---
kind: Site
metadata: {name: beside, role: web}
spec: {hostnames: [www.inside], addresses: [www], listeners: [{port: 8443, tls: {certificates: [beside]}}], backends: {default: web}}
---
kind: EgressClient
metadata: {name: open, role: web}
spec: {environment: prod, sources: [` + me + `/32]}
` + partner("example", "www.example.net", 4430, w.at(201).String(), "ca: theirs") + "---\nkind: EgressRule\nmetadata: {name: open, role: web}\nspec: {clients: [open], partner: example, slas: [high]}\n")
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)

		vip := w.at(17).String() + ":8443"
		client := tlsClient{w: w, roots: inside.pool(), sni: "egress.inside", source: me}
		const mine, theirCall = "/myback/prod/example/prod/www/high/x", "/open/prod/example/prod/www/high/x"
		client.serves(vip, "egress.inside", mine)

		reloads := w.reloads()
		var site, app map[string]any
		for path, out := range map[string]*map[string]any{"sites/out": &site, "egressclients/myback": &app} {
			if _, err := w.call("GET", "/api/v1/"+path, "", out); err != nil {
				t.Fatal(err)
			}
		}
		site["spec"].(map[string]any)["egress"].(map[string]any)["clientAuthority"] = "ours"
		app["spec"].(map[string]any)["subject"] = "CN=myback"
		w.converged(w.apply(keyPair{chain: ours.pem}.manifest("ours") + "---\n" + toJSON(site) + "\n---\n" + toJSON(app)))

		with := func(c tlsClient, pair keyPair) tlsClient {
			c.shows = new(pair.tls(t))
			return c
		}
		status := func(c tlsClient, host, path string) string {
			got, err := c.get(vip, host, path)
			if err != nil {
				return "no handshake"
			}
			return fmt.Sprint(got.status)
		}
		named := with(client, ours.issue("myback"))
		weirtest.Eventually(t, waitLong, func() error {
			if got := status(client, "egress.inside", mine); got != "403" {
				return fmt.Errorf("without a certificate: %s", got)
			}
			return nil
		})
		if got := w.reloads() - reloads; got > 0 && h.Version == "3.4" {
			t.Errorf("certificates of applications took %d reloads: %+v", got, w.status())
		}
		beside := named
		beside.sni = "www.inside"
		for _, test := range []struct {
			name       string
			client     tlsClient
			path, want string
		}{
			{"its own certificate", named, mine, "200"},
			{"somebody else's", with(client, ours.issue("yourback")), mine, "403"},
			{"its name by another authority", with(client, strangers.issue("myback")), mine, "no handshake"},
			{"a connection that was made for another site", beside, mine, "421"},
			{"an application that needs none", client, theirCall, "200"},
			{"one that needs none and shows one", named, theirCall, "200"},
		} {
			if got := status(test.client, "egress.inside", test.path); got != test.want {
				t.Errorf("%s: %s, want %s", test.name, got, test.want)
			}
		}

		// Programs that are composed show it, and say what they are told when it is another one.
		if h.Version == "3.4" {
			proxy := detour(t, me, vip)
			const call = "myback/url?partner=example&service=www&sla=high&rest=%2Fx"
			for language, got := range w.programs(call, proxy, inside, ours.issue("myback")) {
				if !strings.HasPrefix(got, "true ") {
					t.Errorf("the program in %s: %s", language, got)
				}
			}
			for language, got := range w.programs(call, proxy, inside, ours.issue("yourback")) {
				if !strings.HasPrefix(got, "false ") || !strings.Contains(got, "calls with a certificate of its own, which was not shown") {
					t.Errorf("the program in %s with somebody else's certificate: %s", language, got)
				}
			}
		}

		// Sessions that are resumed have the certificate of the handshake that began them.
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			from := func(c tlsClient, then string) (resumed string) {
				c.sessions, c.version = &anySession{}, version
				if _, err := c.get(vip, "egress.inside", mine); err != nil {
					t.Fatal(err)
				}
				c.shows, c.sni = nil, then
				return status(c, "egress.inside", mine)
			}
			weirtest.Eventually(t, waitLong, func() error { // now and then a ticket is not taken, which is a handshake without one
				if got := from(named, "egress.inside"); got != "200" {
					return fmt.Errorf("%s: resumed: %s", tls.VersionName(version), got)
				}
				return nil
			})
			if got := from(beside, "egress.inside"); got != "403" {
				t.Errorf("%s: resumed from a connection to another site: %s", tls.VersionName(version), got)
			}
		}

		// Nor does a session outlive the authority that signed its certificate.
		begun := map[uint16]*anySession{}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c := named
			begun[version] = &anySession{}
			c.sessions, c.version = begun[version], version
			if got := status(c, "egress.inside", mine); got != "200" {
				t.Errorf("%s: %s", tls.VersionName(version), got)
			}
		}
		next := newAuthority(t, "next")
		w.converged(w.apply(keyPair{chain: next.pem}.manifest("ours")))
		other := with(client, next.issue("myback"))
		weirtest.Eventually(t, waitLong, func() error {
			if got := status(other, "egress.inside", mine); got != "200" {
				return fmt.Errorf("by the new authority: %s", got)
			}
			return nil
		})
		if got := status(named, "egress.inside", mine); got != "no handshake" {
			t.Errorf("by the old authority: %s", got)
		}
		for version, session := range begun {
			c := client
			c.sessions, c.version = session, version
			if got := status(c, "egress.inside", mine); got != "403" {
				t.Errorf("%s: resumed after the authority has gone: %s", tls.VersionName(version), got)
			}
		}
	})
}
