package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/internal/series"
)

// The expressions below ask a Prometheus for figures by the names that /metrics has. Every server of a store shows the same
// series, so that the highest of each is taken before they are added up.

// leastWindow is over how long a rate is taken at least: four scrapes of a usual Prometheus.
const leastWindow = time.Minute

// promql writes the expressions of one object.
type promql struct {
	kind, window string
	// log, proxy and machine choose the object's series: of the access log, of HAProxy's counters, of machines.
	log, proxy, machine string
	// counts is the family of HAProxy's counters, apart what tells its rows apart.
	counts, apart string
}

// expression gives what an object's figure is in the language of Prometheus, "" when there is none.
func expression(object, figure string, step time.Duration) string {
	kind, name, member := cutObject(object)
	p := promql{kind: series.KindOf(object), window: fmt.Sprintf("[%ds]", int(max(step, leastWindow).Seconds()))}
	switch p.kind {
	case "Site":
		p.log = "site=" + strconv.Quote(name)
	case "Pool":
		p.log, p.proxy, p.counts, p.apart = "pool="+strconv.Quote(name), "pool="+strconv.Quote(name), "pool_", "pool, "
	case "Server":
		p.counts, p.apart = "server_", "pool, server, "
		if kind == "Pool" {
			p.proxy = "pool=" + strconv.Quote(name) + ",server=" + strconv.Quote(member)
		} else {
			p.proxy = "server=" + strconv.Quote(name)
		}
	case "LoadBalancer":
		p.log, p.counts, p.apart = "loadbalancer="+strconv.Quote(name), "frontend_", "frontend, "
		p.proxy, p.machine = p.log, p.log
	case "Fleet":
		p.counts, p.apart = "frontend_", "frontend, "
	}
	return p.figure(figure)
}

func (p *promql) figure(name string) string {
	if of, quantile, ok := percentile(name); ok {
		return fmt.Sprintf("1000 * histogram_quantile(%s, sum by (le) (max by (loadbalancer, site, pool, zone, le) (rate(%s_bucket{%s}%s))))", quantile, of, p.log, p.window)
	}
	if p.kind == "Site" || strings.HasPrefix(name, "errors.client") || strings.HasPrefix(name, "errors.server") || name == "errors.weir" || strings.HasPrefix(name, "tls.1.") {
		return p.logged(name)
	}
	if expr := p.ofMachine(name); expr != "" {
		return expr
	}
	return p.counted(name)
}

// percentile says of which histogram a figure is.
func percentile(name string) (of, quantile string, ok bool) {
	prefix, p := "", name
	if i := strings.LastIndex(name, "."); i >= 0 {
		prefix, p = name[:i], name[i+1:]
	}
	n, err := strconv.Atoi(strings.TrimPrefix(p, "p"))
	of, known := map[string]string{
		"": "weir_request_duration_seconds", "response": "weir_response_time_seconds", "queue": "weir_queue_time_seconds",
		"connect": "weir_connect_time_seconds", "handshake": "weir_tls_handshake_seconds",
	}[prefix]
	return of, strconv.FormatFloat(float64(n)/100, 'f', -1, 64), err == nil && known && strings.HasPrefix(p, "p")
}

// rate adds up a counter of the access log.
func (p *promql) rate(metric, label, value string) string {
	chosen := p.log
	if value != "" {
		chosen = strings.TrimPrefix(chosen+","+label+"="+strconv.Quote(value), ",")
	}
	apart := "loadbalancer, site, pool, zone"
	if label != "" {
		apart += ", " + label
	}
	return fmt.Sprintf("sum(max by (%s) (rate(%s{%s}%s)))", apart, metric, chosen, p.window)
}

func (p *promql) logged(name string) string {
	class, ok := strings.CutPrefix(name, "requests.")
	switch {
	case name == "requests":
		return p.rate("weir_requests_total", "class", "")
	case ok:
		return p.rate("weir_requests_total", "class", class)
	case name == "errorRatio":
		return "(" + p.rate("weir_requests_total", "class", "5xx") + " or vector(0)) / " + p.rate("weir_requests_total", "class", "")
	case name == "tls.handshakes":
		return p.rate("weir_tls_handshakes_total", "resumed", "")
	case name == "tls.resumed":
		return p.rate("weir_tls_handshakes_total", "resumed", "yes") + " / " + p.rate("weir_tls_handshakes_total", "resumed", "")
	case strings.HasPrefix(name, "tls."):
		return p.rate("weir_tls_requests_total", "version", strings.TrimPrefix(name, "tls."))
	case name == "errors.weir":
		return p.rate("weir_request_errors_total", "cause", "proxy")
	case strings.HasPrefix(name, "errors."):
		return p.rate("weir_request_errors_total", "cause", strings.TrimPrefix(name, "errors."))
	}
	return map[string]string{
		"retries": p.rate("weir_request_retries_total", "", ""), "redispatches": p.rate("weir_request_redispatches_total", "", ""),
		"bytes.in": p.rate("weir_received_bytes_total", "class", ""), "bytes.out": p.rate("weir_sent_bytes_total", "class", ""),
	}[name]
}

