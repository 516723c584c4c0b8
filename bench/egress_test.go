package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

var egressFigures = []string{
	"egress_warm_vs_direct_cold_ratio", "egress_warm_ms", "egress_cold_ms", "direct_warm_ms", "direct_cold_ms",
	"egress_warm_cpu_us", "direct_cold_cpu_us", "slow_partner_p99_ratio", "slow_partner_refused_ms",
	"rule_add_ms", "rule_reloads", "partner_reloads",
}

const (
	egressRounds    = 40
	callsInRound    = 25
	slowRounds      = 12
	callsBeside     = 400
	slowCallers     = 60
	slowInFlight    = 20
	rulesAdded      = 30
	partnersAdded   = 8
	benchPartners   = manyServices / 10
	partnerTLSPort  = 4430
	hangingHost     = 206
	partnerHost     = 205
	firstOfTheAdded = 220
)

// egressWorld is a load balancer that is a way out for applications, with 2,000 services and 10,000 rules, and partners that
// speak TLS.
type egressWorld struct {
	*fleet
	theirs, inside benchAuthority
	worker         int         // HAProxy's
	hangs          atomic.Bool // what the other partner does
}

// measureEgress compares calls through the way out with those that the application would make by itself, over connections
// that are there and new ones: the milliseconds of a call, and the processor time of all who take part. Then a partner hangs,
// and the slowest calls to another are compared with those before. At last rules and partners are added one by one: the
// milliseconds from the API's answer until the calls are let through.
func measureEgress(t *testing.T) []figure {
	w := startEgress(t)
	speed := w.compareCalls()
	slow, refused := w.besideASlowOne()
	added, ruleReloads := w.addRules()
	figures := append(speed, figure{egressFigures[7], slow, "ratio"}, figure{egressFigures[8], refused, "ms"},
		figure{egressFigures[9], added, "ms"}, figure{egressFigures[10], float64(ruleReloads), "reloads"},
		figure{egressFigures[11], float64(w.addPartners()), "reloads"})
	return figures
}

func startEgress(t *testing.T) *egressWorld {
	t.Helper()
	l := newLoop(t)
	w := &egressWorld{fleet: startControlPlane(t, l, 1), theirs: newBenchAuthority(t, "theirs"), inside: newBenchAuthority(t, "inside")}
	w.client.Timeout = time.Minute
	l.origin(t, w.originAddr(firstOrigin), originAnswer(firstOrigin))
	w.serve(partnerHost, w.theirs, "www.quick.example", nil)
	w.serve(hangingHost, w.theirs, "www.hanging.example", &w.hangs)

	var list []any
	object := func(kind, name, role string, spec any) {
		meta := map[string]string{"name": name}
		if role != "" {
			meta["role"] = role
		}
		list = append(list, map[string]any{"kind": kind, "metadata": meta, "spec": spec})
	}
	object("Tuning", "default", "", map[string]any{"threads": 1, "ports": []any{map[string]any{"port": 80, "mode": "http"}, map[string]any{"port": 443, "mode": "https"}}})
	object("IPAddress", "www-az1", "web", map[string]any{"address": "203.0.113.1", "homeZone": "az1", "groups": []string{"edge"}})
	chain, key := w.inside.issue("out.bench.example")
	object("Certificate", "inside", "web", map[string]string{"chain": chain, "key": key})
	object("Certificate", "theirs", "web", map[string]string{"chain": w.theirs.chain})
	object("Site", "out", "web", map[string]any{
		"hostnames": []string{"out.bench.example"}, "addresses": []string{"www-az1"}, "egress": map[string]any{"environments": []string{"prod"}},
		"listeners": []any{map[string]any{"port": 80}, map[string]any{"port": 443, "tls": map[string]any{"certificates": []string{"inside"}}}},
	})
	object("SLA", "high", "", map[string]any{})
	object("SLA", "low", "", map[string]any{"inFlight": slowInFlight, "server": "20s"})
	for i := range manyRules / rulesPerClient {
		object("EgressClient", fmt.Sprintf("client%03d", i), "web", map[string]any{"environment": "prod", "sources": []string{"127.0.0.0/8"}})
	}
	for i := range benchPartners {
		var endpoints []any
		for s := range 10 {
			endpoints = append(endpoints, map[string]any{
				"environment": "prod", "service": fmt.Sprintf("s%d", s), "host": fmt.Sprintf("s%d.partner%03d.example", s, i), "plain": true,
				"port": originPort, "addresses": []string{w.originAddr(firstOrigin).Addr().String()},
			})
		}
		object("Partner", fmt.Sprintf("partner%03d", i), "web", map[string]any{"endpoints": endpoints})
	}
	for name, host := range map[string]int{"quick": partnerHost, "hanging": hangingHost} {
		object("Partner", name, "web", w.partner("www."+name+".example", host, map[string]string{"ca": "theirs"}))
		object("EgressRule", name, "web", map[string]any{"clients": []string{"client000"}, "partner": name, "slas": []string{"high", "low"}})
	}
	for i := range manyRules {
		object("EgressRule", fmt.Sprintf("rule%05d", i), "web", w.rule(i/rulesPerClient, i%manyServices))
	}
	for part := range slices.Chunk(list, 2000) {
		raw, err := json.Marshal(map[string]any{"kind": "List", "items": part})
		if err != nil {
			t.Fatal(err)
		}
		w.must(http.MethodPost, "apply?reason=bench&brief=true", string(raw))
	}
	w.startLoadBalancer(0)
	w.eventually("the load balancer is read back", 60*time.Second, w.converged)
	client := hapctl.NewClient(filepath.Join(w.dir, fleetName(0), "haproxy", haproxy.AdminSocket))
	defer client.Close()
	info, err := client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.worker = info.Pid
	return w
}

