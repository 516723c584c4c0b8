package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// moodyPartner answers over TLS as the path says: /fine, /missing, /fails, /breaks off, or /hangs until the caller is gone.
type moodyPartner struct {
	hanging atomic.Int32
}

func (p *moodyPartner) serve(t *testing.T, addr string, config *tls.Config) {
	t.Helper()
	listener, err := tls.Listen("tcp", addr, config)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: p}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
}

func (p *moodyPartner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/missing":
		w.WriteHeader(http.StatusNotFound)
	case "/fails":
		w.WriteHeader(http.StatusInternalServerError)
	case "/breaks":
		panic(http.ErrAbortHandler)
	case "/hangs":
		p.hanging.Add(1)
		<-r.Context().Done()
		p.hanging.Add(-1)
	}
}

const figuresObjects = `---
kind: EgressClient
metadata: {name: other, role: web}
spec: {environment: prod, sources: [%[1]s/32]}
---
kind: SLA
metadata: {name: quick}
spec: {server: 300ms}
---
kind: SLA
metadata: {name: one}
spec: {server: 20s, inFlight: 1}
---
kind: Partner
metadata: {name: example, role: web}
spec:
  endpoints:
    - {environment: prod, service: www, host: www.example.net, port: 4430, addresses: [%[2]s], tls: {ca: theirs, clientCertificate: shown}}
    - {environment: prod, service: breaks, host: www.example.net, port: 4432, addresses: [%[2]s], tls: {ca: theirs}}
    - {environment: prod, service: gone, host: www.example.net, port: 4431, addresses: [%[2]s], tls: {ca: theirs}}
    - {environment: prod, service: stranger, host: other.example.net, port: 4430, addresses: [%[2]s], tls: {ca: theirs}}
---
kind: EgressRule
metadata: {name: all, role: web}
spec: {clients: [myback], partner: example, slas: [high, quick, one]}
---
kind: EgressRule
metadata: {name: few, role: web}
spec: {clients: [other], partner: example, services: [www], slas: [high], methods: [GET], paths: [/fine]}
`