// ofMachine is of load balancers and the fleet.
func (p *promql) ofMachine(name string) string {
	mode, ok := strings.CutPrefix(name, "cpu.")
	if ok || name == "cpu" {
		chosen := `mode!~"idle|wait"`
		if ok {
			chosen = "mode=" + strconv.Quote(mode)
		}
		cpu := func(more string) string {
			return fmt.Sprintf("sum(max by (loadbalancer, mode) (rate(weir_machine_cpu_seconds_total{%s}%s)))", strings.Trim(p.machine+","+more, ","), p.window)
		}
		return cpu(chosen) + " / " + cpu("")
	}
	measure := func(metric, more string) string {
		return fmt.Sprintf("sum(max by (loadbalancer) (%s{%s}))", metric, strings.Trim(p.machine+","+more, ","))
	}
	network := func(direction string) string {
		return fmt.Sprintf("sum(max by (loadbalancer) (rate(weir_machine_network_bytes_total{%s}%s)))", strings.Trim(p.machine+",direction="+strconv.Quote(direction), ","), p.window)
	}
	return map[string]string{
		"memory.used": measure("weir_machine_memory_bytes", `state="used"`), "memory.total": measure("weir_machine_memory_bytes", `state="total"`),
		"network.in": network("in"), "network.out": network("out"), "load": measure("weir_machine_load", ""),
		"haproxy.idle": measure("weir_haproxy_idle_ratio", ""), "haproxy.memory": measure("weir_haproxy_memory_bytes", ""),
		"reloads": fmt.Sprintf("sum(max by (loadbalancer) (rate(weir_loadbalancer_reloads_total{%s}%s)))", p.machine, p.window),
	}[name]
}

// counters are HAProxy's by figure; a figure of a load balancer that only pools count is of all of them together.
var counters = map[string]string{
	"requests": "responses.*", "requests.1xx": "responses1xx", "requests.2xx": "responses2xx", "requests.3xx": "responses3xx",
	"requests.4xx": "responses4xx", "requests.5xx": "responses5xx", "requests.none": "responsesOther", "bytes.in": "bytesIn",
	"bytes.out": "bytesOut", "connections": "sessions", "denied": "deniedRequests|deniedResponses", "checks.failed": "checkFailures",
	"checks.down": "checksDown", "tls.handshakes": "tlsHandshakes", "tls.failures": "tlsFailures", "errors.connect": "connectErrors",
	"errors.response": "responseErrors", "retries": "retries", "redispatches": "redispatches",
}

func (p *promql) counted(name string) string {
	switch name {
	case "errorRatio":
		return p.count("responses5xx", name) + " / " + p.count("responses.*", name)
	case "tls.resumed":
		return p.count("tlsResumed", name) + " / " + p.count("tlsHandshakes", name)
	case "connections.open":
		return p.sessions("open")
	case "queue.length":
		return p.sessions("queued")
	}
	if counter := counters[name]; counter != "" {
		return p.count(counter, name)
	}
	return ""
}

func (p *promql) family(name string) (counts, apart string) {
	switch {
	case p.counts == "frontend_" && strings.HasPrefix(name, "checks."):
		return "server_", "pool, server, "
	case p.kind == "Pool" && strings.HasPrefix(name, "checks."):
		return "server_", "pool, server, "
	case p.counts == "frontend_" && (name == "errors.connect" || name == "errors.response" || name == "retries" || name == "redispatches" || name == "queued"):
		return "", ""
	}
	return p.counts, p.apart
}

func (p *promql) count(counter, name string) string {
	counts, apart := p.family(name)
	return fmt.Sprintf("sum(max by (loadbalancer, %scounter) (rate(weir_haproxy_%scounts_total{%s}%s)))", apart, counts, strings.Trim(p.proxy+",counter=~"+strconv.Quote(counter), ","), p.window)
}

func (p *promql) sessions(state string) string {
	counts, apart := p.family(state)
	return fmt.Sprintf("sum(max by (loadbalancer, %sstate) (weir_haproxy_%ssessions{%s}))", apart, counts, strings.Trim(p.proxy+",state="+strconv.Quote(state), ","))
}
