package bench

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

var egressRulesFigures = []string{"egress_10000_vs_10_ratio", "egress_10000_mib"}

const (
	egressPort     = 8090 // of the first proxy, the other has the one after it
	manyServices   = 2000
	manyRules      = 10_000
	fewServices    = 10
	rulesPerClient = 100
)

// measureEgressRules compares the processor time that a call to a partner costs with 10,000 rules for 2,000 services, and
// with ten for ten. As many services are called: what differs is how many there are to look among. The memory is that of the
// first HAProxy when it has been called.
func measureEgressRules(t *testing.T) []figure {
	where := place{weirtest.Prefix(t)}
	l := newLoop(t)
	for _, member := range where.members() {
		l.origin(t, member, answer())
	}
	start := func(services, rules int, port weir.Port) *contender {
		node := where.wayOut(services, rules, port)
		c := startContender(t, fmt.Sprintf("with %d rules", rules), func(log haproxy.Log) []haproxy.File {
			return haproxy.Render(node, haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}, Log: log}).Files()
		})
		c.addr, c.asks = netip.AddrPortFrom(where.vip(0), uint16(port)), calls(&node)
		return c
	}
	many, few := start(manyServices, manyRules, egressPort), start(fewServices, fewServices, egressPort+1)
	apart(t, many.process.Pid(), few.process.Pid())
	compare(t, l, []*contender{many, few}, compareFor)
	t.Logf("microseconds a call: %.4g with %d rules, %.4g with %d", median(many.spent), manyRules, median(few.spent), fewServices)
	return []figure{
		{egressRulesFigures[0], many.against(few), "ratio"},
		{egressRulesFigures[1], rssMiB(t, many.process.Pid()), "MiB"},
	}
}

// wayOut is a load balancer's node with an egress site at a port, partners of ten services each, and rules for one service
// each, a hundred a client; every third has methods and paths.
func (p place) wayOut(services, rules int, port weir.Port) ir.Node {
	n := p.node()
	n.Self.Name = fmt.Sprintf("lb-out-%d", rules)
	n.Tuning.Ports = []weir.BoundPort{{Port: port, Mode: weir.PortHTTP}}
	n.Sites = []ir.Site{{
		Name: "out", Mode: "http", Hostnames: []string{hostOf("out")}, Addresses: []string{n.Addresses[0].Name},
		Listeners: []ir.Listener{{Port: port, Mode: weir.PortHTTP}}, Egress: []string{"prod"},
	}}
	n.Pools = nil
	var all []*ir.Endpoint
	for i := range services {
		e := &ir.Endpoint{Partner: fmt.Sprintf("partner%03d", i/10), Environment: "prod", Service: fmt.Sprintf("s%d", i%10), Host: fmt.Sprintf("s%d.partner%03d.example", i%10, i/10)}
		pool := ir.Pool{Name: e.Pool(), Mode: "http", Balance: "roundrobin", Check: weir.HealthCheck{Type: "none"}, Endpoint: e}
		for j, at := range p.members() {
			pool.Servers = append(pool.Servers, ir.Server{Name: fmt.Sprintf("m%d", j), Address: at, Weight: 100, Owner: "Partner/" + e.Partner})
		}
		all, n.Pools = append(all, e), append(n.Pools, pool)
	}
	level := ir.SLA{Name: "high", SLA: weir.SLA{InFlight: 100}}
	level.Normalize()
	n.SLAs = []ir.SLA{level}
	for i := range rules {
		client := fmt.Sprintf("client%03d", i/rulesPerClient)
		if i%rulesPerClient == 0 {
			n.Clients = append(n.Clients, ir.EgressClient{Name: client, EgressClient: weir.EgressClient{Environment: "prod", Sources: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
		}
		e := all[i%services]
		r := ir.EgressRule{Name: fmt.Sprintf("rule%05d", i), EgressRule: weir.EgressRule{Clients: []string{client}, Partner: e.Partner, Services: []string{e.Service}, SLAs: []string{"high"}}}
		if i%3 == 0 {
			r.Methods, r.Paths = []string{"GET", "POST"}, []string{"/api", "/files/"}
		}
		n.Rules = append(n.Rules, r)
	}
	slices.SortFunc(n.Pools, func(a, b ir.Pool) int { return cmp.Compare(a.Name, b.Name) })
	return n
}

// calls are requests by ten of the rules, from all over the list.
func calls(n *ir.Node) [][]byte {
	var list [][]byte
	for i := range fewServices {
		r := n.Rules[i*len(n.Rules)/fewServices]
		list = append(list, fmt.Appendf(nil, "GET /%s/prod/%s/prod/%s/high/api/orders/4711?full=1 HTTP/1.1\r\nHost: %s\r\n"+
			"User-Agent: Java/1.6.0_45\r\nAccept: application/json\r\nAuthorization: Bearer 9f2a77c0b1d84e3f\r\n\r\n", r.Clients[0], r.Partner, r.Services[0], hostOf("out")))
	}
	return list
}