// partner is a service "www" that speaks TLS.
func (w *egressWorld) partner(host string, at int, tls map[string]string) any {
	return map[string]any{"endpoints": []any{map[string]any{
		"environment": "prod", "service": "www", "host": host, "port": partnerTLSPort, "addresses": []string{w.where.at(byte(at)).String()}, "tls": tls,
	}}}
}

func (w *egressWorld) rule(client, service int) any {
	return map[string]any{
		"clients": []string{fmt.Sprintf("client%03d", client)}, "partner": fmt.Sprintf("partner%03d", service/10), "services": []string{fmt.Sprintf("s%d", service%10)}, "slas": []string{"high"},
	}
}

// addRules lets one more call through, again and again, and gives the milliseconds that it takes.
func (w *egressWorld) addRules() (ms float64, reloads int) {
	before := w.reloads()
	var took []float64
	for i := range rulesAdded {
		client, service := i, (i*rulesPerClient+rulesPerClient+i)%manyServices // one that the client has no rule for
		p := &probe{loop: w.loop, name: fleetName(0), addr: w.fleetVIP(0), refusal: http.StatusForbidden}
		p.request = fmt.Appendf(nil, "GET /client%03d/prod/partner%03d/prod/s%d/high/ HTTP/1.1\r\nHost: out.bench.example\r\n\r\n", client, service/10, service%10)
		if err := p.dial(); err != nil {
			w.t.Fatal(err)
		}
		one := &watchers{fleet: w.fleet, probes: []*probe{p}}
		raw, err := json.Marshal(map[string]any{"kind": "EgressRule", "metadata": map[string]string{"name": fmt.Sprintf("added%02d", i), "role": "web"}, "spec": w.rule(client, service)})
		if err != nil {
			w.t.Fatal(err)
		}
		p.begin(func(answer int) bool { return answer == http.StatusForbidden }, 1)
		w.eventually("the call is refused", 10*time.Second, func() error {
			if one.turn(); !p.done() {
				return fmt.Errorf("partner%03d answers client%03d", service/10, client)
			}
			return nil
		})
		took = append(took, one.change(http.MethodPut, fmt.Sprintf("egressrules/added%02d", i), string(raw), func(origin int) bool { return origin == firstOrigin }, inARow))
		w.loop.drop(p.fd)
		w.rest(50 * time.Millisecond)
	}
	w.t.Logf("rules took %.4g ms", took)
	return median(took), w.reloads() - before
}

// addPartners makes partners with authorities of their own, each of which is shown a certificate of ours, and waits for calls
// to each; it gives how many reloads that took.
func (w *egressWorld) addPartners() int {
	before := w.reloads()
	calm := w.caller(true, "out.bench.example", w.fleetTLS(), w.inside)
	for i := range partnersAdded {
		name := fmt.Sprintf("added%d", i)
		theirs, ours := newBenchAuthority(w.t, name), newBenchAuthority(w.t, "ours")
		w.serve(firstOfTheAdded+i, theirs, "www."+name+".example", nil)
		chain, key := ours.issue("client000")
		var list []any
		for kind, spec := range map[string]any{
			"Certificate/" + name: map[string]string{"chain": theirs.chain}, "Certificate/" + name + "-ours": map[string]string{"chain": chain, "key": key},
			"Partner/" + name:    w.partner("www."+name+".example", firstOfTheAdded+i, map[string]string{"ca": name, "clientCertificate": name + "-ours"}),
			"EgressRule/" + name: map[string]any{"clients": []string{"client000"}, "partner": name, "slas": []string{"high"}},
		} {
			dir, base := filepath.Split(kind)
			list = append(list, map[string]any{"kind": filepath.Clean(dir), "metadata": map[string]string{"name": base, "role": "web"}, "spec": spec})
		}
		raw, err := json.Marshal(map[string]any{"kind": "List", "items": list})
		if err != nil {
			w.t.Fatal(err)
		}
		w.must(http.MethodPost, "apply?reason=bench", string(raw))
		w.eventually("the new partner is called", 20*time.Second, func() error {
			answer, err := calm.Get(w.out(name, "high"))
			if err != nil {
				return err
			}
			defer func() { _ = answer.Body.Close() }()
			if answer.StatusCode != http.StatusOK || answer.Header.Get("X-Client") != "client000" {
				return fmt.Errorf("%s, shown %q", answer.Status, answer.Header.Get("X-Client"))
			}
			return nil
		})
	}
	w.eventually("all is read back", 20*time.Second, w.converged)
	return w.reloads() - before
}

func (w *egressWorld) fleetTLS() netip.AddrPort {
	return netip.AddrPortFrom(w.fleetVIP(0).Addr(), certsPort)
}

// out is the address of a call to a partner's service www.
func (w *egressWorld) out(partner, level string) string {
	return "https://out.bench.example/client000/prod/" + partner + "/prod/www/" + level + "/"
}
