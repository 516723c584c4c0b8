package series

import (
	"slices"
	"strings"
)

// Figure is one thing that is told of objects over time.
type Figure struct {
	Name string `json:"name"`
	// Unit is 1/s, B/s, ms, B, share (0 to 1), or nothing of plain numbers.
	Unit string `json:"unit"`
	Doc  string `json:"doc"`

	kinds []string
	// sum are the columns that are added up: for a rate, over what is in of for a ratio.
	sum, of []Column
	// timing and quantile are of a percentile.
	timing   Column
	quantile float64
	// measure is of what is measured, in units of which scale make one.
	measure Column
	scale   float64
}

// Kinds are the kinds of objects that figures are told of.
func Kinds() []string { return []string{"Site", "Pool", "Server", "LoadBalancer", "Fleet"} }

// KindOf gives the kind of an object by its name; Pool/web/Server/a is a server. It is empty for what is none.
func KindOf(object string) string {
	parts := strings.Split(object, "/")
	switch {
	case len(parts) == 1 && parts[0] == "Fleet":
		return "Fleet"
	case len(parts) == 2 && parts[1] != "" && slices.Contains([]string{"Site", "Pool", "Server", "LoadBalancer"}, parts[0]):
		return parts[0]
	case len(parts) == 4 && parts[0] == "Pool" && parts[1] != "" && parts[2] == "Server" && parts[3] != "":
		return "Server"
	}
	return ""
}

// FiguresOf gives the figures of a kind of objects, in the order in which people want them.
func FiguresOf(kind string) (list []Figure) {
	for _, f := range figures {
		if slices.Contains(f.kinds, kind) {
			list = append(list, f)
		}
	}
	return list
}

// Named gives a figure of a kind by its name.
func Named(kind, name string) (Figure, bool) {
	for _, f := range figures {
		if f.Name == name && slices.Contains(f.kinds, kind) {
			return f, true
		}
	}
	return Figure{}, false
}

var (
	all     = []string{"Site", "Pool", "Server", "LoadBalancer", "Fleet"}
	logged  = []string{"Site", "Pool", "LoadBalancer", "Fleet"}
	proxied = []string{"Pool", "Server", "LoadBalancer", "Fleet"}
	checked = []string{"Pool", "Server", "Fleet"}
	machine = []string{"LoadBalancer", "Fleet"}
	fronted = []string{"Site", "LoadBalancer", "Fleet"}

	allRequests = []Column{RequestsNone, Requests1xx, Requests2xx, Requests3xx, Requests4xx, Requests5xx}
	allCPU      = []Column{CPUUser, CPUSystem, CPUInterrupt, CPUWait, CPUSteal, CPUIdle}
)

