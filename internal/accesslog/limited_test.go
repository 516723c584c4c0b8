package accesslog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// over is httpLine as it is now, of a request that was over limits.
func over(route, limits string) string {
	return replaced(`"si":"www","ro":"api","zo":"az1"`, fmt.Sprintf(`"ro":%q,"zo":null,"li":%s`, route, limits))
}

// What is over a limit is counted by site, limit, level and mode, however many limits it is over.
func TestLimited(t *testing.T) {
	lines := []string{
		over("www/default", "null"), over("www/~429~edge", `"429:edge,"`), over("www/~503~edge", `"503:edge,soft:other,"`),
		over("www", `"429:edge,cut:other,"`), over("shop/default", `"hard:edge,"`), httpLine,
	}
	if slices.Contains(lines[:5], httpLine) {
		t.Fatal("the line has another form")
	}
	c := counted(t, maxSeries, lines...)
	want := []Limited{{Site: "shop", RateLimit: "edge", ShadowHard: 1}, {Site: "www", RateLimit: "edge", Soft: 3}, {Site: "www", RateLimit: "other", Hard: 1, ShadowSoft: 1}}
	if !slices.Equal(c.Limited, want) {
		t.Errorf("counted %+v", c.Limited)
	}
	if n := c.BySite(); len(n) != 2 || n[1].Requests() != 5 {
		t.Errorf("by site: %+v", n)
	}
	raw, err := json.Marshal(c)
	var again Counts
	if err != nil || json.Unmarshal(raw, &again) != nil || !slices.Equal(again.Limited, want) {
		t.Errorf("as JSON: %s, %v", raw, err)
	}
	text := scrape(t, NewCollector(func() Counts { return c }, prometheus.Labels{}))
	for _, want := range []string{
		`weir_rate_limited_total{level="soft",mode="enforce",rate_limit="edge",site="www"} 3`,
		`weir_rate_limited_total{level="hard",mode="enforce",rate_limit="other",site="www"} 1`,
		`weir_rate_limited_total{level="soft",mode="shadow",rate_limit="other",site="www"} 1`,
		`weir_rate_limited_total{level="hard",mode="shadow",rate_limit="edge",site="shop"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}

	before := counted(t, maxSeries, lines[1])
	if since := c.Sub(before).Limited; len(since) != 3 || since[1].Soft != 2 {
		t.Errorf("since the first: %+v", since)
	}
	if again := c.Sub(c).Limited; len(again) != 0 {
		t.Errorf("since itself: %+v", again)
	}
	sum := before
	sum.Merge(c)
	if len(sum.Limited) != 3 || sum.Limited[1].Soft != 4 || c.Limited[1].Soft != 3 {
		t.Errorf("merged: %+v, of %+v", sum.Limited, c.Limited)
	}

	full := counted(t, 1, lines[1], lines[4])
	if len(full.Limited) != 2 || full.Limited[0] != (Limited{Site: Other, RateLimit: Other, ShadowHard: 1}) {
		t.Errorf("without room: %+v", full.Limited)
	}
}
