package server

import (
	"fmt"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
)

// TestPartnersThatCannotBeSpokenTo: a way out says which services are not called for want of a certificate or an authority,
// and is down when no other is left; a name without addresses is not its fault.
func TestPartnersThatCannotBeSpokenTo(t *testing.T) {
	t.Parallel()
	const base = `
- {kind: Zone, metadata: {name: az1}}
- {kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28]}}
- {kind: IPAddress, metadata: {name: a}, spec: {address: 203.0.113.1, groups: [edge]}}
- {kind: Site, metadata: {name: out}, spec: {hostnames: [e.example], addresses: [a], listeners: [{port: 80}], egress: {environments: [prod]}}}
- {kind: EgressClient, metadata: {name: c}, spec: {environment: prod, sources: [10.0.0.0/8]}}
- {kind: SLA, metadata: {name: high}}
- {kind: EgressRule, metadata: {name: r}, spec: {clients: [c], partner: p, slas: [high]}}
`
	const fine, named = "{environment: prod, service: fine, host: a.example, addresses: [192.0.2.1]}", "{environment: prod, service: named, host: a.example}"
	service := func(name, tls string) string {
		return "{environment: prod, service: " + name + ", host: a.example, addresses: [192.0.2.1], tls: {" + tls + "}}"
	}
	var many []string
	for i := range mostUnspoken + 2 {
		many = append(many, service(fmt.Sprint("s", i), "ca: gone"))
	}
	const begins = "Unspoken partners can't be spoken to, and calls are answered 503: "
	for name, test := range map[string]struct {
		endpoints []string
		want      string // a beginning
		ends      string
	}{
		"all is well":    {[]string{fine, named}, "", ""},
		"one of several": {[]string{fine, service("shown", "clientCertificate: lost")}, "Site/out down=false [lb1] " + begins + "p/prod/shown: Certificate/lost does not exist", "does not exist"},
		"the only one":   {[]string{service("shown", "ca: lost")}, "Site/out down=true [lb1] " + begins + "p/prod/shown: Certificate/lost does not exist", "does not exist"},
		"many":           {many, "Site/out down=true", "p/prod/s7: Certificate/gone does not exist; and 2 more"},
	} {
		list, err := weir.Decode("t.yaml", []byte(base+"- {kind: Partner, metadata: {name: p}, spec: {endpoints: ["+strings.Join(test.endpoints, ", ")+"]}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		node, problems := compile.Group(weir.NewSet(list...), "edge")
		var told []string
		for _, o := range (&groupState{node: node, problems: problems}).unspoken([]string{"lb1"}) {
			told = append(told, fmt.Sprintf("%s down=%t %v %s %s", o.Object, o.Down, o.LoadBalancers, o.Reason, o.Message))
		}
		got := strings.Join(told, "\n")
		if !strings.HasPrefix(got, test.want) || !strings.HasSuffix(got, test.ends) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
