package bench

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

var certsFigures = []string{
	"certs_load_seconds", "certs_load_reloads", "certs_load_vs_raw_ratio", "certs_load_raw_seconds", "certs_haproxy_rss_mib", "certs_agent_rss_mib",
	"renew_seconds", "renew_failed_handshakes", "renew_reloads", "renew_vs_raw_ratio", "renew_raw_seconds",
	"certs_coldstart_ratio", "certs_coldstart_agent_ms", "certs_coldstart_haproxy_ms",
}

// Two load balancers of one group with 5,000 certificates, each with a Site of its name.
const (
	certsCount   = 5_000
	certsBalance = 2   // load balancers
	certsInOne   = 500 // of an apply
	renewCount   = 100 // of an apply
	renewRounds  = 5
	certsStarts  = 2
	certsPort    = 18443
	// newConnections is the pause of each load balancer's client between two handshakes while certificates are renewed.
	newConnections = 10 * time.Millisecond
)

// certsWorld is the two load balancers, and what they should show.
type certsWorld struct {
	*fleet
	certificates []benchCertificate // that are wanted now
	// raw are folders as the agents left them before anything was loaded, one for each load balancer.
	raw []string
}

// measureCerts loads certificates through the API until both load balancers were read back to have all of them,
// renews some until handshakes show all the new ones, and starts one load balancer anew; then it does the same to HAProxies
// without agents, by hand.
func measureCerts(t *testing.T) []figure {
	w := startCerts(t)
	reloads := w.reloads()
	load, agentRSS := w.load()
	haproxyRSS := w.haproxyRSS()
	loadReloads := w.reloads() - reloads
	renewed, failed := w.renewals(w.renewByAPI)
	renewReloads := w.reloads() - reloads - loadReloads
	agentRSS = max(agentRSS, rssMiB(t, w.processes[fleetName(0)].Pid()))
	agent, alone := w.coldStarts()
	w.startRaw()
	rawLoad := w.loadRaw()
	rawRenewed, rawFailed := w.renewals(w.renewByHand)
	t.Logf("load %.3g s, by hand %.3g s; renewals %.3g s, %d failed, by hand %.3g s, %d failed; cold starts %.0f ms, of HAProxy alone %.0f ms",
		load, rawLoad, renewed, failed, rawRenewed, rawFailed, agent, alone)
	return []figure{
		{certsFigures[0], load, "s"},
		{certsFigures[1], float64(loadReloads), "reloads"},
		{certsFigures[2], load / rawLoad, "ratio"},
		{certsFigures[3], rawLoad, "s"},
		{certsFigures[4], haproxyRSS, "MiB"},
		{certsFigures[5], agentRSS, "MiB"},
		{certsFigures[6], median(renewed), "s"},
		{certsFigures[7], float64(failed), "handshakes"},
		{certsFigures[8], float64(renewReloads), "reloads"},
		{certsFigures[9], median(renewed) / median(rawRenewed), "ratio"},
		{certsFigures[10], median(rawRenewed), "s"},
		{certsFigures[11], median(agent) / median(alone), "ratio"},
		{certsFigures[12], median(agent), "ms"},
		{certsFigures[13], median(alone), "ms"},
	}
}

func startCerts(t *testing.T) *certsWorld {
	t.Helper()
	w := &certsWorld{fleet: startControlPlane(t, newLoop(t), certsBalance), certificates: benchCertificates(t, certsCount)}
	w.client.Timeout = time.Minute
	origins := newLoop(t)
	origins.origin(t, w.originAddr(firstOrigin), originAnswer(firstOrigin))
	origins.turnBeside(t)
	w.must(http.MethodPost, "apply?reason=bench", w.certsPlatform())
	w.must(http.MethodPost, "apply?reason=bench", w.certsObjects(0, 1, true))
	for lb := range certsBalance {
		w.startLoadBalancer(lb)
	}
	w.eventually("the load balancers are read back", 30*time.Second, w.converged)
	for lb := range certsBalance {
		w.eventually("the first site answers", 20*time.Second, func() error { return w.asks(lb, 0) })
		w.raw = append(w.raw, w.copied(lb))
	}
	return w
}

