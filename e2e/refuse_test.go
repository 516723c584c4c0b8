package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestMalformedManifestsChangeNothing: each is refused with the field that is wrong, by apply, plan and PUT, and
// good objects that come in the same text are not written either.
func TestMalformedManifestsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(w.oneZone())
	before, revision := w.everything(), w.status().Revision
	good := "kind: Zone\nmetadata: {name: good}\n---\n"
	pool := func(spec string) string { return "kind: Pool\nmetadata: {name: p, role: web}\nspec: {" + spec + "}\n" }
	site := func(spec string) string {
		return "kind: Site\nmetadata: {name: s, role: web}\nspec: {addresses: [www], listeners: [{port: 8080}], " + spec + "}\n"
	}
	for text, path := range map[string]string{
		"kind: Pool\nmetadata: {name: \"a\\nb\"}\nspec: {}\n":                                                                       "metadata.name",
		"kind: Pool\nmetadata: {name: \"a;b\"}\nspec: {}\n":                                                                         "metadata.name",
		"kind: Pool\nmetadata: {name: \"../a\"}\nspec: {}\n":                                                                        "metadata.name",
		"kind: Pool\nmetadata: {name: " + strings.Repeat("a", 64) + "}\nspec: {}\n":                                                 "metadata.name",
		"kind: Pool\nmetadata: {name: p, role: \"web\\n\"}\nspec: {}\n":                                                             "metadata.role",
		pool(`members: [{name: "m 1", address: 127.0.0.1, port: 1}]`):                                                               "spec.members[0].name",
		pool(`members: [{name: m, address: "127.0.0.1 ssl", port: 1}]`):                                                             "spec.members[0].address",
		pool(`members: [{name: m, address: 127.0.0.1, port: 70000}]`):                                                               "spec.members[0].port",
		pool(`healthCheck: {path: "/a b"}`):                                                                                         "spec.healthCheck.path",
		pool(`healthCheck: {path: "/%[src]"}`):                                                                                      "spec.healthCheck.path",
		pool(`healthCheck: {host: "a\r\nX: y"}`):                                                                                    "spec.healthCheck.host",
		pool(`healthCheck: {body: "a\"b"}`):                                                                                         "spec.healthCheck.body",
		pool(`healthCheck: {body: "%[env(HOME)]"}`):                                                                                 "spec.healthCheck.body",
		pool(`persistence: {cookie: "A; secure"}`):                                                                                  "spec.persistence.cookie",
		pool(`balance: header, balanceHeader: "X)"`):                                                                                "spec.balanceHeader",
		pool(`balance: roundrobin, balance: leastconn`):                                                                             "balance",
		site(`hostnames: ["a b.example"], backends: {default: web}`):                                                                "spec.hostnames[0]",
		site(`hostnames: ["a|b.example"], backends: {default: web}`):                                                                "spec.hostnames[0]",
		site(`hostnames: [s.example], backends: {"de fault": web, default: web}`):                                                   "spec.backends.de fault",
		site(`hostnames: [s.example], backends: {default: web}, routes: [{match: {path: {prefix: "/a\t"}}, backend: default}]`):     "spec.routes[0].match.path.prefix",
		site(`hostnames: [s.example], backends: {default: web}, routes: [{match: {path: {regex: "/a)|(?:.*"}}, backend: default}]`): "spec.routes[0].match.path.regex",
		"kind: ErrorPage\nmetadata: {name: e}\nspec: {body: x, contentType: \"text/html\\r\\nX: y\"}\n":                             "spec.contentType",
		"kind: Map\nmetadata: {name: m}\nspec: {match: exact, entries: [{key: \"/a\\nb c\", value: default}]}\n":                    "spec.entries[0].key",
		"kind: Tuning\nmetadata: {name: t}\nspec: {user: \"root\\nchroot /\"}\n":                                                    "spec.user",
		"kind: Override\nmetadata: {name: o}\nspec: {server: \"a;quit\", weight: 1, reason: x, expiresAt: 2100-01-01T00:00:00Z}\n":  "spec.server",
		"kind: Nothing\nmetadata: {name: n}\nspec: {}\n":                                                                            "kind",
		"kind: Zone\nmetadata: {name: z}\nspec: &a {capacity: 1}\n---\nkind: Zone\nmetadata: {name: y}\nspec: *a\n":                 "",
		"kind: Zone\nmetadata: {name: \"z\x00\"}\n":                                                                                 "",
		"kind: Zone\nmetadata: {name: z}\nspec: {capacity: !!python/object:os.system 1}\n":                                          "spec.capacity",
		"kind: Zone\nmetadata: {name: z}\nspec: " + strings.Repeat("[", 10_000) + "\n":                                              "",
		"kind: ErrorPage\nmetadata: {name: huge}\nspec: {body: " + strings.Repeat("x", 5<<20) + "}\n":                               "",
		"{\"kind\": \"Zone\", \"metadata\": {\"name\": \"z\"}, \"metadata\": {\"name\": \"y\"}}":                                    "",
		strings.Repeat("kind: Zone\nmetadata: {name: many}\n---\n", 3):                                                              "",
	} {
		body := good + text
		if strings.HasPrefix(text, "{") {
			body = text
		}
		for _, endpoint := range []string{"apply", "plan"} {
			status, err := w.call("POST", "/api/v1/"+endpoint, body, nil)
			if status != 400 && status != 413 || !strings.Contains(fmt.Sprint(err), path) {
				t.Errorf("%s of %.80q: %d %.300v, want %s", endpoint, text, status, err, path)
			}
		}
	}
	if got := differing(before, w.everything()); len(got) > 0 || w.status().Revision != revision {
		t.Errorf("refused manifests changed %v, revision %d became %d", got, revision, w.status().Revision)
	}
}