// figures are all there are.
var figures = slices.Concat(
	[]Figure{
		{Name: "requests", Unit: "1/s", Doc: "Requests, or tcp connections, a second.", kinds: all, sum: allRequests},
		{Name: "requests.2xx", Unit: "1/s", Doc: "Requests answered with a status of 200 to 299.", kinds: all, sum: []Column{Requests2xx}},
		{Name: "requests.3xx", Unit: "1/s", Doc: "Requests answered with a status of 300 to 399.", kinds: all, sum: []Column{Requests3xx}},
		{Name: "requests.4xx", Unit: "1/s", Doc: "Requests answered with a status of 400 to 499.", kinds: all, sum: []Column{Requests4xx}},
		{Name: "requests.5xx", Unit: "1/s", Doc: "Requests answered with a status of 500 to 599, by servers or by HAProxy itself.", kinds: all, sum: []Column{Requests5xx}},
		{Name: "requests.1xx", Unit: "1/s", Doc: "Requests answered with a status of 100 to 199, as when the protocol is switched.", kinds: all, sum: []Column{Requests1xx}},
		{Name: "requests.none", Unit: "1/s", Doc: "Tcp connections, and requests that ended without a status.", kinds: all, sum: []Column{RequestsNone}},
		{Name: "errorRatio", Unit: "share", Doc: "The share of requests answered with a status of 500 to 599.", kinds: all, sum: []Column{Requests5xx}, of: allRequests},
		{Name: "errors.client", Unit: "1/s", Doc: "Requests that the client broke off, sent too slowly, or that were refused.", kinds: logged, sum: []Column{ErrorsClient}},
		{Name: "errors.server", Unit: "1/s", Doc: "Requests that failed because a server refused, reset, was too slow or was down.", kinds: logged, sum: []Column{ErrorsServer}},
		{Name: "errors.weir", Unit: "1/s", Doc: "Requests that failed on Weir's side: limits of the load balancer, faults, operators.", kinds: logged, sum: []Column{ErrorsProxy}},
		{Name: "errors.connect", Unit: "1/s", Doc: "Connections to servers that failed, retried ones too.", kinds: proxied, sum: []Column{ConnectErrors}},
		{Name: "errors.response", Unit: "1/s", Doc: "Answers of servers that broke off or made no sense.", kinds: proxied, sum: []Column{ResponseErrors}},
		{Name: "retries", Unit: "1/s", Doc: "Attempts to reach a server that were repeated.", kinds: all, sum: []Column{Retries}},
		{Name: "redispatches", Unit: "1/s", Doc: "Requests that ended on another server than the first.", kinds: all, sum: []Column{Redispatches}},
		{Name: "denied", Unit: "1/s", Doc: "Requests and answers that rules refused.", kinds: []string{"Pool", "LoadBalancer", "Fleet"}, sum: []Column{Denied}},
		{Name: "bytes.in", Unit: "B/s", Doc: "Bytes from clients.", kinds: all, sum: []Column{BytesIn}},
		{Name: "bytes.out", Unit: "B/s", Doc: "Bytes to clients.", kinds: all, sum: []Column{BytesOut}},
		{Name: "connections", Unit: "1/s", Doc: "Sessions begun: connections of clients at a load balancer, requests sent to a pool or server.", kinds: proxied, sum: []Column{Connections}},
		{Name: "connections.open", Doc: "Sessions that are open.", kinds: proxied, measure: Open, scale: 1},
		{Name: "queue.length", Doc: "Requests that wait for a server's slot.", kinds: proxied, measure: Queued, scale: 1},
	},
	percentiles("", TotalTime, "of the whole request, from its first byte to the last of the answer; of tcp, of the connection", logged),
	percentiles("response.", ResponseTime, "that servers take to begin their answer", logged),
	percentiles("queue.", QueueTime, "that requests wait for a server's slot", logged),
	percentiles("connect.", ConnectTime, "that a connection to a server takes", logged),
	[]Figure{
		{Name: "tls.1.3", Unit: "1/s", Doc: "Requests over TLS 1.3.", kinds: fronted, sum: []Column{TLS13}},
		{Name: "tls.1.2", Unit: "1/s", Doc: "Requests over TLS 1.2.", kinds: fronted, sum: []Column{TLS12}},
		{Name: "tls.1.1", Unit: "1/s", Doc: "Requests over TLS 1.1.", kinds: fronted, sum: []Column{TLS11}},
		{Name: "tls.1.0", Unit: "1/s", Doc: "Requests over TLS 1.0.", kinds: fronted, sum: []Column{TLS10}},
		{Name: "tls.handshakes", Unit: "1/s", Doc: "TLS handshakes of clients, whole and resumed ones.", kinds: fronted, sum: []Column{Handshakes}},
		{Name: "tls.resumed", Unit: "share", Doc: "The share of TLS handshakes that resumed an earlier session.", kinds: fronted, sum: []Column{Resumed}, of: []Column{Handshakes}},
		{Name: "tls.failures", Unit: "1/s", Doc: "TLS handshakes that failed.", kinds: machine, sum: []Column{HandshakeFailures}},
	},
	percentiles("handshake.", HandshakeTime, "that a client's TLS handshake takes, until its first request may come", fronted),
	[]Figure{
		{Name: "checks.failed", Unit: "1/s", Doc: "Health checks that failed, as each load balancer saw it.", kinds: checked, sum: []Column{CheckFailures}},
		{Name: "checks.down", Unit: "1/s", Doc: "Servers that went from up to down, as each load balancer saw it.", kinds: checked, sum: []Column{ChecksDown}},
		{Name: "cpu", Unit: "share", Doc: "The share of the machine's processors that is used.", kinds: machine, sum: []Column{CPUUser, CPUSystem, CPUInterrupt, CPUSteal}, of: allCPU},
		{Name: "cpu.user", Unit: "share", Doc: "The share of the machine's processors that programs use.", kinds: machine, sum: []Column{CPUUser}, of: allCPU},
		{Name: "cpu.system", Unit: "share", Doc: "The share of the machine's processors that the kernel uses for programs.", kinds: machine, sum: []Column{CPUSystem}, of: allCPU},
		{Name: "cpu.interrupt", Unit: "share", Doc: "The share of the machine's processors that interrupts take, as those of the network.", kinds: machine, sum: []Column{CPUInterrupt}, of: allCPU},
		{Name: "cpu.wait", Unit: "share", Doc: "The share of the machine's processors that waits for disks.", kinds: machine, sum: []Column{CPUWait}, of: allCPU},
		{Name: "cpu.steal", Unit: "share", Doc: "The share of the machine's processors that other virtual machines took.", kinds: machine, sum: []Column{CPUSteal}, of: allCPU},
		{Name: "memory.used", Unit: "B", Doc: "Memory that is used, without what can be had back at once.", kinds: machine, measure: MemoryUsed, scale: 1},
		{Name: "memory.total", Unit: "B", Doc: "Memory that there is.", kinds: machine, measure: MemoryTotal, scale: 1},
		{Name: "network.in", Unit: "B/s", Doc: "Bytes received by the machine's network interfaces, the loopback left out.", kinds: machine, sum: []Column{NetworkIn}},
		{Name: "network.out", Unit: "B/s", Doc: "Bytes sent by the machine's network interfaces, the loopback left out.", kinds: machine, sum: []Column{NetworkOut}},
		{Name: "load", Doc: "The machine's load average of a minute; of the fleet the sum.", kinds: machine, measure: Load, scale: 1000},
		{Name: "haproxy.idle", Unit: "share", Doc: "The share of its time for which HAProxy has nothing to do, as it says itself.", kinds: []string{"LoadBalancer"}, measure: HAProxyIdle, scale: 1000},
		{Name: "haproxy.memory", Unit: "B", Doc: "Memory that HAProxy's worker has in use.", kinds: machine, measure: HAProxyMemory, scale: 1},
		{Name: "reloads", Unit: "1/s", Doc: "Reloads of HAProxy.", kinds: machine, sum: []Column{Reloads}},
	},
)

func percentiles(prefix string, timing Column, of string, kinds []string) []Figure {
	var list []Figure
	for _, p := range []struct {
		name string
		q    float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}} {
		list = append(list, Figure{Name: prefix + p.name, Unit: "ms", Doc: "The time " + of + ": " + p.name[1:] + " % took no longer.", kinds: kinds, timing: timing, quantile: p.q})
	}
	return list
}
