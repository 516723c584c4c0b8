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

// Services of partners have dots in their names, which are no digests, however often what was counted is kept and gone on
// from.
func TestCallsAreAttributed(t *testing.T) {
	t.Parallel()
	call := func(service string, retries uint64) accesslog.Call {
		return accesslog.Call{CallKey: accesslog.CallKey{Site: "out", Client: "myback", Service: service, SLA: "high"}, Retries: retries}
	}
	c := accesslog.Counts{
		Series:       []accesslog.Series{{Key: accesslog.Key{Site: "out", Pool: "example.prod.mail.a1b2"}, Retries: 3}},
		Calls:        []accesslog.Call{call("example.prod.mail.a1b2", 1), call("example.prod.mail.c3d4", 2)},
		RefusedCalls: []accesslog.RefusedCall{{CallKey: accesslog.CallKey{Service: "example.prod.mail"}, Reason: "method", Requests: 1}},
		Presented:    []accesslog.Presented{{Service: "example.prod.mail.a1b2", At: "192.0.2.1:443"}, {Service: "example.prod.mail.c3d4", At: "192.0.2.1:443"}},
	}
	for range 2 {
		c = attribute(c, nil)
		if len(c.Calls) != 1 || c.Calls[0] != call("example.prod.mail", 3) || len(c.Presented) != 1 || c.Presented[0].Service != "example.prod.mail" {
			t.Fatalf("calls %+v, presented %+v", c.Calls, c.Presented)
		}
		if len(c.RefusedCalls) != 1 || c.RefusedCalls[0].Service != "example.prod.mail" || len(c.Series) != 1 || c.Series[0].Pool != "example.prod.mail" {
			t.Fatalf("refused %+v, series %+v", c.RefusedCalls, c.Series)
		}
	}
}
