package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

// TestCertificatesAuto: a site that says certificates: auto gets a certificate for its host name, one more for one that
// is added, and none of that takes a reload or keeps http waiting; what it no longer wants is shown no more and can then
// be deleted, and before that nobody can.
func TestCertificatesAuto(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	pebble := weirtest.NewPebble(t, weirtest.PebbleOptions{HTTPPort: 80})
	w := newWorld(t)
	addr := w.at(17).String()
	w.origin(200, "web1")
	manifests := func(hosts, more string) string {
		text := strings.Replace(w.oneZone(), "listeners: [{port: 8080}]", "listeners: [{port: 80}"+more+"]", 1)
		return strings.Replace(text, "hostnames: [www.example.com]", "hostnames: ["+hosts+"]", 1)
	}
	const auto = ", {port: 8443, tls: {certificates: auto}}"
	for _, host := range []string{"www.example.com", "api.example.com"} {
		pebble.Resolve(host, addr)
	}
	issuer := "---\nkind: Certificate\nmetadata: {name: pebble}\nspec: {chain: " + fmt.Sprintf("%q", pebble.Cert) + "}\n" +
		"---\nkind: Issuer\nmetadata: {name: public}\nspec: {type: acme, acme: {directory: \"" + pebble.Directory + "\", authority: pebble}}\n"
	w.apply(manifests("www.example.com", "") + issuer)
	w.join("lb1", "edge", "az1", h, "")
	w.serves(addr+":80", "www.example.com", "/")
	reloads := w.reloads()
	w.apply(manifests("www.example.com", auto))
	serial := func(host string) (string, error) {
		c, err := tls.Dial("tcp", addr+":8443", &tls.Config{ServerName: host, RootCAs: pebble.Roots()})
		if err != nil {
			return "", err
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Text(16), nil
	}
	shown := func(host string) (now string) {
		t.Helper()
		weirtest.Eventually(t, waitLong, func() (err error) { now, err = serial(host); return err })
		return now
	}
	first := shown("www.example.com")
	w.apply(manifests("www.example.com, api.example.com", auto))
	second := shown("api.example.com")
	w.says("sites/www", "Certified", "True", "each host name has a certificate")
	if now := shown("www.example.com"); now != first || now == second {
		t.Errorf("for www.example.com %s is shown after %s, for api.example.com %s", now, first, second)
	}
	ordered := func(host string) string {
		return "certificates/" + weir.Order{Role: "web", Hostname: host, KeyType: "ecdsa-256", Issuer: "public"}.Name()
	}
	remove := func(host string) (status int, answer string) {
		t.Helper()
		status, err := w.call(http.MethodDelete, "/api/v1/"+ordered(host), "", nil)
		return status, fmt.Sprint(err)
	}
	if status, text := remove("api.example.com"); status != http.StatusBadRequest || !strings.Contains(text, "it is ordered by Weir for Site/www") {
		t.Errorf("to delete what a site wants is answered %d %s", status, text)
	}
	w.apply(manifests("www.example.com", auto))
	w.says(ordered("api.example.com"), "Issued", "True", "no site wants it since")
	weirtest.Eventually(t, waitLong, func() error {
		if s, err := serial("api.example.com"); err == nil {
			return fmt.Errorf("%s is shown still", s)
		}
		return nil
	})
	if status, text := remove("api.example.com"); status != http.StatusOK {
		t.Errorf("to delete what no site wants is answered %d %s", status, text)
	}
	if now := shown("www.example.com"); now != first {
		t.Errorf("%s is shown after %s", now, first)
	}
	if n := w.reloads(); n != reloads {
		t.Errorf("%d reloads", n-reloads)
	}
	if n := pebble.Done(weirtest.PebbleNewOrder); n != 2 {
		t.Errorf("%d orders were made for two names", n)
	}
}
