package main

import (
	"strings"
	"testing"

	"weir/internal/api"
)

// TestLogLinesSayWhyACallWasRefused: with the word that is counted, and the EgressRule that stood for it.
func TestLogLinesSayWhyACallWasRefused(t *testing.T) {
	v := &logView{screen: &screen{}}
	for want, line := range map[string]api.LogLine{
		" caller=shop refused=rule":                 {Route: "out/!rule", Caller: "shop"},
		" caller=shop refused=method by=shop-swift": {Route: "out/!method", Caller: "shop", Rule: "shop-swift"},
		" refused=form":                             {Route: "out/!form"},
		" caller=shop refused=full by=shop-swift":   {Route: "out/swift.prod.good+full", Caller: "shop", Rule: "shop-swift"},
		" caller=shop at=192.0.2.1:443":             {Route: "out/swift.prod.good", Caller: "shop", Rule: "shop-swift", At: "192.0.2.1:443"},
		"GET www.example.com/a+b www/www-1 0ms":     {Route: "www/a", Pool: "www", Server: "www-1", Path: "/a+b"},
	} {
		line.Method, line.Host, line.Termination = "GET", "www.example.com", "--"
		if got := v.text(&line); !strings.HasSuffix(got, want) {
			t.Errorf("%q does not end with %q", got, want)
		}
	}
}

// TestLogLinesSayWhyInWords: beside HAProxy's letters.
func TestLogLinesSayWhyInWords(t *testing.T) {
	v := &logView{screen: &screen{}}
	l := api.LogLine{Termination: "SC", Why: "refuses connections", Caller: "shop", Unmade: "EREFUSED"}
	if got, want := v.text(&l), " SC (refuses connections) caller=shop unmade=EREFUSED"; !strings.HasSuffix(got, want) {
		t.Errorf("%q does not end with %q", got, want)
	}
}
