package bench

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

var acmeFigures = []string{"acme_certs_per_second", "acme_certs_lost", "acme_orders", "acme_over_budget"}

const (
	// acmeCount certificates are all that the issuer's budget allows, and acmeMore are wanted above that.
	acmeCount, acmeMore = 1_000, 20
	acmeInOne           = 255 // of an apply
	acmeMost            = 4 * time.Minute
)

// acmeWorld is a load balancer that answers an authority's questions, and the authority.
type acmeWorld struct {
	*fleet
	pebble *weirtest.Pebble
}

// measureACME wants more certificates than the budget of an account allows, each with a Site of its name, and follows
// them until a client is shown as many as are allowed. The authority asks the load balancer at port 80.
func measureACME(t *testing.T) []figure {
	w := startACME(t)
	var bodies []string
	for from := 0; from < acmeCount+acmeMore; from += acmeInOne {
		bodies = append(bodies, w.wishes(from, min(from+acmeInOne, acmeCount+acmeMore)))
	}
	began := time.Now()
	for _, body := range bodies {
		w.must(http.MethodPost, "apply?reason=bench&brief=true", body)
	}
	applied := time.Since(began)
	w.eventually("the authority has given as many certificates as the budget allows", acmeMost, func() error {
		if n := w.pebble.Done(weirtest.PebbleReadCertificate); n < acmeCount {
			return fmt.Errorf("%d of %d", n, acmeCount)
		}
		return nil
	})
	given := time.Since(began)
	var come []int
	w.eventually("all of them are the objects', and the others wait for the budget", acmeMost, func() (err error) {
		come, err = w.come()
		return err
	})
	shown := w.shown(come)
	seconds := time.Since(began).Seconds()
	w.eventually("the load balancer is read back", time.Minute, w.converged)
	orders := w.pebble.Done(weirtest.PebbleNewOrder)
	t.Logf("applied after %.3g s, all given after %.3g s, all shown after %.3g s; %d orders", applied.Seconds(), given.Seconds(), seconds, orders)
	return []figure{
		{acmeFigures[0], float64(shown) / seconds, "certs/s"},
		{acmeFigures[1], float64(acmeCount - shown), "certs"},
		{acmeFigures[2], float64(orders), "orders"},
		{acmeFigures[3], float64(orders - acmeCount), "orders"},
	}
}

func startACME(t *testing.T) *acmeWorld {
	t.Helper()
	w := &acmeWorld{
		fleet:  startControlPlane(t, newLoop(t), 1),
		pebble: weirtest.NewPebble(t, weirtest.PebbleOptions{HTTPPort: fleetPort, RejectNonces: 5}),
	}
	w.client.Timeout = time.Minute
	weirtest.NewOrigin(t, w.originAddr(firstOrigin).String())
	for n := range acmeCount + acmeMore {
		w.pebble.Resolve(acmeName(n), w.fleetVIP(0).Addr().String())
	}
	first := benchCertificates(t, 1)[0]
	w.must(http.MethodPost, "apply?reason=bench", w.acmePlatform(first))
	w.startLoadBalancer(0)
	w.eventually("the load balancer is read back", 30*time.Second, w.converged)
	return w
}

// acmePlatform is the authority with its budget, and a first site, so that both ports are there.
func (w *acmeWorld) acmePlatform(first benchCertificate) string {
	object := func(kind, name, role string, spec map[string]any) string {
		raw, err := json.Marshal(map[string]any{"kind": kind, "metadata": map[string]string{"name": name, "role": role}, "spec": spec})
		if err != nil {
			w.t.Fatal(err)
		}
		return string(raw)
	}
	return "# YAML\n" + strings.Join([]string{
		"kind: Tuning\nmetadata: {name: default}\nspec: {threads: 1, ports: [{port: 80, mode: http}, {port: 443, mode: https}]}",
		"kind: IPAddress\nmetadata: {name: www-az1, role: web}\nspec: {address: 203.0.113.1, homeZone: az1, groups: [edge]}",
		"kind: Pool\nmetadata: {name: web, role: web}\nspec: {selector: {role: web}, port: http, healthCheck: {path: /ping}}",
		object("Certificate", "first", "web", map[string]any{"chain": first.chain, "key": first.key}),
		object("Certificate", "pebble", "", map[string]any{"chain": w.pebble.Cert}),
		object("Issuer", "public", "", map[string]any{"type": "acme", "acme": map[string]any{
			"directory": w.pebble.Directory, "authority": "pebble", "budget": map[string]any{"certificates": acmeCount, "per": "1h"},
		}}),
		w.siteOf("first", "p0000.example.com"),
	}, "\n---\n") + "\n" + w.server(firstOrigin, 100)
}

func acmeName(n int) string { return fmt.Sprintf("a%04d.example.org", n) }

// wishes are Certificates to be ordered, and the Sites that show them.
func (w *acmeWorld) wishes(from, to int) string {
	var list []string
	for n := from; n < to; n++ {
		name := fmt.Sprintf("a%04d", n)
		list = append(list, fmt.Sprintf(`{"kind":"Certificate","metadata":{"name":%q,"role":"web"},"spec":{"issuer":"public","names":[%q]}}`, name, acmeName(n)), w.siteOf(name, acmeName(n)))
	}
	return `{"kind":"List","items":[` + strings.Join(list, ",") + `]}`
}

func (w *acmeWorld) siteOf(certificate, name string) string {
	return fmt.Sprintf(`{"kind":"Site","metadata":{"name":%q,"role":"web"},"spec":{"hostnames":[%q],"addresses":["www-az1"],"backends":{"default":"web"},`+
		`"listeners":[{"port":80},{"port":443,"tls":{"certificates":[%q]}}]}}`, certificate, name, certificate)
}

// come gives which of the wished certificates there are; an error until as many as the budget allows have come, and all
// others say that they wait for it.
func (w *acmeWorld) come() (list []int, err error) {
	raw, err := w.call(http.MethodGet, "certificates", "")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ Info *struct{ Serial string } }
			Status   struct{ Conditions []weir.Condition }
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, err
	}
	waiting := 0
	for _, c := range answer.Items {
		var n int
		switch _, err := fmt.Sscanf(c.Metadata.Name, "a%d", &n); {
		case err != nil:
		case c.Spec.Info != nil:
			list = append(list, n)
		case slices.ContainsFunc(c.Status.Conditions, func(c weir.Condition) bool {
			return c.Type == weir.Issued && strings.Contains(c.Message, "not ordered before") && strings.Contains(c.Message, fmt.Sprintf("%d orders", acmeCount))
		}):
			waiting++
		}
	}
	if len(list) < acmeCount || waiting != acmeMore {
		return nil, fmt.Errorf("%d of %d, and %d wait for the budget", len(list), acmeCount, waiting)
	}
	return list, nil
}

// shown counts of how many names a client is shown a certificate of the authority's, once the load balancer has had time
// enough for it.
func (w *acmeWorld) shown(names []int) (count int) {
	w.t.Helper()
	at := netip.AddrPortFrom(w.fleetVIP(0).Addr(), certsPort).String()
	config := &tls.Config{RootCAs: w.pebble.Roots(), MinVersion: tls.VersionTLS12}
	for _, n := range names {
		config.ServerName = acmeName(n)
		w.eventually(acmeName(n)+" is shown its certificate", 30*time.Second, func() error {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", at, config)
			if err != nil {
				return err
			}
			return conn.Close()
		})
		count++
	}
	return count
}
