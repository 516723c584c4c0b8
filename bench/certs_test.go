package bench

import (
	"bufio"
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
	"certs_upload_seconds",
	"certs_load_seconds", "certs_load_reloads", "certs_load_vs_raw_ratio", "certs_load_raw_seconds", "certs_haproxy_rss_mib", "certs_agent_rss_mib",
	"renew_seconds", "renew_failed_handshakes", "renew_reloads", "renew_vs_raw_ratio", "renew_raw_seconds",
	"certs_coldstart_ratio", "certs_coldstart_agent_ms", "certs_coldstart_haproxy_ms",
}

// Two load balancers of one group with 5,000 certificates, each with a Site of its name.
const (
	certsCount   = 5_000
	certsBalance = 2     // load balancers
	certsInOne   = 1_000 // certificates of an apply: with its keys, a body is an eighth of what the API takes
	renewCount   = 100   // of an apply
	renewRounds  = 7
	certsStarts  = 3
	certsPort    = 18443
	rawPort      = 28443 // of the HAProxies without agents
	// newConnections is the pause of each load balancer's client between two handshakes while certificates are renewed.
	newConnections = 10 * time.Millisecond
	// renewRest and rawRest pass until what a renewal leaves to do is done, which is not to fall into the next one's time:
	// with agents it is proven one by one, without haste, and it is noted which files rest.
	renewRest = 6500 * time.Millisecond
	rawRest   = 500 * time.Millisecond
)

// certsWorld is the two load balancers, and what they should show.
type certsWorld struct {
	*fleet
	certificates []benchCertificate // that are wanted now
	// raw are folders as the agents left them before anything was loaded, one for each load balancer.
	raw []string
	// port is where the HAProxies listen that are asked now: those of the load balancers, or those without agents.
	port uint16
}

// measureCerts uploads certificates, which no load balancer needs yet; loads them by an apply of the Sites that show them,
// until both load balancers were read back to have all; and loads the same into HAProxies without agents, by hand. Then it
// renews some here and there by turns, since minutes of a shared machine differ by more than the two do, each until
// handshakes show all the new ones; and starts one load balancer anew. What is compared is what is done at run time: parsing
// and sealing what is uploaded has no counterpart by hand, and is a figure of its own.
func measureCerts(t *testing.T) []figure {
	w := startCerts(t)
	reloads := w.reloads()
	upload := w.upload()
	w.settled(w.haproxyDir(0)+"/run", w.haproxyDir(1)+"/run")
	load, agentRSS := w.load()
	haproxyRSS := w.haproxyRSS()
	loadReloads := w.reloads() - reloads
	w.startRaw()
	rawLoad := w.loadRaw()
	var renewed, rawRenewed []float64
	var failed, rawFailed int
	for range renewRounds {
		w.port = certsPort
		renewed, failed = w.renewal(renewed, failed, w.renewByAPI, renewRest)
		w.port = rawPort
		rawRenewed, rawFailed = w.renewal(rawRenewed, rawFailed, w.renewByHand, rawRest)
	}
	renewReloads := w.reloads() - reloads - loadReloads
	agentRSS = max(agentRSS, rssMiB(t, w.processes[fleetName(0)].Pid()))
	w.stopRaw()
	agent, alone := w.coldStarts()
	t.Logf("upload %.3g s; load %.3g s, by hand %.3g s; renewals %.3g s, %d failed, by hand %.3g s, %d failed; cold starts %.0f ms, of HAProxy alone %.0f ms",
		upload, load, rawLoad, renewed, failed, rawRenewed, rawFailed, agent, alone)
	return []figure{
		{certsFigures[0], upload, "s"},
		{certsFigures[1], load, "s"},
		{certsFigures[2], float64(loadReloads), "reloads"},
		{certsFigures[3], load / rawLoad, "ratio"},
		{certsFigures[4], rawLoad, "s"},
		{certsFigures[5], haproxyRSS, "MiB"},
		{certsFigures[6], agentRSS, "MiB"},
		{certsFigures[7], median(renewed), "s"},
		{certsFigures[8], float64(failed), "handshakes"},
		{certsFigures[9], float64(renewReloads), "reloads"},
		{certsFigures[10], median(renewed) / median(rawRenewed), "ratio"},
		{certsFigures[11], median(rawRenewed), "s"},
		{certsFigures[12], median(agent) / median(alone), "ratio"},
		{certsFigures[13], median(agent), "ms"},
		{certsFigures[14], median(alone), "ms"},
	}
}

