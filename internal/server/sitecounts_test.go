package server

import (
	"slices"
	"testing"

	"weir/internal/accesslog"
	"weir/internal/api"
)

// What limits and splits did belongs to the site where they did it, also when nothing else was counted there.
func TestRefusedAreCountedBySite(t *testing.T) {
	t.Parallel()
	sites := map[string]api.SiteCounts{"www": {Requests: 5}}
	refused(sites, &accesslog.Counts{
		Limited: []accesslog.Limited{
			{Site: "shop", RateLimit: "edge", ShadowHard: 1}, {Site: "www", RateLimit: "edge", Soft: 3}, {Site: "www", RateLimit: "other", Hard: 2, ShadowSoft: 4},
		},
		Diverted: []accesslog.Diverted{{Site: "www", Split: "new", Backend: "b", Aborts: 1, Diverts: 7}, {Site: "www", Split: "calls", Backend: "p.prod.new", Aborts: 2}},
	})
	www := sites["www"]
	if www.Requests != 5 || www.RateLimits["edge"] != (api.LimitCounts{Soft: 3}) || www.RateLimits["other"] != (api.LimitCounts{Hard: 2, ShadowSoft: 4}) ||
		!slices.Equal(www.Splits, []api.LegCounts{{Split: "new", Backend: "b", Aborts: 1, Diverted: 7}, {Split: "calls", Backend: "p/prod/new", Aborts: 2}}) {
		t.Errorf("www has %+v", www)
	}
	if shop := sites["shop"]; shop.RateLimits["edge"] != (api.LimitCounts{ShadowHard: 1}) || shop.Splits != nil {
		t.Errorf("shop has %+v", shop)
	}
}
