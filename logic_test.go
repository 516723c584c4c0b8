package weir_test

import (
	"encoding/json"
	"strings"
	"testing"

	"weir"
)

const logicBase = `
{kind: Role, metadata: {name: web}}
---
{kind: Role, metadata: {name: other}}
---
{kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28]}}
---
{kind: IPAddress, metadata: {name: vip, role: web}, spec: {address: 203.0.113.1, groups: [edge]}}
---
{kind: AccessList, metadata: {name: office, role: web}, spec: {networks: [10.0.0.0/8]}}
---
{kind: Pool, metadata: {name: web, role: web}, spec: {members: [{name: a, address: 10.0.0.1, port: 80}], logic: [plain]}}
---
{kind: Logic, metadata: {name: plain, role: web}, spec: {text: "http-request set-header X ${pool}${zone}"}}
---
kind: Logic
metadata: {name: typed, role: web}
spec:
  parameters: {n: {type: int}, to: {type: backend, default: default}, on: {type: bool, default: true}}
  text: |
    # what ${nothing} is here
    acl in client in office
    http-request set-header X "%[int(${n})] ${on} ${site}" if in
    http-request route ${to} unless in
---
{kind: Logic, metadata: {name: theirs, role: other}, spec: {text: http-request deny}}
---
{kind: Logic, metadata: {name: everybodys}, spec: {raw: true, text: http-request do-log}}
---
kind: Site
metadata: {name: www, role: web}
spec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], backends: {default: web}, logic: [everybodys, {name: typed, with: {n: 5}}]}
`

// A Logic is refused when it is applied, with the field and the line.
func TestLogicIsRefusedWhereItStands(t *testing.T) {
	t.Parallel()
	for spec, why := range map[string]string{
		"{text: \"http-request deny\\n\\nhttp-request set-dst src\"}":                                "spec.text: line 3: the action",
		"{text: \"http-request deny if ${a}\", parameters: {a: {type: thing}}}":                      "spec.parameters.a.type",
		"{text: http-request deny, parameters: {a: {type: int, default: b}}}":                        "spec.parameters.a.default",
		"{text: http-request deny, parameters: {site: {type: int}}}":                                 "spec.parameters.site",
		"{text: http-request deny, parameters: {a: {type: string, default: \"a\\nb\"}}}":             "spec.parameters.a.default",
		"{text: http-request deny, raw: true, parameters: {a: {type: int}}}":                         "spec.parameters: are for text",
		"{text: server x 127.0.0.1, raw: true}":                                                      "spec.text: line 1: begins with",
		"{text: \"http-request return status ${a}\", parameters: {a: {type: int, default: 99}}}":     "spec.text: line 1: status",
		"{text: \"http-request set-header ${a} x\", parameters: {a: {type: string, default: host}}}": "the connection's or Weir's own",
		"{text: http-request deny, parameters: {a: {type: duration, default: 1500ms}}}":              "whole seconds",
		"{text: http-request deny, parameters: {a: {type: int, default: {b: c}}}}":                   "must be a single value",
		"{}": "spec.text",
	} {
		_, err := weir.Decode("x.yaml", []byte("{kind: Logic, metadata: {name: x}, spec: "+spec+"}"))
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", spec, err, why)
		}
	}
	list, err := weir.Decode("x.yaml", []byte(logicBase))
	if err != nil {
		t.Fatal(err)
	}
	site := list[len(list)-1]
	raw, _ := json.Marshal(site.Spec)
	if !strings.Contains(string(raw), `"logic":["everybodys",{"name":"typed","with":{"n":5}}]`) {
		t.Errorf("%s", raw)
	}
	again, err := weir.DecodeStored([]byte(`{"kind":"Site","spec":` + string(raw) + `}`))
	if err != nil || !weir.SameLogic(again.Spec.(*weir.Site).Logic, site.Spec.(*weir.Site).Logic) {
		t.Errorf("%v %+v", err, again)
	}
}

// What a site gives must suit the Logic, whichever of them changes.
func TestLogicSuitsWhoNamesIt(t *testing.T) {
	t.Parallel()
	list, err := weir.Decode("x.yaml", []byte(logicBase))
	if err != nil {
		t.Fatal(err)
	}
	base := weir.NewSet(list...)
	var all []weir.Ref
	for _, o := range list {
		all = append(all, o.Ref())
	}
	if problems := weir.Check(weir.NewSet(), base, all); len(problems) > 0 {
		t.Fatal(problems)
	}
	site := func(logic string) string {
		return "{kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip], listeners: [{port: 80}], backends: {default: web}, logic: " + logic + "}}"
	}
	pool := func(logic string) string {
		return "{kind: Pool, metadata: {name: web, role: web}, spec: {members: [{name: a, address: 10.0.0.1, port: 80}], logic: " + logic + "}}"
	}
	for manifest, why := range map[string]string{
		site("[typed]"): "spec.logic[0].with.n: Logic/typed: needs a value",
		site("[plain, {name: typed, with: {n: x}}]"):       "spec.logic[0]: Logic/plain: its text is refused with these values: line 1",
		site("[{name: typed, with: {n: 1, m: 2}}]"):        "spec.logic[0].with.m: Logic/typed: is no parameter",
		site("[{name: typed, with: {n: 1, to: api}}]"):     `spec.logic[0]: Logic/typed sends requests to the backend "api"`,
		site("[{name: typed, with: {n: 1, on: perhaps}}]"): "neither true nor false",
		site("[{name: everybodys, with: {n: 1}}]"):         "the logic is raw",
		site("[missing]"):                     `spec.logic[0]: Logic "missing" does not exist`,
		site("[theirs]"):                      "spec.logic[0]: Logic/theirs belongs to role other",
		pool("[{name: typed, with: {n: 1}}]"): "spec.logic[0]: Logic/typed: its text is refused",
		"{kind: Logic, metadata: {name: typed, role: web}, spec: {text: http-request deny}}":                                             "Site/www could not stay: spec.logic[1].with.n",
		"{kind: Logic, metadata: {name: plain, role: web}, spec: {text: http-request route default}}":                                    "Pool/web could not stay: spec.logic[0]",
		"{kind: Logic, metadata: {name: typed, role: web}, spec: {parameters: {n: {type: int}}, text: http-request route gone if TRUE}}": "Site/www could not stay",
		"{kind: Logic, metadata: {name: typed, role: other}, spec: {parameters: {n: {type: int}}, text: http-request deny}}":             "metadata.role",
		site("[{name: typed, with: {n: 7, to: default}}]"):                                                                               "",
	} {
		written, err := weir.Decode("x.yaml", []byte(manifest))
		if err != nil {
			t.Errorf("%s: %v", manifest, err)
			continue
		}
		after := base.Copy()
		after.Put(written[0])
		problems := weir.Check(base, after, []weir.Ref{written[0].Ref()})
		said := ""
		for _, p := range problems {
			said += p.String() + "\n"
		}
		if (why == "") != (said == "") || !strings.Contains(said, why) {
			t.Errorf("%s: %q, want %q", manifest, said, why)
		}
	}
	after := base.Copy()
	after.Delete(weir.Ref{Kind: "AccessList", Name: "office"})
	if problems := weir.Check(base, after, []weir.Ref{{Kind: "AccessList", Name: "office"}}); len(problems) != 1 || !strings.Contains(problems[0].Message, "Logic/typed") {
		t.Errorf("a list that a Logic asks for goes: %v", problems)
	}
}