// TestCallsAreCountedAsCallersCount makes calls that end in all ways, and holds what callers counted against the figures, which
// have nobody else in them: who called what, by whose fault it failed, and why others were refused.
func TestCallsAreCountedAsCallersCount(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		inside, theirs, ours := newAuthority(t, "inside"), newAuthority(t, "theirs"), newAuthority(t, "ours")
		pair, shown := theirs.issue("www.example.net"), ours.issue("myback")
		partner := &moodyPartner{}
		at, me, other := w.at(201).String(), w.at(50).String(), w.at(51).String()
		for _, port := range []string{":4430", ":4432"} {
			partner.serve(t, at+port, &tls.Config{Certificates: []tls.Certificate{pair.tls(t)}, NextProtos: []string{"http/1.1"}})
		}
		w.apply(w.oneZone() + inside.sign(rsaKey(t, 2048), "egress.inside").manifest("inside") + keyPair{chain: theirs.pem}.manifest("theirs") +
			shown.manifest("shown") + w.egressSite(me) + fmt.Sprintf(figuresObjects, other, at))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)

		vip := w.at(17).String() + ":8443"
		client := tlsClient{w: w, roots: inside.pool(), sni: "egress.inside", source: me}
		client.serves(vip, "egress.inside", "/myback/prod/example/prod/www/high/fine")
		dial := func(from string) *tls.Conn {
			t.Helper()
			c := client
			c.source = from
			conn, err := tls.DialWithDialer(c.dialer(), "tcp", vip, c.config())
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(waitLong))
			return conn
		}
		send := func(conn io.Writer, method, path string) {
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: egress.inside\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, path)
		}
		call := func(n int, from, method, path string, status int) {
			t.Helper()
			for range n {
				conn := dial(from)
				send(conn, method, path)
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || answer.StatusCode != status {
					t.Fatalf("%s %s: %+v, want %d: %v", method, path, answer, status, err)
				}
				_ = conn.Close()
			}
		}
		leave := func(conn *tls.Conn) {
			_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
			_ = conn.NetConn().Close()
		}
		hanging := func(n int32) {
			t.Helper()
			weirtest.Eventually(t, waitLong, func() error {
				if got := partner.hanging.Load(); got != n {
					return fmt.Errorf("%d calls hang, want %d", got, n)
				}
				return nil
			})
		}
		const www = "/myback/prod/example/prod/www/"
		call(7, me, "GET", www+"high/fine", 200)
		call(3, me, "GET", www+"high/missing", 404)
		call(4, me, "POST", www+"high/fails", 500)
		// Over connections of their own: of a call that breaks off where an earlier one was HAProxy says nothing at all.
		call(2, me, "POST", "/myback/prod/example/prod/breaks/high/breaks", 502)
		call(2, me, "POST", www+"quick/hangs", 504)
		call(1, me, "GET", "/myback/prod/example/prod/gone/high/fine", 503)
		call(3, me, "GET", "/myback/prod/example/prod/stranger/high/fine", 503)
		call(5, other, "GET", "/other/prod/example/prod/www/high/fine", 200)
		hanging(0)
		for range 2 {
			conn := dial(me)
			send(conn, "POST", www+"high/hangs")
			hanging(1)
			leave(conn)
			hanging(0)
		}
		held := dial(me)
		send(held, "POST", www+"one/hangs")
		hanging(1)
		call(3, me, "GET", www+"one/fine", 503)
		leave(held)
		hanging(0)
		call(2, me, "GET", www+"high/../fine", 400)
		call(2, me, "GET", "/hostile/prod/example/prod/www/high/fine", 403)
		call(1, me, "GET", "/myback/test/example/prod/www/high/fine", 403)
		call(3, other, "GET", www+"high/fine", 403)
		call(2, me, "GET", www+"hostile/fine", 403)
		call(1, other, "GET", "/other/prod/example/prod/www/high/hostile", 403)
		call(2, other, "DELETE", "/other/prod/example/prod/www/high/fine", 403)

		type labels = map[string]string
		of := func(client, service, sla string, more ...string) labels {
			l := labels{"loadbalancer": "lb1", "site": "out", "client": client, "partner": "example", "environment": "prod", "service": service, "sla": sla}
			for i := 0; i < len(more); i += 2 {
				l[more[i]] = more[i+1]
			}
			return l
		}
		weirtest.Eventually(t, waitLong, func() error {
			// The call that waited for the site to be there may have been made more than once.
			waited := w.scraped("weir_calls_total", of("myback", "www", "high", "class", "2xx")) - 7
			if waited < 1 {
				return fmt.Errorf("%v calls were fine", waited+7)
			}
			for _, want := range []struct {
				name   string
				labels labels
				n      float64
			}{
				{"weir_calls_total", of("myback", "www", "high"), waited + 7 + 3 + 4 + 2},
				{"weir_calls_total", of("myback", "www", "high", "class", "4xx"), 3 + 2}, // those who left were to be answered 400
				{"weir_call_errors_total", of("myback", "www", "high", "fault", "partner"), 4},
				{"weir_call_errors_total", of("myback", "breaks", "high", "fault", "partner"), 2},
				{"weir_call_errors_total", of("myback", "www", "high", "fault", "client"), 2},
				{"weir_call_errors_total", of("myback", "www", "quick", "fault", "partner"), 2},
				{"weir_call_errors_total", of("myback", "www", "one", "fault", "client"), 1},
				{"weir_call_errors_total", of("myback", "gone", "high", "fault", "partner"), 1},
				{"weir_call_retries_total", of("myback", "gone", "high"), 3},
				{"weir_call_errors_total", of("myback", "stranger", "high", "fault", "partner"), 3},
				{"weir_call_errors_total", nil, 4 + 2 + 2 + 2 + 1 + 1 + 3},
				{"weir_calls_total", of("other", "www", "high", "class", "2xx"), 5},
				{"weir_calls_total", nil, waited + 7 + 3 + 4 + 2 + 2 + 2 + 1 + 3 + 5 + 1},
				{"weir_call_duration_seconds", of("other", "www", "high"), 5},
				{"weir_call_first_byte_seconds", of("other", "www", "high"), 5},
				{"weir_calls_refused_total", of("myback", "www", "one", "reason", "full", "rule", "all"), 3},
				{"weir_calls_refused_total", labels{"reason": "form", "client": ""}, 2},
				{"weir_calls_refused_total", labels{"reason": "client", "client": "", "partner": ""}, 2},
				{"weir_calls_refused_total", labels{"reason": "environment", "client": ""}, 1},
				{"weir_calls_refused_total", labels{"reason": "source", "client": "myback", "partner": ""}, 3},
				{"weir_calls_refused_total", labels{"reason": "rule", "client": "myback", "sla": "", "rule": ""}, 2},
				{"weir_calls_refused_total", of("other", "www", "high", "reason", "path", "rule", "few"), 1},
				{"weir_calls_refused_total", of("other", "www", "high", "reason", "method", "rule", "few"), 2},
				{"weir_calls_refused_total", nil, 3 + 2 + 2 + 1 + 3 + 2 + 1 + 2},
				{"weir_partner_certificate_expiry_timestamp_seconds", labels{"service": "www"}, float64(pair.tls(t).Leaf.NotAfter.Unix())},
				{"weir_partner_client_certificate_expiry_timestamp_seconds", labels{"service": "www", "certificate": "shown"}, float64(shown.tls(t).Leaf.NotAfter.Unix())},
			} {
				if got := w.scraped(want.name, want.labels); got != want.n {
					return fmt.Errorf("%s%v: %v, want %v", want.name, want.labels, got, want.n)
				}
			}
			return nil
		})
		opened := w.scraped("weir_call_tls_seconds", nil)
		if reused := w.scraped("weir_calls_reused_total", nil); opened < 1 || opened != w.scraped("weir_call_connect_seconds", nil) || opened+reused != w.scraped("weir_calls_total", nil)-4 { // four could not be connected
			t.Errorf("%v connections were made for calls, and %v calls had one that was there", opened, reused)
		}
		answer, err := http.Get("http://" + w.at(1).String() + ":7444/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if text, err := io.ReadAll(answer.Body); err != nil || strings.Contains(string(text), "hostile") {
			t.Errorf("what a path says came among the figures: %v", err)
		}
		w.says("partners/example", "Answering", "False", "prod/www: of ", " failed there", "prod/stranger: of 3 calls")
		said, err := w.logged("out", www+"high/missing")
		if want := fmt.Sprintf(`"at":"%s:4430"`, at); err != nil || !strings.Contains(said, want) || !strings.Contains(said, `"caller":"myback"`) || !strings.Contains(said, `"path":"`+www+`high/missing"`) {
			t.Errorf("the log: %s, want %s: %v", said, want, err)
		}
		if said, err = w.logged("out", "/myback/prod/example/prod/stranger"); err != nil || !strings.Contains(said, "certificate verify failed") {
			t.Errorf("the log of a partner with another name: %s, %v", said, err)
		}
	})
}

// logged gives the recent lines of a site's log whose path begins so.
func (w *world) logged(site, path string) (string, error) {
	request, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url+"/api/v1/sites/"+site+"/log?follow=false&path="+url.QueryEscape(path), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := w.client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}
