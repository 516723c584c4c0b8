package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// TestCertificatesComeByThemselves: a site whose certificate has still to be ordered gets it from an authority that asks
// any load balancer of the group, with two control planes that order it once; it is served by all, renewed when somebody
// asks, and gone everywhere when it is revoked, without a reload.
func TestCertificatesComeByThemselves(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	pebble := weirtest.NewPebble(t, weirtest.PebbleOptions{HTTPPort: 80, RejectNonces: 20})
	one, two := newCluster(t)
	two.token = one.token
	local := func(host int) string {
		return fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, one.at(16), one.at(host))
	}
	one.origin(200, "web1")
	authority := `{"kind":"Certificate","metadata":{"name":"pebble"},"spec":{"chain":` + fmt.Sprintf("%q", pebble.Cert) + `}}`
	objects := func(certificate string) string {
		return strings.Replace(one.oneZone(), "listeners: [{port: 8080}]", "listeners: [{port: 80, redirect: https}, {port: 8443, tls: {certificates: ["+certificate+"]}}]", 1)
	}
	// Of another name, so that nobody could be shown it.
	one.apply(objects("other") + newAuthority(t, "ca").issue("other.example.com").manifest("other"))
	hosts := []int{33, 49}
	pebble.Resolve("www.example.com", one.at(hosts[1]).String())
	one.join("lb1", "edge", "az1", h, local(32))
	two.join("lb2", "edge", "az1", h, local(48))
	one.converged(1)
	reloads := one.reloads()
	// What the condition says is what clients meet: they are shown the only certificate there is, for another name.
	one.says("sites/www", "Certified", "False", "www.example.com has no certificate at port 8443: Certificate/other is for other.example.com; clients that ask for it are shown Certificate/other and refuse it")
	weirtest.Eventually(t, waitLong, func() error { return shownAnother(one.at(hosts[0]).String()+":8443", "www.example.com") })
	one.apply(objects("www") + "---\n" + authority + "\n---\nkind: Issuer\nmetadata: {name: public}\nspec: {type: acme, default: true, acme: {directory: \"" + pebble.Directory + "\", authority: pebble, contact: [ops@example.com]}}\n" +
		"---\nkind: Certificate\nmetadata: {name: www, role: web}\nspec: {issuer: public, names: [www.example.com]}\n")
	serial := func(host int) (string, error) {
		c, err := tls.Dial("tcp", one.at(host).String()+":8443", &tls.Config{ServerName: "www.example.com", RootCAs: pebble.Roots()})
		if err != nil {
			return "", err
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Text(16), nil
	}
	served := func(not string) (now string) {
		t.Helper()
		weirtest.Eventually(t, waitLong, func() error {
			var all []string
			for _, host := range hosts {
				s, err := serial(host)
				if err != nil {
					return fmt.Errorf("%s: %w", one.at(host), err)
				}
				all = append(all, s)
			}
			if now = all[0]; all[0] != all[1] || now == not {
				return fmt.Errorf("served are %v, not other than %q", all, not)
			}
			return nil
		})
		return now
	}
	first := served("")
	one.says("sites/www", "Certified", "True", "the first to end is Certificate/www, at ")
	if n := pebble.Done(weirtest.PebbleNewOrder); n != 1 {
		t.Errorf("%d orders were made for one certificate", n)
	}
	put := func(more string) {
		t.Helper()
		one.apply("kind: Certificate\nmetadata: {name: www, role: web}\nspec: {issuer: public, names: [www.example.com]" + more + "}\n")
	}
	asked := time.Now().UTC().Add(time.Second).Format(time.RFC3339)
	put(", renewAt: " + asked)
	second := served(first)
	put(fmt.Sprintf(", renewAt: %s, revoked: {at: %s, reason: cessationOfOperation}", asked, asked))
	weirtest.Eventually(t, waitLong, func() error {
		for _, host := range hosts {
			if s, err := serial(host); err == nil {
				return fmt.Errorf("%s serves %s still", one.at(host), s)
			} else if unknown := (*x509.UnknownAuthorityError)(nil); errors.As(err, &unknown) {
				return fmt.Errorf("%s serves something else", one.at(host))
			}
		}
		return nil
	})
	if n := one.reloads(); n != reloads {
		t.Errorf("%d reloads", n-reloads)
	}
	if n := pebble.Done(weirtest.PebbleNewOrder); n != 2 || first == second {
		t.Errorf("%d orders were made for a certificate and its renewal", n)
	}
}

// shownAnother is nil when a client is shown a certificate that is not for the name that it asked for.
func shownAnother(addr, name string) error {
	c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.ConnectionState().PeerCertificates[0].VerifyHostname(name); err == nil {
		return fmt.Errorf("%s shows a certificate for %s", addr, name)
	}
	return nil
}