func startCerts(t *testing.T) *certsWorld {
	t.Helper()
	w := &certsWorld{fleet: startControlPlane(t, newLoop(t), certsBalance), certificates: benchCertificates(t, certsCount), port: certsPort}
	w.client.Timeout = time.Minute
	origins := newLoop(t)
	origins.origin(t, w.originAddr(firstOrigin), originAnswer(firstOrigin))
	origins.turnBeside(t)
	w.must(http.MethodPost, "apply?reason=bench", w.certsPlatform())
	w.must(http.MethodPost, "apply?reason=bench", w.certsObjects(0, 1))
	w.must(http.MethodPost, "apply?reason=bench", w.siteObjects(0, 1))
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

// certsObjects is a list of Certificates, as a program sends it.
func (w *certsWorld) certsObjects(from, to int) string {
	var list []any
	for n := from; n < to; n++ {
		list = append(list, w.certificateObject(n))
	}
	return w.list(list)
}

// siteObjects is a list of the Sites that show them.
func (w *certsWorld) siteObjects(from, to int) string {
	var list []any
	for n := from; n < to; n++ {
		list = append(list, map[string]any{
			"kind": "Site", "metadata": map[string]string{"name": fmt.Sprintf("p%04d", n), "role": "web"},
			"spec": map[string]any{
				"hostnames": []string{certsName(n)}, "addresses": []string{"www-az1"}, "backends": map[string]string{"default": "web"},
				"listeners": []any{map[string]any{"port": 443, "tls": map[string]any{"certificates": []string{fmt.Sprintf("c%04d", n)}}}},
			},
		})
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

// upload gives the seconds that it takes to send all certificates, in applies one after the other.
func (w *certsWorld) upload() float64 {
	w.t.Helper()
	var bodies []string
	for from := 1; from < certsCount; from += certsInOne {
		bodies = append(bodies, w.certsObjects(from, min(from+certsInOne, certsCount)))
	}
	began := time.Now()
	for _, body := range bodies {
		w.must(http.MethodPost, "apply?reason=bench&brief=true", body)
	}
	seconds := time.Since(began).Seconds()
	w.eventually("the load balancers are read back", 30*time.Second, w.converged)
	w.rest(time.Second)
	return seconds
}

// load gives the seconds from the apply of all Sites until both load balancers were read back to have everything, and the
// most memory that an agent was seen to have meanwhile.
func (w *certsWorld) load() (seconds, rss float64) {
	w.t.Helper()
	body := w.siteObjects(1, certsCount)
	done := make(chan error)
	began := time.Now()
	var applied time.Duration
	go func() {
		revision, err := w.applied(body)
		applied = time.Since(began)
		if err == nil {
			err = w.programmed(revision, 3*time.Minute)
		}
		seconds = time.Since(began).Seconds()
		done <- err
	}()
	for pending := true; pending; {
		select {
		case err := <-done:
			if pending = false; err != nil {
				w.t.Fatalf("the certificates are not loaded: %v", err)
			}
		default:
			w.rest(20 * time.Millisecond)
			rss = max(rss, rssMiB(w.t, w.processes[fleetName(0)].Pid()))
		}
	}
	w.t.Logf("the apply was answered after %.3g s, all was read back after %.3g s", applied.Seconds(), seconds)
	w.everyNameIsShown()
	return seconds, rss
}

// applied is the revision that an apply made.
func (w *certsWorld) applied(body string) (int64, error) {
	var answer struct{ Revision int64 }
	raw, err := w.call(http.MethodPost, "apply?reason=bench&brief=true", body)
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	return answer.Revision, err
}

// programmed returns when both load balancers were read back to have a revision, as the control plane tells who waits for it:
// who asks again and again takes the processor from those who do it.
func (w *certsWorld) programmed(revision int64, most time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/api/v1/status?wait=%d", w.url, revision), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := w.client.Transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	last := ""
	for in := bufio.NewScanner(answer.Body); in.Scan(); {
		last = in.Text()
		var line struct{ Progress struct{ Programmed bool } }
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			return fmt.Errorf("%s: %w", last, err)
		}
		if line.Progress.Programmed {
			return nil
		}
	}
	return fmt.Errorf("the last that was told of revision %d is %s", revision, last)
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
	return netip.AddrPortFrom(w.where.at(byte(16*lb+17)), w.port)
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

// renewal makes new certificates for names all over the list, those after the names of the renewals before, and lets replace
// upload them. It appends the seconds until both load balancers show all of them, and adds how many handshakes of others
// failed meanwhile and while it rested.
func (w *certsWorld) renewal(seconds []float64, failed int, replace func(names []int), rest time.Duration) ([]float64, int) {
	w.t.Helper()
	var names []int
	for i := range renewCount {
		names = append(names, i*certsCount/renewCount+len(seconds)+1)
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
	w.rest(rest)
	return seconds, failed + load()
}

// follow returns when a load balancer shows the new certificates of all the names. It asks seldom, since each handshake
// takes from the processors that it waits for.
func (w *certsWorld) follow(lb int, names []int, deadline time.Time) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for _, n := range names {
		for err := w.shows(lb, n); err != nil; err = w.shows(lb, n) {
			if now := <-again.C; now.After(deadline) {
				w.t.Error(err)
				return
			}
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
