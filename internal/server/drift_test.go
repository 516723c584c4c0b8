package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/link"
)

func TestDriftIsSaidOfWhatItTouches(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	weight := link.Drift{Kind: "Weight", Object: "Server/web1", Pool: "web", Server: "web1", Text: "weight 100 → 7", Since: now.Add(-time.Minute)}
	file := link.Drift{Kind: "File", Text: "haproxy.cfg line 41 edited", Since: now}
	entry := link.Drift{Kind: "Entry", Object: "Site/films", Text: "maps/x: entry films.example deleted by hand", Since: now}
	undone := weight
	undone.Undone, undone.Times = now.Add(-time.Minute), 3
	old := undone
	old.Undone = now.Add(-2 * time.Hour)
	restart := link.Drift{Kind: "Restarted", Text: "HAProxy was reloaded by another hand: worker 1 → 2", Since: now.Add(-time.Minute)}
	all := &link.DriftReport{Total: 3, Now: []link.Drift{weight, file, entry}}
	for name, c := range map[string]struct {
		ref    weir.Ref
		report *link.DriftReport
		want   string
	}{
		"nothing":             {weir.Ref{Kind: "Server", Name: "web1"}, nil, ""},
		"another's":           {weir.Ref{Kind: "Server", Name: "web2"}, all, ""},
		"a server":            {weir.Ref{Kind: "Server", Name: "web1"}, all, "True ByHand lb1: in pool web weight 100 → 7 since 2030-05-01 11:59:00 UTC"},
		"its pool":            {weir.Ref{Kind: "Pool", Name: "web"}, all, "True ByHand lb1: server web1 weight 100 → 7 since 2030-05-01 11:59:00 UTC"},
		"a site":              {weir.Ref{Kind: "Site", Name: "films"}, all, "True ByHand lb1: maps/x: entry films.example deleted by hand since 2030-05-01 12:00:00 UTC"},
		"the load balancer":   {weir.Ref{Kind: "LoadBalancer", Name: "lb1"}, all, "True ByHand lb1: haproxy.cfg line 41 edited since 2030-05-01 12:00:00 UTC; lb1: changed by hand since 2030-05-01 11:59:00 UTC: Entry 1, Weight 1"},
		"undone":              {weir.Ref{Kind: "Server", Name: "web1"}, &link.DriftReport{Past: []link.Drift{undone}}, "False Undone lb1: in pool web weight 100 → 7, undone at 2030-05-01 11:59:00 UTC, 3 times by now"},
		"undone long ago":     {weir.Ref{Kind: "Server", Name: "web1"}, &link.DriftReport{Past: []link.Drift{old}}, ""},
		"undone on it":        {weir.Ref{Kind: "LoadBalancer", Name: "lb1"}, &link.DriftReport{Undone: 3, Past: []link.Drift{undone}}, "False Undone lb1: changes by hand undone since its agent began: 3, the last at 2030-05-01 11:59:00 UTC"},
		"reloaded by another": {weir.Ref{Kind: "LoadBalancer", Name: "lb1"}, &link.DriftReport{Past: []link.Drift{restart}}, "False Restarted lb1: HAProxy was reloaded by another hand: worker 1 → 2"},
	} {
		v := view{moment: &moment{fleet: &fleet{clock: func() time.Time { return now }}}, ref: c.ref}
		v.drift("lb1", c.report)
		got := ""
		if d, ok := v.drifted(); ok {
			got = d.Status + " " + d.Reason + " " + d.Message
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	many := &link.DriftReport{Total: 10_000}
	for i := range link.MaxDrift {
		d := weight
		d.Server, d.Object = fmt.Sprint("web", i), fmt.Sprint("Server/web", i)
		many.Now = append(many.Now, d)
	}
	for _, ref := range []weir.Ref{{Kind: "Pool", Name: "web"}, {Kind: "LoadBalancer", Name: "lb1"}} {
		v := view{moment: &moment{fleet: &fleet{clock: func() time.Time { return now }}}, ref: ref}
		v.drift("lb1", many)
		d, _ := v.drifted()
		if len(d.Message) > 600 || !strings.Contains(d.Message, "and 195 more") && !strings.Contains(d.Message, "10000 in all") {
			t.Errorf("of many %s says %q", ref, d.Message)
		}
	}
}
