package haproxy

import (
	"fmt"

	"weir/internal/ir"
)

// mapEgressNames has backend → who asks for its name|the name, for services that go by one: asksNobody where the control
// plane does, else the family that is asked for first.
const mapEgressNames = "maps/egress-names.map"

const (
	// resolvers names the section of the name servers; HAProxy makes one called default of the machine's own.
	resolvers  = "names"
	asksNobody = "none"
)

// nameservers are whom this load balancer asks for names of partners. What they said is believed for ten seconds; TTLs are
// not looked at (TestFactNamesOfCalls).
func (r *renderer) nameservers() {
	if !r.egresses(0) || len(r.node.Tuning.Nameservers) == 0 {
		return
	}
	owner := r.tuningOwner()
	s := r.section("resolvers", resolvers)
	for i, at := range r.node.Tuning.Nameservers {
		s.own(owner, "nameserver n%d %s", i+1, at)
	}
	s.add("accepted_payload_size 1232")
	s.add("resolve_retries 2")
	s.add("timeout resolve 1s")
	s.add("timeout retry 500ms")
	s.add("hold valid 10s")
}

// egressServers answers at once where a service has no server at all: its name has no address yet, or it can't be spoken to
// as is asked for. Else no zone would have one, and nobody would be told which call it was.
func (r *renderer) egressServers(s *Section, p port) {
	if !r.egresses(p.number) {
		return
	}
	s.add("http-request set-var(txn.eg.be) var(txn.route),concat(@,sess.vip),map_str(%s) if %s", opt(mapPools), calls)
	const none = calls + " { var(txn.eg.be),nbsrv 0 }"
	s.add("http-request set-var(txn.eg.host) var(txn.eg.be),map_str(%s),field(2,|) if %s", opt(mapEgressNames), none)
	s.add("http-request "+unresolved+" if %s { var(txn.eg.host) -m found }", none)
	s.add(`http-request return status 503 content-type text/plain lf-string "%%[var(txn.eg.service)] has no server that may be called\n" if %s`, none)
}

// unresolved answers a call of a service that goes by a name without addresses.
const unresolved = `return status 503 content-type text/plain hdr Retry-After 5 lf-string "%%[var(txn.eg.service)] has no address: the DNS knows none of %%[var(txn.eg.host)]\n"`

// egressNames finds the address of a service by its name, where load balancers do. All attempts of one call go there.
func (r *renderer) egressNames(s *Section) {
	if len(r.node.Tuning.Nameservers) == 0 {
		return
	}
	s.add("http-request set-var(txn.eg.dns) be_name,map_str(%s)", opt(mapEgressNames))
	s.add("http-request set-var(txn.eg.ask) var(txn.eg.dns),field(1,|)")
	s.add("http-request set-var(txn.eg.host) var(txn.eg.dns),field(2,|)")
	for _, family := range []string{"ipv4", "ipv6"} {
		asked := fmt.Sprintf("{ var(txn.eg.ask) -m str %s }", family)
		s.add("http-request do-resolve(txn.eg.ip,%s,%s) var(txn.eg.host) if %s", resolvers, family, asked)
		s.add("http-request "+unresolved+" if %s !{ var(txn.eg.ip) -m found }", asked)
	}
	s.add("http-request set-dst var(txn.eg.ip) if { var(txn.eg.ip) -m found }")
}

// nameOf puts down what the DNS is asked for a service, and by whom.
func (r *renderer) nameOf(e *ir.Endpoint, name, owner string) {
	switch {
	case e.Name == "":
	case e.Prefer != "":
		r.put(mapEgressNames, name, e.Prefer+"|"+e.Name, owner)
	default:
		r.put(mapEgressNames, name, asksNobody+"|"+e.Name, owner)
	}
}
