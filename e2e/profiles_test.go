package e2e

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"weir/internal/api"
	"weir/internal/weirtest"
)

// plans gives what one load balancer would do with manifests.
func (w *world) plans(manifests string) api.LoadBalancerPlan {
	w.t.Helper()
	var answer struct{ Plan *api.PlanAnswer }
	if _, err := w.call("POST", "/api/v1/apply?dryRun=true&plan=true", manifests, &answer); err != nil {
		w.t.Fatal(err)
	}
	if len(answer.Plan.LoadBalancers) != 1 {
		w.t.Fatalf("plan: %+v", answer.Plan)
	}
	return answer.Plan.LoadBalancers[0]
}

// profiled is the site with twins of a certificate, and settings of its TLS.
func profiled(settings string) string {
	return strings.Replace(secureSite("shop", "shop.example.com", "[shop-ec, shop-rsa]"), "[shop-ec, shop-rsa]", "[shop-ec, shop-rsa], "+settings, 1)
}

// profiledWorld is a load balancer with that site, of the widest profile, a client of it, and where it is.
func profiledWorld(t *testing.T, h weirtest.HAProxy) (w *world, client tlsClient, at string) {
	t.Helper()
	w = newWorld(t)
	w.origin(200, "web1")
	ca := newAuthority(t, "ca")
	const name = "shop.example.com"
	w.apply(w.oneZone() + ca.issue(name).manifest("shop-ec") + ca.sign(rsaKey(t, 2048), name).manifest("shop-rsa") + profiled("profile: legacy"))
	w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	at = w.at(17).String() + ":8443"
	client = tlsClient{w: w, roots: ca.pool(), sni: name}
	client.serves(at, name, "/")
	return w, client, at
}

// agreesTo says whether a client that can do one version alone gets a handshake, and with which certificate.
func (c tlsClient) agreesTo(addr string, version uint16) (bool, string) {
	config := c.config()
	config.MinVersion, config.MaxVersion = version, version
	if version < tls.VersionTLS12 {
		config.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
	}
	conn, err := tls.DialWithDialer(c.dialer(), "tcp", addr, config)
	if err != nil {
		return false, ""
	}
	defer conn.Close()
	return true, conn.ConnectionState().PeerCertificates[0].PublicKeyAlgorithm.String()
}

// TestProfileChangesAtRunTime: from the oldest to the newest and back, as the plan says without a reload, and not one
// handshake of the clients that every profile takes fails; what the new profile refuses is refused at once.
func TestProfileChangesAtRunTime(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w, client, at := profiledWorld(t, h)
		reloads := w.reloads()
		steady := client
		steady.alpn = []string{"http/1.1"}
		load := w.shakeHands(at, "shop.example.com", steady.config())
		oldest := map[string]uint16{"modern": tls.VersionTLS13, "intermediate": tls.VersionTLS12, "legacy": tls.VersionTLS10}
		for _, profile := range []string{"modern", "legacy", "intermediate", "modern", "intermediate", "legacy"} {
			change := profiled("profile: " + profile)
			if plan := w.plans(change); len(plan.Reload) > 0 || len(plan.Commands) != 4 {
				t.Errorf("to %s: the plan is %q, reload %v", profile, plan.Commands, plan.Reload)
			}
			w.converged(w.apply(change))
			for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS13; version++ {
				if agreed, _ := client.agreesTo(at, version); agreed != (version >= oldest[profile]) {
					t.Errorf("%s: version %#04x is agreed to: %t", profile, version, agreed)
				}
			}
			for kind, suites := range map[string][]uint16{"RSA": onlyRSA, "ECDSA": onlyECDSA} {
				one := client
				one.ciphers = suites
				if agreed, got := one.agreesTo(at, tls.VersionTLS12); profile != "modern" && (!agreed || got != kind) {
					t.Errorf("%s: a client of %s is shown %q", profile, kind, got)
				}
			}
			load.more(10)
		}
		load.flawless()
		if w.reloads() != reloads {
			t.Errorf("profiles took a reload: %+v", w.status())
		}
	})
}

// TestHSTSAndEarlyDataAreChanged: the header comes, changes and goes at run time; the first site of a port that takes
// early data is a reload that the plan names, and the last, and nothing between.
func TestHSTSAndEarlyDataAreChanged(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w, ca := secureWorld(t, h, "")
		at := w.at(17).String() + ":8443"
		client := tlsClient{w: w, roots: ca.pool(), sni: "one.example.com"}
		reloads := w.reloads()
		site := func(name, settings string) string {
			return strings.Replace(secureSite(name, name+".example.com", "["+name+"]"), "["+name+"]}", "["+name+"]"+settings+"}", 1)
		}
		for settings, want := range map[string]string{
			", hsts: {maxAge: 10m}": "max-age=600", ", hsts: {maxAge: 8760h, includeSubdomains: true}": "max-age=31536000;includeSubDomains", "": "", ", hsts: {maxAge: 0s}": "max-age=0",
		} {
			w.converged(w.apply(site("one", settings)))
			if got := client.serves(at, "one.example.com", "/").header.Get("Strict-Transport-Security"); got != want {
				t.Errorf("%q: the header is %q", settings, got)
			}
		}
		if w.reloads() != reloads {
			t.Errorf("HSTS took a reload: %+v", w.status())
		}
		for _, step := range []struct {
			name, settings string
			reload         string
		}{
			{"one", ", earlyData: true", "takes early data for the first time (earlyData)"},
			{"two", ", earlyData: true", ""},
			{"one", "", ""},
			{"two", "", "takes no early data any more (earlyData)"},
		} {
			change := site(step.name, step.settings)
			plan := w.plans(change)
			if got := fmt.Sprint(plan.Reload); (len(plan.Reload) == 0) != (step.reload == "") || !strings.Contains(got, step.reload) {
				t.Errorf("%s%s: the plan is to reload for %s", step.name, step.settings, got)
			}
			if step.reload != "" {
				reloads++
			}
			w.converged(w.apply(change))
			if w.reloads() != reloads {
				t.Errorf("%s%s: %d reloads, want %d", step.name, step.settings, w.reloads(), reloads)
			}
			client.serves(at, "one.example.com", "/")
		}
	})
}

// TestSessionsEndWithTheirProfile: what was agreed before a narrower profile came is not resumed under that.
func TestSessionsEndWithTheirProfile(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w, client, at := profiledWorld(t, h)
		config := client.config()
		config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		again := func() (tls.ConnectionState, error) {
			conn, err := tls.DialWithDialer(client.dialer(), "tcp", at, config)
			if err != nil {
				return tls.ConnectionState{}, err
			}
			defer conn.Close()
			return conn.ConnectionState(), nil
		}
		if _, err := again(); err != nil {
			t.Fatal(err)
		}
		if state, err := again(); err != nil || !state.DidResume {
			t.Fatalf("no session to resume: %v", err)
		}
		w.converged(w.apply(profiled("profile: intermediate")))
		state, err := again()
		if err == nil {
			t.Errorf("under intermediate a session with suite %#04x: resumed %t", state.CipherSuite, state.DidResume)
		}
		w.converged(w.apply(profiled("profile: modern")))
		if _, err := again(); err == nil {
			t.Error("a session of TLS 1.2 was resumed under modern")
		}
	})
}
