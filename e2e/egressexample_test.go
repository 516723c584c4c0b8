package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// waysOut is deploy/examples/egress with authorities of the test's in the place of those in the files. Partners that
// somebody calls are at port 4430 of a second network of the test's, and are believed by an authority of the test's
// where the files say the system's.
type waysOut struct {
	*example
	partners      string // network, as 127.1.2.
	state, pixels *authority
}

// publicPartners are those called whose certificates the system's authorities sign.
var publicPartners = []string{"inbox.north-general.example", "inbox-acc.north-general.example", "calendar.hillside.example", "claims.mutual-one.example"}

func newWaysOut(t *testing.T) *waysOut {
	w := &waysOut{partners: strings.TrimSuffix(weirtest.Prefix(t).Addr().String(), "0"), state: newAuthority(t, "state"), pixels: newAuthority(t, "pixels")}
	w.example = newExample(t, "egress", "10.11.0.", func(*world) map[string]string {
		words := map[string]string{
			"198.51.100.": w.partners, "192.0.2.": w.partners,
			// None of them is what another one makes: they are taken in any order.
			"tls: {minVersion": "port: 4430, tls: { ca: state-authority, minVersion",
			"tls: {maxVersion": "port: 4430, tls: { ca: state-authority, maxVersion",
			"tls: {ca":         "port: 4430, tls: { ca",
		}
		for _, host := range publicPartners {
			words["host: "+host] = "host: " + host + ", port: 4430, tls: { ca: state-authority}"
		}
		raw, err := os.ReadFile(filepath.Join(weirtest.Root(t), "deploy/examples/egress/certificates.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for i, chain := range regexp.MustCompile(`(?s) *-----BEGIN.*?-----END CERTIFICATE-----\n`).FindAllString(string(raw), -1) {
			words[chain] = indent([]*authority{w.state, w.pixels}[i].pem)
		}
		return words
	})
	return w
}

// serve runs the partner at an address of the second network, for names.
func (w *waysOut) serve(host int, of *authority, edit func(*tls.Config), names ...string) {
	w.t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{of.issue(names...).tls(w.t)}}
	if edit != nil {
		edit(config)
	}
	w.secureOrigin(fmt.Sprintf("%s%d:4430", w.partners, host), names[0], config)
}

// outcome is what one call came to.
type outcome struct {
	*http.Response
	body string
}

