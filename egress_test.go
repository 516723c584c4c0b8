package weir_test

import (
	"strings"
	"testing"

	"weir"
)

// What is written of calls to partners is read with its defaults, or refused where it is wrong.
func TestEgressObjects(t *testing.T) {
	const partner = "kind: Partner\nmetadata: {name: p}\nspec: {endpoints: [{environment: prod, service: www, host: WWW.Example.com, addresses: ['::ffff:192.0.2.1']"
	list, err := weir.Decode("p.yaml", []byte(partner+"}]}\n---\nkind: SLA\nmetadata: {name: high}\nspec: {retries: {}}\n---\nkind: EgressClient\nmetadata: {name: myback-prod}\nspec: {application: myback, environment: prod, sources: [10.1.2.0/24]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	e := list[0].Spec.(*weir.Partner).Endpoints[0]
	if e.Host != "www.example.com" || e.Port != 443 || e.TLS.SNI != "www.example.com" || e.TLS.MinVersion != "TLSv1.2" || e.Addresses[0].String() != "192.0.2.1" {
		t.Errorf("%+v, %+v", e, e.TLS)
	}
	if s := list[1].Spec.(*weir.SLA); s.Connect.String() != "5s" || s.Server.String() != "30s" || s.Retries.On != weir.RetryOnFailure || s.Retries.Methods != weir.RetryIdempotent {
		t.Errorf("%+v", s)
	}
	if c := list[2].Spec.(*weir.EgressClient); c.Caller("x") != "myback/prod" || c.Sources[0].String() != "10.1.2.0/24" {
		t.Errorf("%+v", c)
	}
	rule := func(spec string) string { return "kind: EgressRule\nmetadata: {name: r}\nspec: {" + spec + "}" }
	site := func(spec string) string {
		return "kind: Site\nmetadata: {name: s}\nspec: {hostnames: [e.example], addresses: [a], listeners: [{port: 80}], " + spec + "}"
	}
	for text, want := range map[string]string{
		"kind: EgressClient\nmetadata: {name: c}\nspec: {environment: Prod, sources: [10.0.0.0/8]}":                                 "spec.environment",
		"kind: EgressClient\nmetadata: {name: c}\nspec: {environment: a/b, sources: [10.0.0.0/8]}":                                  "spec.environment",
		"kind: EgressClient\nmetadata: {name: c}\nspec: {environment: prod}":                                                        "spec.sources: needs at least one",
		"kind: EgressClient\nmetadata: {name: c}\nspec: {environment: prod, application: '..', sources: [10.0.0.0/8]}":              "spec.application",
		"kind: EgressClient\nmetadata: {name: c}\nspec: {environment: prod, sources: [10.0.0.0/8], subject: /CN=a}":                 "spec.subject",
		"kind: EgressClient\nmetadata: {name: c}\nspec: {environment: prod, sources: [10.0.0.0/8], subject: 'CN=a,serialNumber=1'}": "spec.subject",
		"kind: EgressClient\nmetadata: {name: c}\nspec: {environment: prod, sources: [10.0.0.0/8], subject: 'O=a\\, b'}":            "spec.subject",
		site("egress: {environments: [prod], clientAuthority: x}"):                                                                  "needs a listener with tls",
		"kind: Partner\nmetadata: {name: p}\nspec: {contact: x}":                                                                    "spec.endpoints: needs at least one",
		partner + ", plain: true, tls: {}}]}":                                                                                       "leave one of them out",
		partner + "}, {environment: prod, service: www, host: a.example, addresses: [192.0.2.1]}]}":                                 "endpoints[1].service",
		partner + ", port: 0x}]}":                                                                                              "port",
		partner + ", path: v2}]}":                                                                                              "endpoints[0].path",
		partner + ", path: \"/v2 %[src]\"}]}":                                                                                  "endpoints[0].path",
		partner + ", hostHeader: \"a b\"}]}":                                                                                   "endpoints[0].hostHeader",
		partner + ", tls: {sni: \"*.example.com\"}}]}":                                                                         "endpoints[0].tls.sni",
		partner + ", tls: {minVersion: TLSv1.0}}]}":                                                                            "endpoints[0].tls.minVersion",
		partner + ", tls: {minVersion: TLSv1.3, maxVersion: TLSv1.2}}]}":                                                       "below minVersion",
		partner + ", maintenance: {status: 200}}]}":                                                                            "endpoints[0].maintenance.status: 200 is none of",
		partner + "}], maintenance: {retryAfter: 1ms}}":                                                                        "spec.maintenance.retryAfter",
		partner + ", tls: {verify: none}}]}":                                                                                   "verify",
		strings.Replace(partner, "'::ffff:192.0.2.1'", "0.0.0.0", 1) + "}]}":                                                   "must be the address of a server",
		partner + ", resolve: control-plane}]}":                                                                                "endpoints[0].resolve: is for a host that the DNS is asked for",
		partner + ", prefer: ipv6}]}":                                                                                          "endpoints[0].prefer: is for a host that the DNS is asked for",
		strings.Replace(partner, "'::ffff:192.0.2.1'", "", 1) + ", resolve: us}]}":                                             "endpoints[0].resolve",
		strings.Replace(partner, "'::ffff:192.0.2.1'", "", 1) + ", prefer: ipv5}]}":                                            "endpoints[0].prefer",
		strings.Replace(partner, "'::ffff:192.0.2.1'", "", 1) + ", resolved: [0.0.0.0]}]}":                                     "endpoints[0].resolved[0]: must be the address of a server",
		"kind: Tuning\nmetadata: {name: t}\nspec: {nameservers: [dns.example.com]}":                                            "spec.nameservers[0]",
		"kind: Tuning\nmetadata: {name: t}\nspec: {nameservers: [\"192.0.2.1:0\"]}":                                            "spec.nameservers[0]",
		"kind: Tuning\nmetadata: {name: t}\nspec: {nameservers: [192.0.2.1, \"192.0.2.1:53\"]}":                                "spec.nameservers[1]",
		strings.Replace(partner, "WWW.Example.com", "\"*.example.com\"", 1) + "}]}":                                            "must be one name",
		strings.Replace(partner, "WWW.Example.com", "https://example.com/v1", 1) + "}]}":                                       "endpoints[0].host: \"https://example.com/v1\" is no host name: write the name alone",
		partner + ", tls: {sni: \"https://example.com\"}}]}":                                                                   "endpoints[0].tls.sni: \"https://example.com\" is no host name: write the name alone",
		"kind: SLA\nmetadata: {name: s}\nspec: {server: 0.1ms}":                                                                "spec.server",
		"kind: SLA\nmetadata: {name: s}\nspec: {retries: {on: connection}}":                                                    "spec.retries.on",
		"kind: SLA\nmetadata: {name: s}\nspec: {retries: {methods: GET}}":                                                      "spec.retries.methods",
		"kind: SLA\nmetadata: {name: s}\nspec: {inFlight: -1}":                                                                 "spec.inFlight",
		rule("partner: p, slas: [s]"):                                                                                          "spec.clients: needs at least one",
		rule("clients: [c], slas: [s]"):                                                                                        "spec.partner",
		rule("clients: [c], partner: p"):                                                                                       "spec.slas: needs at least one",
		rule("clients: [c], partner: p, slas: [s], methods: [get]"):                                                            "spec.methods[0]",
		rule("clients: [c], partner: p, slas: [s], methods: [\"GET|x\"]"):                                                      "spec.methods[0]",
		rule("clients: [c], partner: p, slas: [s], paths: [api]"):                                                              "spec.paths[0]",
		rule("clients: [c], partner: p, slas: [s], paths: [\"/a?b\"]"):                                                         "spec.paths[0]",
		"kind: Split\nmetadata: {name: s}\nspec: {site: s, legs: [{backend: a/b, weight: 1}, {backend: a/b/c, weight: 1}]}":    "spec.legs[0].backend: \"a/b\" must be a backend, or a service",
		"kind: Split\nmetadata: {name: s}\nspec: {site: s, legs: [{backend: a/b/c, weight: 1}, {backend: a/../c, weight: 1}]}": "spec.legs[1].backend",
		site("egress: {}"): "spec.egress.environments",
		site("egress: {environments: [prod]}, backends: {default: web}"): "backends can't stand beside it",
		site("egress: {environments: [prod]}, mode: tcp"):                "needs mode http",
	} {
		if _, err := weir.Decode("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		} else if strings.Count(err.Error(), "is no host name") > 1 {
			t.Errorf("%s: a name that was written once is refused twice: %v", text, err)
		}
	}
}

// Between objects: who calls is told apart, what rules let through is there and stays there, and groups are for the same
// environments alone.
func TestEgressRulesBetweenObjects(t *testing.T) {
	decode := func(text string) []*weir.Object {
		t.Helper()
		list, err := weir.Decode("x.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return list
	}
	set := weir.NewSet()
	for _, o := range decode(`
kind: LoadBalancerGroup
metadata: {name: edge}
spec: {ranges: [203.0.113.0/28]}
---
kind: Role
metadata: {name: web}
---
kind: Role
metadata: {name: api}
---
kind: IPAddress
metadata: {name: a}
spec: {address: 203.0.113.1, groups: [edge]}
---
kind: Site
metadata: {name: out}
spec: {hostnames: [e.example], addresses: [a], listeners: [{port: 80}], egress: {environments: [test, prod]}}
---
kind: EgressClient
metadata: {name: myback, role: web}
spec: {environment: prod, sources: [10.0.0.0/8]}
---
kind: EgressClient
metadata: {name: myback-test, role: web}
spec: {application: myback, environment: test, sources: [10.0.0.0/8]}
---
kind: Partner
metadata: {name: example, role: web}
spec:
  endpoints:
  - {environment: prod, service: www, host: a.example, addresses: [192.0.2.1]}
  - {environment: prod, service: mail, host: b.example, addresses: [192.0.2.1]}
  - {environment: old, service: www, host: b.example, addresses: [192.0.2.1]}
---
kind: Partner
metadata: {name: theirs, role: api}
spec: {endpoints: [{environment: prod, service: www, host: a.example, addresses: [192.0.2.1]}, {environment: prod, service: mail, host: a.example, addresses: [192.0.2.1]}]}
---
kind: Partner
metadata: {name: shared, role: web, shareWith: [api]}
spec: {endpoints: [{environment: prod, service: www, host: a.example, addresses: [192.0.2.1]}, {environment: prod, service: mail, host: a.example, addresses: [192.0.2.1]}]}
---
kind: Split
metadata: {name: first, role: web}
spec: {site: out, legs: [{backend: shared/prod/www, weight: 1}, {backend: shared/prod/mail, weight: 1}]}
---
kind: SLA
metadata: {name: high}
---
kind: EgressRule
metadata: {name: r, role: web}
spec: {clients: [myback], partner: example, services: [www], slas: [high]}
---
kind: Schedule
metadata: {name: theirs, role: api}
spec: {from: 2030-01-01T00:00:00Z, reason: theirs}
`) {
		set.Put(o)
	}
	split := func(role, first, second string) string {
		return "kind: Split\nmetadata: {name: new, role: " + role + "}\nspec: {site: out, backend: " + first + ", legs: [{backend: " + first + ", weight: 9}, {backend: " + second + ", weight: 1}]}"
	}
	const rule = "kind: EgressRule\nmetadata: {name: new, role: web}\nspec: {partner: example, slas: [high], "
	for text, want := range map[string]string{
		rule + "clients: [myback]}":                                               "",
		rule + "clients: [myback-test], environment: prod}":                       "",
		rule + "clients: [myback-test]}":                                          "spec.clients[0] is of environment test, which Partner/example does not have: it has prod/www, prod/mail",
		rule + "clients: [myback], environment: acceptance}":                      "spec.environment Partner/example has no environment acceptance",
		rule + "clients: [myback], services: [ftp]}":                              "spec.services Partner/example has no service ftp in environment prod",
		rule + "clients: [myback], schedule: gone}":                               `spec.schedule Schedule "gone" does not exist`,
		rule + "clients: [myback], schedule: theirs}":                             "spec.schedule Schedule/theirs belongs to role api, which does not share it",
		rule + "clients: [nobody]}":                                               `EgressClient "nobody" does not exist`,
		strings.Replace(rule, "role: web", "role: api", 1) + "clients: [myback]}": "belongs to role web, which does not share it",
		"kind: EgressClient\nmetadata: {name: twice}\nspec: {application: myback, environment: prod, sources: [10.0.0.0/8]}":                                    "EgressClient/myback is /myback/prod already",
		"kind: EgressClient\nmetadata: {name: myback, role: web}\nspec: {environment: test, application: other, sources: [10.0.0.0/8]}":                         "EgressRule/r could not stay: spec.services",
		"kind: Partner\nmetadata: {name: example, role: web}\nspec: {endpoints: [{environment: prod, service: mail, host: b.example, addresses: [192.0.2.1]}]}": "EgressRule/r could not stay: spec.services: Partner/example has no service www",
		split("web", "a/prod/www", "example/prod/mail"):                                                      "spec.legs[0].backend Partner \"a\" does not exist",
		split("web", "example/prod/www", "example/prod/mail"):                                                "",
		split("web", "example/prod/www", "example/prod/ftp"):                                                 "spec.legs[1].backend Partner/example has no prod/ftp; it has prod/www, prod/mail, old/www",
		split("web", "example/prod/www", "example/old/www"):                                                  "spec.legs[1].backend is in environment old; those who may call example/prod/www may call environment prod alone",
		split("web", "example/prod/www", "theirs/prod/www"):                                                  "spec.legs[1].backend Partner/theirs belongs to role api",
		split("api", "example/prod/www", "theirs/prod/www"):                                                  "spec.legs[0].backend Partner/example belongs to role web",
		split("api", "theirs/prod/www", "shared/prod/www"):                                                   "spec.site neither Site/out nor Partner/shared is role api's",
		split("api", "theirs/prod/www", "theirs/prod/mail"):                                                  "",
		split("web", "default", "example/prod/www"):                                                          "spec.legs[0].backend \"default\" is no service; Site/out leads to partners",
		strings.Replace(split("web", "shared/prod/www", "example/prod/www"), "name: new", "name: second", 1): "spec.backend Split/first divides",
		"kind: Partner\nmetadata: {name: shared, role: web, shareWith: [api]}\nspec: {endpoints: [{environment: prod, service: mail, host: a.example, addresses: [192.0.2.1]}]}":                                       "Split/first could not stay: spec.legs[0].backend: Partner/shared has no prod/www",
		"kind: Site\nmetadata: {name: second}\nspec: {hostnames: [f.example], addresses: [a], listeners: [{port: 80}], egress: {environments: [prod, test]}}":                                                          "",
		"kind: Site\nmetadata: {name: second}\nspec: {hostnames: [f.example], addresses: [a], listeners: [{port: 80}], egress: {environments: [prod]}}":                                                                "LoadBalancerGroup/edge serves Site/out for test, prod",
		"kind: Site\nmetadata: {name: second}\nspec: {hostnames: [f.example], addresses: [a], listeners: [{port: 443, tls: {certificates: [inside]}}], egress: {environments: [prod, test], clientAuthority: inside}}": "spec.egress.clientAuthority LoadBalancerGroup/edge serves Site/out, which has none",
	} {
		after := set.Copy()
		var refs []weir.Ref
		for _, o := range decode(text) {
			after.Put(o)
			refs = append(refs, o.Ref())
		}
		var said []string
		for _, p := range weir.Check(set, after, refs) {
			said = append(said, p.Path+" "+p.Message)
		}
		if got := strings.Join(said, "\n"); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	// An address takes its site to other groups' sites.
	after := set.Copy()
	for _, o := range decode("kind: LoadBalancerGroup\nmetadata: {name: lab}\nspec: {ranges: [203.0.113.0/28]}\n---\nkind: IPAddress\nmetadata: {name: b}\nspec: {address: 203.0.113.2, groups: [lab]}\n---\n" +
		"kind: Site\nmetadata: {name: lab}\nspec: {hostnames: [f.example], addresses: [b], listeners: [{port: 80}], egress: {environments: [test]}}") {
		after.Put(o)
	}
	both := after.Copy()
	both.Put(decode("kind: IPAddress\nmetadata: {name: a}\nspec: {address: 203.0.113.1, groups: [edge, lab]}")[0])
	var said []string
	for _, p := range weir.Check(after, both, []weir.Ref{{Kind: "IPAddress", Name: "a"}}) {
		said = append(said, p.Path+" "+p.Message)
	}
	if got := strings.Join(said, "\n"); !strings.Contains(got, "spec.groups Site/out could not stay: spec.egress.environments: LoadBalancerGroup/lab serves Site/lab for test") {
		t.Errorf("an address in one more group: %s", got)
	}
	for _, ref := range []weir.Ref{{Kind: "SLA", Name: "high"}, {Kind: "Partner", Name: "example"}, {Kind: "EgressClient", Name: "myback"}} {
		after := set.Copy()
		after.Delete(ref)
		if len(weir.Check(set, after, []weir.Ref{ref})) == 0 {
			t.Errorf("%s can be deleted while a rule names it", ref)
		}
	}
}