// certsPlatform is a port for TLS, an address, and what all sites lead to.
func (w *certsWorld) certsPlatform() string {
	return `kind: Tuning
metadata: {name: default}
spec: {threads: 1, ports: [{port: 443, mode: https}]}
---
kind: IPAddress
metadata: {name: www-az1, role: web}
spec: {address: 203.0.113.1, homeZone: az1, groups: [edge]}
---
kind: Pool
metadata: {name: web, role: web}
spec: {selector: {role: web}, port: http, healthCheck: {path: /ping}}
` + w.server(firstOrigin, 100)
}

func certsName(n int) string { return fmt.Sprintf("p%04d.example.com", n) }

// certsObjects is a list of Certificates, as a program sends it, and of the Sites that show them.
func (w *certsWorld) certsObjects(from, to int, sites bool) string {
	var list []any
	for n := from; n < to; n++ {
		list = append(list, w.certificateObject(n))
		if sites {
			list = append(list, map[string]any{
				"kind": "Site", "metadata": map[string]string{"name": fmt.Sprintf("p%04d", n), "role": "web"},
				"spec": map[string]any{
					"hostnames": []string{certsName(n)}, "addresses": []string{"www-az1"}, "backends": map[string]string{"default": "web"},
					"listeners": []any{map[string]any{"port": 443, "tls": map[string]any{"certificates": []string{fmt.Sprintf("c%04d", n)}}}},
				},
			})
		}
	}
	return w.list(list)
}

func (w *certsWorld) certificateObject(n int) any {
	return map[string]any{
		"kind": "Certificate", "metadata": map[string]string{"name": fmt.Sprintf("c%04d", n), "role": "web"},
		"spec": map[string]string{"chain": w.certificates[n].chain, "key": w.certificates[n].key},
	}
}

func (w *certsWorld) list(objects []any) string {
	raw, err := json.Marshal(map[string]any{"kind": "List", "items": objects})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(raw)
}

// load gives the seconds from the first apply until both load balancers were read back to have everything, and the most
// memory that an agent was seen to have meanwhile.
func (w *certsWorld) load() (seconds, rss float64) {
	w.t.Helper()
	var bodies []string
	for from := 1; from < certsCount; from += certsInOne {
		bodies = append(bodies, w.certsObjects(from, min(from+certsInOne, certsCount), true))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, body := range bodies {
			if _, err := w.call(http.MethodPost, "apply?reason=bench&brief=true", body); err != nil {
				w.t.Error(err)
			}
		}
	}()
	began := time.Now()
	for pending := true; pending; {
		select {
		case <-done:
			pending = false
		default:
			w.rest(20 * time.Millisecond)
			rss = max(rss, rssMiB(w.t, w.processes[fleetName(0)].Pid()))
		}
	}
	applied := time.Since(began)
	for end := began.Add(3 * time.Minute); w.converged() != nil; {
		if time.Now().After(end) {
			w.t.Fatalf("the certificates are not loaded: %v", w.converged())
		}
		w.rest(20 * time.Millisecond)
		rss = max(rss, rssMiB(w.t, w.processes[fleetName(0)].Pid()))
	}
	seconds = time.Since(began).Seconds()
	w.t.Logf("the applies were answered after %.3g s, all was read back after %.3g s", applied.Seconds(), seconds)
	w.everyNameIsShown()
	return seconds, rss
}

