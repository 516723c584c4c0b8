package weir_test

import (
	"strings"
	"testing"

	"weir"
)

const pool = `kind: Pool
metadata: {name: web-az1, role: web}
spec:
  selector: {role: web, zone: az1, clusters: [blue]}
  members: [{name: old1, address: 10.1.9.9, port: 8080, weight: 10}]
  port: http
  healthCheck: {path: /ping, interval: 2s}
  queue: none
---
kind: Site
metadata: {name: www, role: web}
spec:
  hostnames: [WWW.Example.com., "*.bücher.example"]
  addresses: [www-az1]
  listeners: [{port: 443, tls: {certificates: [www-ec]}}, {port: 80, redirect: https}]
  backends:
    default: {az1: web-az1}
    api: web-az1
  routes: [{match: {path: {prefix: /api/}}, backend: api}]
`

func TestDecodeFillsDefaultsAndCanonicalForms(t *testing.T) {
	list, err := weir.Decode("a.yaml", []byte(pool))
	if err != nil {
		t.Fatal(err)
	}
	p := list[0].Spec.(*weir.Pool)
	if p.Balance != "roundrobin" || p.HealthCheck.Method != "HEAD" || !p.Queue.None || *p.Members[0].Weight != 10 {
		t.Errorf("pool: %+v", p)
	}
	s := list[1].Spec.(*weir.Site)
	if s.Hostnames[0] != "www.example.com" || s.Hostnames[1] != "*.xn--bcher-kva.example" {
		t.Errorf("hostnames: %q", s.Hostnames)
	}
	if s.Backends["api"].Pool != "web-az1" || s.Backends["default"].Zones["az1"] != "web-az1" {
		t.Errorf("backends: %+v", s.Backends)
	}
	for _, o := range list {
		if again := o.Clone(); again.Ref() != o.Ref() {
			t.Errorf("clone: %v", again)
		}
	}
}

func TestDecodeRefusesWithPathAndLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown field":     {"kind: Zone\nmetadata: {name: a}\nspec: {capasity: 3}", "m.yaml:3: Zone/a: spec.capasity: is no field here"},
		"duplicate key":     {"kind: Zone\nmetadata: {name: a}\nspec:\n  capacity: 1\n  capacity: 2", "m.yaml:5: Zone/a: spec.capacity: is set twice"},
		"alias":             {"kind: Zone\nmetadata: {name: &x a, role: *x}\nspec: {}", "anchors and aliases"},
		"unknown kind":      {"kind: Zonk\nmetadata: {name: a}", "m.yaml:1: Zonk"},
		"wrong type":        {"kind: Zone\nmetadata: {name: a}\nspec: {capacity: many}", "whole number"},
		"NUL":               {"kind: Zone\nmetadata: {name: \"a\x00\"}", "NUL"},
		"newline in name":   {"kind: Zone\nmetadata: {name: \"a\\nb\"}\nspec: {}", "metadata.name"},
		"injection":         {"kind: Pool\nmetadata: {name: a}\nspec: {healthCheck: {path: \"/%[src]\\nuse\"}}", "spec.healthCheck.path"},
		"range":             {"kind: Zone\nmetadata: {name: a}\nspec: {capacity: -1}", "m.yaml:3: Zone/a: spec.capacity: -1 is outside"},
		"missing backend":   {"kind: Site\nmetadata: {name: a}\nspec: {hostnames: [a.example], addresses: [x], listeners: [{port: 80}]}", `needs a backend "default"`},
		"platform role":     {"kind: Zone\nmetadata: {name: a, role: web}\nspec: {}", "has no role"},
		"change":            {"kind: Change\nmetadata: {name: a}\nspec: {author: me}", "can't be written"},
		"not yaml":          {"kind: [", "m.yaml:1"},
		"bare list":         {"- 1\n", "must be a mapping"},
		"statuses":          {"kind: Pool\nmetadata: {name: a}\nspec: {healthCheck: {expect: \"2xx\"}}", "spec.healthCheck.expect"},
		"port out of range": {"kind: Site\nmetadata: {name: a}\nspec: {mode: tcp, addresses: [x], listeners: [{port: 70000}], backends: {default: p}}", "is no port"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := weir.Decode("m.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("accepted: %+v", list[0])
			}
			if list != nil || !strings.Contains(err.Error(), strings.TrimSuffix(c.want, "Zonk")) {
				t.Errorf("got %v\nwant %q", err, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(pool))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := weir.Decode("f.yaml", text)
		if err != nil {
			return
		}
		for _, o := range list {
			if weir.CheckName(o.Metadata.Name) != nil {
				t.Errorf("accepted the name %q", o.Metadata.Name)
			}
			if again := o.Clone(); again == nil {
				t.Error("no clone")
			}
		}
	})
}

// Times, networks and addresses that are none are refused in words of people, not of the library that reads them.
func TestTextIsRefusedInWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{kind: Schedule, metadata: {name: s}, spec: {reason: x, until: 2030-01-01}}":              `spec.until: "2030-01-01" is no time, such as 2030-01-31T12:00:00Z`,
		"{kind: AccessList, metadata: {name: l}, spec: {networks: [10.0.0.0/33]}}":                 `spec.networks[0]: "10.0.0.0/33" is no network, such as 192.0.2.0/24 or 2001:db8::/32`,
		"{kind: IPAddress, metadata: {name: a, role: r}, spec: {address: 10.0.0, groups: [edge]}}": `spec.address: "10.0.0" is no address, such as 192.0.2.7 or 2001:db8::7`,
	} {
		if _, err := weir.Decode("f.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
