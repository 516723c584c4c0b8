package weir_test

import (
	"strings"
	"testing"

	"weir"
)

func TestMembersAtSockets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"members: [{name: a, socket: side-car}, {name: b, address: 192.0.2.1, port: 80}]": "",
		"members: [{name: a, socket: x, port: 80}]":                                       "spec.members[0].socket: stands in place of address and port",
		"members: [{name: a, socket: x, address: 192.0.2.1}]":                             "spec.members[0].socket: stands in place of address and port",
		"members: [{name: a, socket: \"x check\"}]":                                       "spec.members[0].socket",
		"members: [{name: a, socket: \"../x\"}]":                                          "spec.members[0].socket",
		"members: [{name: a, socket: weir-again-1}]":                                      "spec.members[0].socket: names that begin with weir- are Weir's own",
		"members: [{name: a, socket: x}], healthCheck: {type: tcp, port: 99}":             "spec.healthCheck.port: member a is at a socket",
		"members: [{name: a}]":                                                            "spec.members[0].address",
	} {
		_, err := weir.Decode("t.yaml", []byte("{kind: Pool, metadata: {name: p}, spec: {"+text+"}}"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
