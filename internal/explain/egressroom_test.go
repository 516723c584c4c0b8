package explain_test

import (
	"net/netip"
	"strings"
	"testing"

	"weir"
	"weir/internal/explain"
	"weir/internal/ir"
)

// What only a connection, the DNS or a load balancer's own count could tell is taken from whoever asks, or from what was
// heard last, and is told as unknown with its reason where neither knows.
func TestWhatIsKnownOfCalls(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("10.1.2.3")
	node := func(edit func(*ir.Node)) ir.Node {
		service := &ir.Endpoint{Partner: "example", Environment: "prod", Service: "www", Host: "www.example.net"}
		n := ir.Node{
			Group:        ir.Group{Name: "edge"},
			Addresses:    []ir.Address{{Name: "vip", Address: netip.MustParseAddr("192.0.2.1")}},
			Sites:        []ir.Site{{Name: "out", Mode: "http", Hostnames: []string{"egress.inside"}, Addresses: []string{"vip"}, Listeners: []ir.Listener{{Port: 443, Mode: weir.PortHTTPS, TLS: &weir.ListenerTLS{Certificates: []string{"c"}}}}, Egress: []string{"prod"}, ClientAuthority: "ours"}},
			Clients:      []ir.EgressClient{{Name: "myback", EgressClient: weir.EgressClient{Environment: "prod", Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}},
			SLAs:         []ir.SLA{{Name: "high"}},
			Rules:        []ir.EgressRule{{Name: "r", EgressRule: weir.EgressRule{Clients: []string{"myback"}, Partner: "example", SLAs: []string{"high"}}}},
			Pools:        []ir.Pool{{Name: service.Pool(), Mode: "http", Endpoint: service, Servers: []ir.Server{{Name: "a", Address: netip.MustParseAddrPort("192.0.2.9:443"), Weight: 100}}}},
			Certificates: []ir.Certificate{{Name: "c", Names: []string{"egress.inside"}, Key: &weir.SealedRef{}}},
		}
		if edit != nil {
			edit(&n)
		}
		return n
	}
	named := func(n *ir.Node) { n.Clients[0].Subject = "CN=myback" }
	asked := func(prefer string) func(*ir.Node) {
		return func(n *ir.Node) { n.Pools[0].Endpoint.Name, n.Pools[0].Endpoint.Prefer = "www.example.net", prefer }
	}
	bounded := func(n *ir.Node) { n.SLAs[0].InFlight, n.Pools[0].Endpoint.InFlight = 9, 5 }
	open := func(now float64) func(string) (float64, bool) {
		return func(pool string) (float64, bool) { return now, pool == "example.prod.www" }
	}
	for name, test := range map[string]struct {
		node        func(*ir.Node)
		certificate string
		underWay    func(string) (float64, bool)
		status      int
		says        string // some step or the answer
		unsure      string
	}{
		"nothing to know":            {nil, "", nil, 0, "lets EgressClient/myback call", ""},
		"nobody said":                {named, "", nil, 0, "with the certificate of CN=myback", "which certificate the client shows, since only its connection tells"},
		"its certificate":            {named, "CN=myback", nil, 0, "with the certificate of CN=myback", ""},
		"another one":                {named, "CN=yourback", nil, 403, "which was not shown", ""},
		"none":                       {named, explain.NoCertificate, nil, 403, "which was not shown", ""},
		"heard of":                   {asked(""), "", nil, 0, "www.example.net is 192.0.2.9, as the control plane heard last", ""},
		"asked by load balancers":    {asked(weir.PreferIPv6), "", nil, 0, "load balancers ask the DNS for www.example.net, ipv6 first", "since each load balancer asks by itself"},
		"bounds and no figures":      {bounded, "", nil, 0, "while 5 calls to example/prod/www are under way at the load balancer", "since each load balancer counts for itself at that moment"},
		"bounds and room everywhere": {bounded, "", open(4), 0, "all load balancers together have 4 calls to example/prod/www under way now, so that there is room", ""},
		"bounds and perhaps no room": {bounded, "", open(5), 0, "while 9 are under way", "all together have 5 calls to example/prod/www under way now, and 5 are let through at one"},
		"figures of nothing bounded": {nil, "", open(50), 0, "lets EgressClient/myback call", ""},
	} {
		got := explain.Explain(node(test.node), explain.Request{
			Port: 443, Address: "vip", From: from, Name: "egress.inside", Host: "egress.inside", Method: "GET", Target: "/myback/prod/example/prod/www/high/x", Certificate: test.certificate,
		}, explain.View{UnderWay: test.underWay})
		said := got.Answer.Text
		for _, s := range got.Steps {
			said += "\n" + s.Says
		}
		unsure := strings.Join(got.Unsure, "\n")
		if got.Answer.Status != test.status || !strings.Contains(said, test.says) || !strings.Contains(unsure, test.unsure) || (unsure == "") != (test.unsure == "") {
			t.Errorf("%s: %d, not known %q\n%s", name, got.Answer.Status, unsure, said)
		}
	}
}