// call asks from an address of the applications' network, over TLS as old as max and HTTP/1.0.
func (w *waysOut) call(vip, host string, from int, max uint16, line string, roots *x509.CertPool) (outcome, error) {
	client := tlsClient{w: w.world, roots: roots, sni: host, source: w.at(from).String()}
	config := client.config()
	if max != 0 {
		config.MinVersion, config.MaxVersion, config.CipherSuites = max, max, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
	}
	conn, err := tls.DialWithDialer(client.dialer(), "tcp", vip, config)
	if err != nil {
		return outcome{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(waitLong))
	fmt.Fprintf(conn, "%s HTTP/1.0\r\nHost: %s\r\nX-Version: %d\r\n\r\n", line, host, conn.ConnectionState().Version)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return outcome{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return outcome{answer, string(body)}, err
}

// TestWaysOutOfAnAccount walks what the account of Inuits' egress controller tells, with deploy/examples/egress: two
// groups, 60 partners of all kinds, and applications of twenty years beside new ones.
func TestWaysOutOfAnAccount(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWaysOut(t)
	counts := map[string]int{}
	for _, o := range w.objects {
		counts[o.Kind]++
	}
	if counts["Partner"] != 60 || counts["EgressRule"] != 200 || counts["EgressClient"] != 28 || counts["SLA"] != 5 {
		t.Errorf("the example has %v", counts)
	}

	ours := x509.NewCertPool()
	ours.AddCert(w.authority("ways-out"))
	demands := func(c *tls.Config) { c.ClientCAs, c.ClientAuth = ours, tls.RequireAndVerifyClientCert }
	modern := func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }
	w.serve(10, w.state, nil, "inbox.north-general.example")
	w.serve(110, w.state, nil, "inbox-acc.north-general.example")
	w.serve(12, w.state, modern, "inbox.st-luke.example")
	w.serve(14, w.state, func(c *tls.Config) { // fails when 1.3 is offered
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
				return nil, errors.New("what is this?")
			}
			return nil, nil
		}
	}, "inbox.harbour-clinic.example")
	w.serve(15, w.state, nil, "calendar.hillside.example")
	w.serve(19, w.state, modern, "somebody.else.example") // university
	w.serve(20, w.state, nil, "gateway.military.example")
	w.serve(80, w.state, demands, "persons.national-registry.example") // the second of two addresses: nobody is at the first
	w.serve(39, w.pixels, modern, "images.scan-archive.example")
	w.serve(40, w.state, nil, "images.xray-cooperative.example") // of the wrong authority
	w.serve(81, w.state, nil, "claims.mutual-one.example")
	plain := weirtest.NewOrigin(t, w.partners+"21:8080")

	for _, name := range []string{"egress-prod", "egress-nonprod", "shown-to-state", "shown-to-banks"} {
		w.says("certificates/"+name, "Issued", "True")
	}
	ports := map[int]int{443: 8443}
	prod := w.balancerAt("p", "egress-prod", "hall-1", h, map[string]string{"203.0.113.160/29": w.at(232).String() + "/29"}, ports)
	w.balancerAt("n", "egress-nonprod", "hall-1", h, map[string]string{"203.0.113.168/29": w.at(240).String() + "/29"}, ports)
	w.converged(w.revision)

	const mailroom, mailroomAcc, mailroomTest, courier, chart, imaging, results, invoices, portal, appointments = 9, 17, 25, 33, 73, 97, 113, 137, 177, 201
	const ten, today = tls.VersionTLS10, 0
	for _, test := range []struct {
		from   int
		max    uint16
		line   string
		nonp   bool
		status int
		says   string // origin and address there of a 200, else what is said
	}{
		{mailroom, ten, "POST /mailroom/prod/north-general/prod/inbox/message/axis/Inbox?wsdl", false, 200, "inbox.north-general.example /axis/Inbox?wsdl"},
		{mailroom, ten, "POST /mailroom/prod/st-luke/prod/inbox/message/", false, 200, "inbox.st-luke.example /"},
		{mailroom, today, "POST /mailroom/prod/harbour-clinic/prod/inbox/message/", false, 200, "inbox.harbour-clinic.example /"},
		{mailroom, ten, "POST /mailroom/prod/military/prod/inbox/message/", false, 200, "gateway.military.example /"},
		{mailroom, ten, "POST /mailroom/prod/river-lab/prod/orders/message/", false, 200, w.partners + "21:8080 /"},
		{mailroomAcc, tls.VersionTLS11, "POST /mailroom/acc/north-general/acc/inbox/message/", true, 200, "inbox-acc.north-general.example /"},
		{mailroomTest, today, "POST /mailroom/test/north-general/acc/inbox/message/", true, 200, "inbox-acc.north-general.example /"},
		{chart, today, "GET /chart/prod/national-registry/prod/persons/quick/a%2Fb", false, 200, "persons.national-registry.example /a%2Fb"},
		{imaging, today, "PUT /imaging/prod/scan-archive/prod/images/file/1", false, 200, "images.scan-archive.example /1"},
		{appointments, today, "DELETE /appointments/prod/hillside/prod/calendar/quick/1", false, 200, "calendar.hillside.example /soap/v2/1"},
		{invoices, today, "POST /invoices/prod/mutual-one/prod/claims/night/", false, 200, "claims.mutual-one.example /ws/"},

		{mailroom, ten, "POST /mailroom/prod/university/prod/inbox/message/", false, 503, "university/prod/inbox can not be reached: its certificate is for another name"},
		{imaging, today, "GET /imaging/prod/xray-cooperative/prod/images/file/", false, 503, "certificate verify failed"},
		{mailroom, ten, "POST /mailroom/prod/green-cross/prod/inbox/message/", false, 503, "green-cross/prod/inbox can not be reached"},

		{chart, today, "POST /mailroom/prod/north-general/prod/inbox/message/", false, 403, "EgressClient/mailroom-prod does not call from"},
		{mailroomAcc, today, "POST /mailroom/acc/north-general/acc/inbox/message/", false, 403, "no EgressClient mailroom of environment acc may call here"},
		{mailroom, today, "POST /mailroom/prod/north-general/prod/inbox/message/", true, 403, "no EgressClient mailroom of environment prod may call here"},
		{mailroom, today, "POST /mailroom/prod/north-general/acc/inbox/message/", false, 403, "no EgressRule lets"},
		{mailroom, ten, "POST /mailroom/prod/north-general/prod/inbox/quick/", false, 403, "at level quick"},
		{mailroom, ten, "POST /mailroom/prod/north-general/prod/files/message/", false, 403, "call north-general/prod/files"},
		{courier, today, "POST /courier/prod/north-general/prod/files/file/1", false, 403, "EgressRule/courier-north-general lets no POST through"},
		{results, today, "GET /results/prod/delta-pathology/prod/results/quick/admin", false, 403, "EgressRule/results-delta-pathology lets nothing through at this path"},
		{portal, today, "GET /portal/prod/nobody/prod/login/quick/", false, 403, "no EgressRule lets"},
		{portal, today, "GET /visitor/prod/e-identity/prod/login/quick/", false, 403, "no EgressClient is called visitor"},
		{portal, today, "GET /portal/prod/tax-office/prod/numbers/quick/numbers/../admin", false, 400, "lead elsewhere"},
	} {
		vip, host := w.at(233).String()+":8443", "egress.inside.example"
		if test.nonp {
			vip, host = w.at(241).String()+":8443", "egress.nonprod.inside.example"
		}
		got, err := w.call(vip, host, test.from, test.max, test.line, ours)
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
			continue
		}
		said := got.body
		if got.StatusCode == 200 {
			said = got.Header.Get("X-Origin") + " " + got.Header.Get("X-URI")
		}
		if strings.Contains(test.line, "river-lab") && got.StatusCode == 200 {
			said += plain.Requests("")[0].URI
		}
		if want := test.says; got.StatusCode != test.status || !strings.Contains(said, want) || test.status == 200 && said != want {
			t.Errorf("%s: %d %q, want %d %q", test.line, got.StatusCode, said, test.status, test.says)
		}
	}

	// The account's own file had 4,000 to 5,000 lines; what changes with partners and rules is in maps here, and in no line that
	// HAProxy must read again.
	lines := func(pattern string) (n int) {
		files, _ := filepath.Glob(filepath.Join(prod.folder(), pattern))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n += bytes.Count(text, []byte("\n"))
		}
		return n
	}
	config, maps := lines("haproxy.cfg"), lines("maps/*.map")
	t.Logf("haproxy.cfg has %d lines, maps have %d", config, maps)
	if config < 1500 || config > 3000 || maps < 700 || maps > 1500 { // as the example's README tells
		t.Errorf("haproxy.cfg has %d lines, maps have %d", config, maps)
	}
}
