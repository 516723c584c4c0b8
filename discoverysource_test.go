package weir_test

import (
	"strings"
	"testing"

	"weir"
)

// TestDiscoverySources: what can't be a source is refused by field.
func TestDiscoverySources(t *testing.T) {
	t.Parallel()
	source := func(spec string) string {
		return "{kind: DiscoverySource, metadata: {name: web}, spec: {" + spec + "}}"
	}
	const secret = "{kind: Secret, metadata: {name: s}, spec: {data: x}}\n---\n"
	const role = "{kind: Role, metadata: {name: web}}\n---\n"
	const zone = ", server: {zone: az1}"
	for text, want := range map[string]string{
		source("file: {path: web.json}" + zone): "",
		source("file: {path: shop/web.yml, format: json}, interval: 1s, floor: {percent: 0, count: 0, hold: 1s, window: 24h}" + zone): "",
		role + source("file: {path: web.json}, role: web"+zone):                                                                       "",
		secret + source("consul: {address: \"https://consul.example:8501\", services: [web], token: s}"+zone):                         "",
		source("kubernetes: {server: \"https://10.0.0.1:6443\"}"):                                                                     "", // it says zones itself
		source("zookeeper: {servers: [zk1], path: /web}, server: {zone: \"${shard:-az1}\", name: \"${what.ever}\"}"):                  "",
		source("url: {url: \"https://cmdb.example/targets\"}, server: {zone: \"${label.zone}\", ports: {http: \"${port:-80}\"}, weight: \"${label.weight:-}\", clusters: [\"${label.a}\"], labels: {rack: \"${label.rack:-none}\"}}"): "",
		source("dns: {names: [_http._tcp.web.example], srv: true}, server: {zone: az1, ports: {http: \"${port}\"}}"):                                                                                                                  "",
		source(""): "DiscoverySource/web: spec.consul: or one of zookeeper",
		source("file: {path: a}, url: {url: \"https://a\"}" + zone):                                      "spec.url: is one too many beside file",
		source("file: {path: web.json}"):                                                                 "spec.server.zone: is required",
		source("file: {path: /etc/passwd}" + zone):                                                       `spec.file.path: "/etc/passwd" must be below`,
		source("file: {path: ../a}" + zone):                                                              `spec.file.path: "../a" must be below`,
		source("file: {path: a/../../b}" + zone):                                                         "spec.file.path",
		source("file: {path: \"\"}" + zone):                                                              "spec.file.path: is required",
		source("file: {path: a}, role: nix" + zone):                                                      `spec.role: Role "nix" does not exist`,
		source("file: {path: a}, role: \"a b\"" + zone):                                                  "spec.role",
		source("url: {url: \"https://a\", token: nix}" + zone):                                           `spec.url.token: Secret "nix" does not exist`,
		source("url: {url: \"https://a\", authority: nix}" + zone):                                       `spec.url.authority: Certificate "nix" does not exist`,
		source("file: {path: a}, server: {zone: \"${zone}\"}"):                                           `spec.server.zone: file says nothing of a field "zone"; it has target, address, port, label.*`,
		source("file: {path: a}, server: {zone: \"${label.}\"}"):                                         `says nothing of a field "label."`,
		source("file: {path: a}, server: {zone: \"$zone\"}"):                                             "there is no other use of $",
		source("file: {path: a}, server: {zone: \"${zone\"}"):                                            "there is no other use of $",
		source("file: {path: a}, server: {zone: \"${a b}\"}"):                                            "names no field",
		source("file: {path: a}, server: {zone: \"${label.a:-${port}}\"}"):                               "names no field",
		source("file: {path: a}, server: {zone: \"" + strings.Repeat("a", 501) + "\"}"):                  "at most 500",
		source("file: {path: a}, server: {zone: a, ports: {80: \"${port}\"}}"):                           "the name of a port needs a letter",
		source("dns: {names: [a], family: 6}" + zone):                                                    "spec.dns.family",
		source("dns: {names: [a]}, server: {zone: a, ports: {http: \"${port}\"}}"):                       `dns says nothing of a field "port"`,
		source("zookeeper: {servers: [a], path: /a, authority: ca}" + zone):                              "spec.zookeeper.authority",
		source("zookeeper: {servers: [a], path: /a}, interval: 1s" + zone):                               "spec.interval: is for dns",
		source("file: {path: a}, floor: {percent: 101}" + zone):                                          "spec.floor.percent",
		source("file: {path: a}, floor: {hold: 0.1s}" + zone):                                            "spec.floor.hold",
		"{kind: Server, metadata: {name: a, managedBy: discovery/}, spec: {address: 10.0.0.1, zone: a}}": "metadata.managedBy",
	} {
		if !strings.Contains(text, "kind: Zone") {
			text = "{kind: Zone, metadata: {name: az1}}\n---\n" + text
		}
		err := applied(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\nis told %v, not %q", text, err, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	fields := map[string]string{"id": "web-1", "port": "80", "empty": ""}
	for text, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"${id}":                    "web-1",
		"a-${id}-b":                "a-web-1-b",
		"${id}${port}":             "web-180",
		"${none:-x y}":             "x y",
		"${none:-}":                "",
		"${empty:-x}":              "x",
		"${id:-x}":                 "web-1",
		"${meta.a:-${port}}":       "error",
		"${none}":                  "error",
		"${empty}":                 "error",
		"$":                        "error",
		"$id":                      "error",
		"${}":                      "error",
		"${id":                     "error",
		"$${id}":                   "error",
		"${id}\n":                  "error",
		strings.Repeat("a", 10000): "error",
	} {
		parsed, err := weir.ParseTemplate(text)
		got := "error"
		if err == nil {
			if filled, err := parsed.Fill(fields); err == nil {
				got = filled
			}
		}
		if got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
	}
}

func TestNameOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"web-1":             "web-1",
		"a--b_c":            "a--b_c",
		"Web-1.Example.COM": "web-1-example-com",
		"10.0.0.1:80":       "10-0-0-1-80",
		"[2001:db8::1]:80":  "2001-db8-1-80",
		"..a  b..":          "a-b",
		"--_a_--":           "a",
		"ä":                 "",
		"":                  "",
		"___":               "",
		long[:63]:           long[:63],
	} {
		got := weir.NameOf(text)
		if got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
		if got != "" && weir.CheckName(got) != nil {
			t.Errorf("%q becomes %q: %v", text, got, weir.CheckName(got))
		}
	}
	if a, b := weir.NameOf(long), weir.NameOf(long+".x"); a == b || len(a) != 63 {
		t.Errorf("two that are too long become %q and %q", a, b)
	}
}

func FuzzNameOf(f *testing.F) {
	for _, s := range []string{"", "a", "10.0.0.1:80", "A_-.", strings.Repeat("ab.", 40), "\xff\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := weir.NameOf(s)
		if name != "" && weir.CheckName(name) != nil {
			t.Errorf("%q becomes %q: %v", s, name, weir.CheckName(name))
		}
		if weir.CheckName(s) == nil && name != s {
			t.Errorf("the name %q becomes %q", s, name)
		}
		if template, err := weir.ParseTemplate(s); err == nil {
			_, _ = template.Fill(map[string]string{"a": s})
		}
	})
}
