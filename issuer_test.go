package weir_test

import (
	"fmt"
	"strings"
	"testing"

	"weir"
)

// TestIssuers: what can't be an issuer, or be ordered from one, is refused by field.
func TestIssuers(t *testing.T) {
	t.Parallel()
	const acme = "{kind: Issuer, metadata: {name: le}, spec: {type: acme, acme: {directory: \"https://ca.example/dir\"}}}\n---\n"
	const dns = "{kind: Issuer, metadata: {name: le}, spec: {type: acme, acme: {directory: \"https://ca.example/dir\", challenge: dns-01, dns: {exec: hook}}}}\n---\n"
	order := func(spec string) string {
		return "{kind: Certificate, metadata: {name: www}, spec: {issuer: le, " + spec + "}}"
	}
	long := func(n int, keyType string) string { // names of 250 characters
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("n%02d.%s%s.example", i, strings.Repeat(strings.Repeat("a", 58)+".", 4), strings.Repeat("b", 2)))
		}
		return fmt.Sprintf("names: [%s], keyType: %s", strings.Join(list, ", "), keyType)
	}
	role := "{kind: Role, metadata: {name: web}, spec: {hostnames: [\"*.shop.example\"]}}\n---\n"
	for text, want := range map[string]string{
		acme + order("names: [www.example.com]"):                                                   "",
		dns + order("names: [\"*.example.com\", example.com], keyType: rsa-2048, duration: 240h"):  "",
		acme + order("names: [\"*.example.com\"]"):                                                 "Certificate/www: spec.names[0]: a wildcard takes",
		acme + order("names: []"):                                                                  "Certificate/www: spec.names: needs at least one",
		acme + order("names: [\"*\"]"):                                                             "Certificate/www: spec.names[0]: nobody gives",
		acme + order("names: [192.0.2.1]"):                                                         `Certificate/www: spec.names[0]: "192.0.2.1" is an address`,
		acme + order("names: [a.example], keyType: dsa"):                                           "Certificate/www: spec.keyType",
		acme + order(long(20, "ecdsa-256")):                                                        "",
		acme + order(long(21, "ecdsa-256")):                                                        "Certificate/www: spec.names: have 5250 characters together; with a key of type ecdsa-256 at most 5200 fit",
		acme + order(long(20, "rsa-4096")):                                                         "Certificate/www: spec.names: have 5000 characters together; with a key of type rsa-4096 at most 3000 fit",
		order("names: [a.example]"):                                                                "Certificate/www: spec.issuer: Issuer \"le\" does not exist",
		"{kind: Certificate, metadata: {name: www}, spec: {chain: x, key: y, names: [a.example]}}": "Certificate/www: spec.names: is for a certificate with an issuer",
		role + acme + "{kind: Certificate, metadata: {name: www, role: web}, spec: {issuer: le, names: [a.shop.example, b.example]}}":                                                               "Certificate/www: spec.names[1]: role web may not claim",
		role + "{kind: Issuer, metadata: {name: le}, spec: {type: ca, roles: [web], ca: {commonName: CA}}}\n---\n" + order("names: [a.example]"):                                                    "",
		"{kind: Issuer, metadata: {name: i}, spec: {type: acme}}":                                                                                                                                   "Issuer/i: spec.acme: is required",
		"{kind: Issuer, metadata: {name: i}, spec: {type: acme, acme: {directory: \"http://ca.example\"}}}":                                                                                         "Issuer/i: spec.acme.directory",
		"{kind: Issuer, metadata: {name: i}, spec: {type: acme, acme: {directory: \"https://u:p@ca.example\"}}}":                                                                                    "Issuer/i: spec.acme.directory",
		"{kind: Issuer, metadata: {name: i}, spec: {type: acme, acme: {directory: \"https://ca.example\", challenge: dns-01}}}":                                                                     "Issuer/i: spec.acme.dns: is required",
		"{kind: Issuer, metadata: {name: i}, spec: {type: acme, acme: {directory: \"https://ca.example\", challenge: dns-01, dns: {}}}}":                                                            "Issuer/i: spec.acme.dns: needs either",
		"{kind: Issuer, metadata: {name: i}, spec: {type: acme, acme: {directory: \"https://ca.example\", challenge: dns-01, dns: {exec: ../x}}}}":                                                  "Issuer/i: spec.acme.dns.exec",
		"{kind: Issuer, metadata: {name: i}, spec: {type: acme, acme: {directory: \"https://ca.example\", contact: [\"Ops <o@e.example>\"]}}}":                                                      "Issuer/i: spec.acme.contact[0]",
		"{kind: Issuer, metadata: {name: i}, spec: {type: ca, ca: {commonName: \"\"}}}":                                                                                                             "Issuer/i: spec.ca.commonName",
		"{kind: Issuer, metadata: {name: i}, spec: {type: ca, ca: {commonName: A, parent: i}}}":                                                                                                     "Issuer/i: spec.ca.parent: Issuer/i would sign itself",
		acme + "{kind: Issuer, metadata: {name: i}, spec: {type: ca, ca: {commonName: A, parent: le}}}":                                                                                             "Issuer/i: spec.ca.parent: Issuer/le is of type acme",
		"{kind: Issuer, metadata: {name: i}, spec: {type: ca, default: true, ca: {commonName: A}}}\n---\n{kind: Issuer, metadata: {name: j}, spec: {type: ca, default: true, ca: {commonName: A}}}": "spec.default: Issuer/",
	} {
		err := applied(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\nis told %v, not %q", text, err, want)
		}
	}
}

// applied says what is wrong with objects by themselves and together, nil when nothing is.
func applied(text string) error {
	list, err := weir.Decode("issuer_test.yaml", []byte(text))
	if err != nil {
		return err
	}
	var problems weir.Problems
	set := weir.NewSet(list...)
	var refs []weir.Ref
	for _, o := range list {
		problems.Append(weir.Validate(o)...)
		refs = append(refs, o.Ref())
	}
	if len(problems.List()) == 0 {
		problems.Append(weir.Check(weir.NewSet(), set, refs)...)
	}
	return problems.Err()
}