// everyNameIsShown asks both load balancers, each for the half of the names.
func (w *certsWorld) everyNameIsShown() {
	w.t.Helper()
	for lb := range certsBalance {
		for n := lb; n < certsCount; n += certsBalance {
			if err := w.shows(lb, n); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *certsWorld) haproxyRSS() float64 {
	w.t.Helper()
	client := hapctl.NewClient(filepath.Join(w.dir, fleetName(0), "haproxy", haproxy.AdminSocket))
	defer client.Close()
	info, err := client.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return rssMiB(w.t, info.Pid)
}

func (w *certsWorld) at(lb int) netip.AddrPort {
	return netip.AddrPortFrom(w.where.at(byte(16*lb+17)), certsPort)
}

// shake makes a new connection and gives the certificate that is shown for a name, as it came.
func (w *certsWorld) shake(lb, n int) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var d net.Dialer
	plain, err := d.DialContext(ctx, "tcp", w.at(lb).String())
	if err != nil {
		return nil, err
	}
	_ = plain.SetDeadline(time.Now().Add(5 * time.Second))
	conn := tls.Client(plain, &tls.Config{ServerName: certsName(n), InsecureSkipVerify: true}) // compared byte by byte
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s, asked for %s: %w", fleetName(lb), certsName(n), err), plain.Close())
	}
	if shown := conn.ConnectionState().PeerCertificates[0]; shown.VerifyHostname(certsName(n)) != nil {
		return nil, errors.Join(fmt.Errorf("%s, asked for %s, shows %q", fleetName(lb), certsName(n), shown.DNSNames), conn.Close())
	}
	return conn, nil
}

// shows is nil when a load balancer shows the certificate that is wanted for a name.
func (w *certsWorld) shows(lb, n int) error {
	conn, err := w.shake(lb, n)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	block, _ := pem.Decode([]byte(w.certificates[n].chain))
	if string(conn.ConnectionState().PeerCertificates[0].Raw) != string(block.Bytes) {
		return fmt.Errorf("%s shows another certificate of %s than the one that is wanted", fleetName(lb), certsName(n))
	}
	return nil
}

// renewals makes new certificates for names all over the list, lets replace upload them, and gives the seconds of each
// round until both load balancers show all of them, and how many handshakes of others failed meanwhile.
func (w *certsWorld) renewals(replace func(names []int)) (seconds []float64, failed int) {
	w.t.Helper()
	for round := range renewRounds {
		var names []int
		for i := range renewCount {
			names = append(names, i*certsCount/renewCount+round+1)
		}
		for i, c := range benchCertificatesFor(w.t, names) {
			w.certificates[names[i]] = c
		}
		load := w.newConnections()
		w.rest(500 * time.Millisecond)
		began := time.Now()
		var all sync.WaitGroup
		for lb := range certsBalance {
			all.Go(func() { w.follow(lb, names, began.Add(30*time.Second)) })
		}
		replace(names)
		all.Wait()
		seconds = append(seconds, time.Since(began).Seconds())
		w.rest(500 * time.Millisecond)
		failed += load()
	}
	return seconds, failed
}

// follow returns when a load balancer shows the new certificates of all the names.
func (w *certsWorld) follow(lb int, names []int, deadline time.Time) {
	for _, n := range names {
		for err := w.shows(lb, n); err != nil; err = w.shows(lb, n) {
			if time.Now().After(deadline) {
				w.t.Error(err)
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

func (w *certsWorld) renewByAPI(names []int) {
	w.t.Helper()
	var list []any
	for _, n := range names {
		list = append(list, w.certificateObject(n))
	}
	w.must(http.MethodPost, "apply?reason=bench&brief=true", w.list(list))
}

// newConnections begins a steady load of them at both load balancers, by all names in turn; what it gives ends it, and
// gives how many did not get a certificate of the name.
func (w *certsWorld) newConnections() func() int {
	stop := make(chan struct{})
	var all sync.WaitGroup
	failed := make([]int, certsBalance)
	for lb := range certsBalance {
		all.Go(func() {
			tick := time.NewTicker(newConnections)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				conn, err := w.shake(lb, n*997%certsCount)
				if err != nil {
					w.t.Log(err)
					failed[lb]++
					continue
				}
				_ = conn.Close()
			}
		})
	}
	return func() int {
		close(stop)
		all.Wait()
		return failed[0] + failed[1]
	}
}
