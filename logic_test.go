package weir_test

import (
	"encoding/json"
	"fmt"
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
{kind: AccessList, metadata: {name: bots, role: web}, spec: {strings: {match: exact, entries: [bot]}}}
---
{kind: AccessList, metadata: {name: hers, role: other}, spec: {networks: [10.0.0.0/8]}}
---
{kind: Map, metadata: {name: moved, role: web}, spec: {match: exact, entries: [{key: /a, value: https://www.example.com/b c}]}}
---
{kind: Map, metadata: {name: usual}, spec: {match: exact}}
---
kind: Logic
metadata: {name: naming}
spec:
  parameters: {who: {type: accessList}, where: {type: map, default: {map: usual}}}
  text: |
    http-request redirect location %[path,map(${where})] if { path,map(${where}) -m found } !{ client in ${who} }
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
		"{text: http-request deny, parameters: {a: {type: int, default: {b: c}}}}":                   "spec.parameters.a.default.b: is no field here",
		"{text: http-request deny, parameters: {a: {type: int, default: {map: m}}}}":                 "is of type int and must be a single value",
		"{text: http-request deny, parameters: {a: {type: map, default: m}}}":                        "is of type map and must be written {map: NAME}",
		"{text: http-request deny, parameters: {a: {type: map, default: {map: m, accessList: l}}}}":  "is of type map and must be written {map: NAME}",
		"{text: http-request deny, parameters: {a: {type: accessList, default: {accessList: A B}}}}": "may hold only a-z",
		"{text: \"http-request deny if { client in ${a} }\", parameters: {a: {type: string}}}":       "client in takes a parameter of type accessList alone",
		"{text: \"http-request deny if { client in ${a}x }\", parameters: {a: {type: accessList}}}":  "client in takes a parameter of type accessList alone",
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

// What values name is referred to by whoever gives them, and what defaults and the text name by the Logic.
func TestLogicRefersToWhatItsValuesName(t *testing.T) {
	t.Parallel()
	list, err := weir.Decode("x.yaml", []byte(strings.Replace(logicBase, "logic: [everybodys, {name: typed, with: {n: 5}}]", "logic: [{name: naming, with: {who: {accessList: office}, where: {map: moved}}}]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	set := weir.NewSet(list...)
	for name, want := range map[weir.Ref]string{
		{Kind: "Logic", Name: "naming"}: "[parameters.where.default: Map/usual]",
		{Kind: "Logic", Name: "typed"}:  "[text: AccessList/office]",
		{Kind: "Site", Name: "www"}:     "[logic[0].with.where: Map/moved logic[0].with.who: AccessList/office]",
	} {
		var got []string
		for _, r := range set.Get(name).Spec.References() {
			if r.Kind == "Map" || r.Kind == "AccessList" {
				got = append(got, strings.TrimPrefix(r.Path, "spec.")+": "+r.Ref.String())
			}
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s refers to %v, want %s", name, got, want)
		}
	}
	site := set.Get(weir.Ref{Kind: "Site", Name: "www"})
	raw, _ := json.Marshal(site.Spec)
	if !strings.Contains(string(raw), `"with":{"where":{"map":"moved"},"who":{"accessList":"office"}}`) {
		t.Errorf("%s", raw)
	}
	after := set.Copy()
	gone := weir.Ref{Kind: "Map", Name: "moved"}
	after.Delete(gone)
	if problems := weir.Check(set, after, []weir.Ref{gone}); len(problems) != 1 || !strings.Contains(problems[0].String(), "Site/www") {
		t.Errorf("deleting what a value names: %v", problems)
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
		site("[{name: naming, with: {who: {accessList: office}, where: {map: moved}}}]"):                                                 "",
		site("[{name: naming, with: {who: {accessList: office}}}]"):                                                                      "",
		site("[{name: naming, with: {who: {accessList: gone}}}]"):                                                                        `spec.logic[0].with.who: AccessList "gone" does not exist`,
		site("[{name: naming, with: {who: {accessList: hers}}}]"):                                                                        "spec.logic[0].with.who: AccessList/hers belongs to role other",
		site("[{name: naming, with: {who: {map: moved}}}]"):                                                                              "spec.logic[0].with.who: Logic/naming: is of type accessList and must be written {accessList: NAME}",
		site("[{name: naming, with: {who: office}}]"):                                                                                    "must be written {accessList: NAME}",
		site("[{name: naming, with: {who: {accessList: bots}}}]"):                                                                        "spec.logic[0]: Logic/naming: client in looks up the client's address, and AccessList/bots has strings alone",
		"{kind: AccessList, metadata: {name: office, role: web}, spec: {strings: {match: exact, entries: [x]}}}":                         "AccessList/office: spec.networks: Logic/typed refers to it, with logic that looks clients up in it",
		"{kind: AccessList, metadata: {name: office, role: web}, spec: {networks: []}}":                                                  "",
		"{kind: Logic, metadata: {name: plain, role: web}, spec: {text: \"http-request deny if { client in bots }\"}}":                   "Logic/plain: spec.text: client in looks up the client's address, and AccessList/bots has strings alone",
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
