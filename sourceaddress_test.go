package weir_test

import (
	"strings"
	"testing"

	"weir"
)

func TestSourceAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[192.0.2.16/28, 198.51.100.7/32, \"2001:db8::1/128\"]": "",
		"[192.0.2.0/26]":                 "",
		"[192.0.2.0/26, 192.0.3.1/32]":   "spec.sourceAddresses: are more than 64 addresses",
		"[\"2001:db8::/64\"]":            "spec.sourceAddresses: are more than 64 addresses",
		"[192.0.2.0/28, 192.0.2.9/32]":   "spec.sourceAddresses[1]: 192.0.2.9/32 overlaps 192.0.2.0/28",
		"[192.0.2.1/32, 192.0.2.1/32]":   "spec.sourceAddresses[1]: 192.0.2.1/32 is listed twice",
		"[0.0.0.0/30]":                   "spec.sourceAddresses[0]: 0.0.0.0/30 holds no address",
		"[\"ff02::1/128\"]":              "spec.sourceAddresses[0]: ff02::1/128 holds no address",
		"[192.0.2.1]":                    "spec.sourceAddresses[0]",
		"[\"192.0.2.1/32 usesrc x/32\"]": "spec.sourceAddresses[0]",
	} {
		_, err := weir.Decode("t.yaml", []byte("{kind: LoadBalancer, metadata: {name: lb1}, spec: {group: edge, zone: az1, sourceAddresses: "+text+"}}"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
