package weir_test

import (
	"strings"
	"testing"

	"weir"
)

// TestLimitsThatHoldForNobodyAreRefused: with what there is to be written instead.
func TestLimitsThatHoldForNobodyAreRefused(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"count: requests, period: 10s, soft: {above: 5}, scope: group":        "spec.scope: load balancers overwrite each other's counts",
		"count: requests, period: 10s, soft: {above: 5}, scope: loadBalancer": "",
		"count: requests, period: 10s":                                        "needs",
		"count: requests, soft: {above: 5}":                                   "spec.period",
		"count: concurrent, period: 10s, soft: {above: 5}":                    "spec.period",
	} {
		_, err := weir.Decode("t.yaml", []byte("{kind: RateLimit, metadata: {name: r}, spec: {"+spec+"}}"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, not %q", spec, err, want)
		}
	}
}
