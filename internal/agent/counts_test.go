package agent

import (
	"testing"

	"weir/internal/accesslog"
	"weir/internal/ir"
)

func TestCountsAreAttributed(t *testing.T) {
	n := ir.Node{
		Group: ir.Group{Zones: []string{"az1", "az2"}},
		Sites: []ir.Site{{Name: "www", Backends: []ir.Backend{
			{Name: "default", Slots: []string{"web1", "both"}}, {Name: "x", Slots: []string{"both", "web2"}}, {Name: "api", Pool: "api"},
		}}},
	}
	series := func(site, pool string, requests uint64) accesslog.Series {
		s := accesslog.Series{Key: accesslog.Key{Site: site, Pool: pool}}
		s.Classes[2].Requests = requests
		return s
	}
	got := attribute(accesslog.Counts{Lines: 31, Series: []accesslog.Series{
		series("!www", "", 1), series("www", "api.k3f9", 2), series("www", "both.0000", 4),
		series("www", "web1.aaaa", 8), series("www", "web1.bbbb", 16),
	}}, zonesOf(n))
	want := map[accesslog.Key]uint64{
		{Site: "www"}: 1, {Site: "www", Pool: "api"}: 2, {Site: "www", Pool: "both"}: 4, {Site: "www", Pool: "web1", Zone: "az1"}: 24,
	}
	if got.Lines != 31 || len(got.Series) != len(want) {
		t.Errorf("%d series: %+v", len(got.Series), got.Series)
	}
	for key, requests := range want {
		if n := got.Get(key).Requests(); n != requests {
			t.Errorf("%+v: %d requests, want %d", key, n, requests)
		}
	}
}
