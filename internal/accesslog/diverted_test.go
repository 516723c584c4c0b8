package accesslog

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestDiverted: what a split does about a leg that fails is counted by site, split and leg, beside rate limits.
func TestDiverted(t *testing.T) {
	lines := []string{over("www/canary", `"out:new/canary,"`), over("www/default", `"soft:edge,away:new/canary,"`), over("www/default", `"away:new/canary,"`), over("shop/default", `"away:new/b,"`)}
	c := counted(t, maxSeries, lines...)
	want := []Diverted{{Site: "shop", Split: "new", Backend: "b", Diverts: 1}, {Site: "www", Split: "new", Backend: "canary", Aborts: 1, Diverts: 2}}
	if !slices.Equal(c.Diverted, want) || len(c.Limited) != 1 {
		t.Errorf("counted %+v, %+v", c.Diverted, c.Limited)
	}
	raw, err := json.Marshal(c)
	var again Counts
	if err != nil || json.Unmarshal(raw, &again) != nil || !slices.Equal(again.Diverted, want) {
		t.Errorf("as JSON: %s, %v", raw, err)
	}
	text := scrape(t, NewCollector(func() Counts { return c }, prometheus.Labels{}))
	for _, want := range []string{`weir_split_aborts_total{backend="canary",site="www",split="new"} 1`, `weir_split_diverted_total{backend="canary",site="www",split="new"} 2`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	before := counted(t, maxSeries, lines[1])
	if since := c.Sub(before).Diverted; len(since) != 2 || since[1].Diverts != 1 {
		t.Errorf("since the second: %+v", since)
	}
	sum := before
	sum.Merge(c)
	if len(sum.Diverted) != 2 || sum.Diverted[1].Diverts != 3 || c.Diverted[1].Diverts != 2 {
		t.Errorf("merged: %+v, of %+v", sum.Diverted, c.Diverted)
	}
	full := counted(t, 1, lines[3], lines[1])
	if len(full.Diverted) != 2 || full.Diverted[0] != (Diverted{Site: Other, Split: Other, Backend: Other, Diverts: 1}) {
		t.Errorf("without room: %+v", full.Diverted)
	}
}
