package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
)

func (o Overview) words() string {
	var parts []string
	for _, a := range o.Attention {
		parts = append(parts, fmt.Sprintf("%s %s on %v: %s", a.Object, a.State, a.LoadBalancers, a.Why))
	}
	return strings.Join(parts, "\n")
}

// TestOverview asks how everything is as different people.
func TestOverview(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	w.want(w.do("admin", "PUT", "/api/v1/zoneshifts/z", kindTable["ZoneShift"].body), 201)
	all := read[Overview](t, w.do("admin", "GET", "/api/v1/overview", ""))
	if fmt.Sprint(all.Sites, all.Pools, all.LoadBalancers, all.Groups, all.Shifts) != "map[degraded:0 down:1 serving:2 unknown:0 unused:0] map[degraded:1 down:0 serving:4 unknown:0 unused:0] map[degraded:1 down:0 serving:0 unknown:0 unused:0] [{edge 1 1 2 }] [z]" {
		t.Errorf("the admin sees %v %v %v %v %v", all.Sites, all.Pools, all.LoadBalancers, all.Groups, all.Shifts)
	}
	want := "Site/films down on [lb1]: does not serve: pool media: no server is up\nLoadBalancer/lb1 degraded on []: 3 changes by hand\nPool/blue degraded on []: 1 of 2 servers are not up everywhere: web-1"
	if all.words() != want {
		t.Errorf("the admin is told\n%s, want\n%s", all.words(), want)
	}
	own := read[Overview](t, w.do("viewer", "GET", "/api/v1/overview", ""))
	if got := own.words(); strings.Contains(got, "films") || strings.Contains(got, "media") || own.Sites[StateDown] != 0 || own.Sites[StateServing] != 2 {
		t.Errorf("the viewer of web is told %v:\n%s", own.Sites, got)
	}
	others := read[Overview](t, w.do("other", "GET", "/api/v1/overview", ""))
	if got := others.words(); !strings.HasPrefix(got, "Site/films down") || strings.Contains(got, "blue") || len(others.Shifts) != 0 {
		t.Errorf("the owner of media is told %v\n%s", others.Shifts, got)
	}
	of := read[Overview](t, w.do("admin", "GET", "/api/v1/overview?role=web", ""))
	if got := of.words(); strings.Contains(got, "films") || !strings.Contains(got, "lb1") || of.Sites[StateServing] != 2 {
		t.Errorf("of web the admin is told %v:\n%s", of.Sites, got)
	}
	first := w.do("viewer", "GET", "/api/v1/overview", "")
	w.pass(time.Second) // the clock on it is no news
	w.want(w.do("viewer", "GET", "/api/v1/overview", "", "If-None-Match", first.Header.Get("ETag")), 304)
}

// TestWhatIsChanging tells of changes until everybody who is heard has them, to whom they concern.
func TestWhatIsChanging(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	changing := func(who string) []Changing {
		t.Helper()
		return read[Overview](t, w.do(who, "GET", "/api/v1/overview", "")).Changing
	}
	if list := changing("admin"); len(list) != 0 {
		t.Errorf("nothing is on its way, and told is %+v", list)
	}
	last := w.store.Revision()
	lb := LoadBalancerStatus{Name: "lb1", State: weir.Active, Run: "applying", Reachable: true, Revision: last, LastSeen: w.clock()}
	silent := lb
	silent.Name, silent.Reachable = "lb2", false
	w.status.stage.fleet.Groups[0].LoadBalancers = []LoadBalancerStatus{lb, silent}
	w.want(w.do("owner", "DELETE", "/api/v1/servers/web-1?reason=old", ""), 200)
	aside := GroupStatus{Name: "aside", LoadBalancers: []LoadBalancerStatus{lb}}
	w.status.stage.fleet.Groups = append(w.status.stage.fleet.Groups, aside)
	if list := changing("owner"); len(list) != 1 || list[0].Of != 2 {
		t.Errorf("with another group that it concerns: %+v", list)
	}
	w.status.stage.aside = []string{"aside"}
	list := changing("owner")
	if len(list) != 1 || list[0].Revision != last+1 || list[0].Author != "owner" || list[0].Reason != "old" || list[0].Ready != 0 || list[0].Of != 1 {
		t.Errorf("on its way is %+v", list)
	}
	if list := changing("other"); len(list) != 0 {
		t.Errorf("the owner of media is told of %+v", list)
	}
	w.status.stage.fleet.Groups[0].LoadBalancers[0].Revision = last + 1
	w.want(w.do("owner", "DELETE", "/api/v1/overrides/drained", ""), 200)
	if list := changing("owner"); len(list) != 1 || list[0].Revision != last+2 {
		t.Errorf("one is there, and on its way is %+v", list)
	}
	w.pass(2 * time.Hour)
	w.want(w.do("owner", "DELETE", "/api/v1/pools/blue", ""), 400)
	w.want(w.do("owner", "PUT", "/api/v1/maps/map", kindTable["Map"].body), 201)
	if list := changing("owner"); len(list) != 1 || list[0].Revision != last+3 {
		t.Errorf("what is old is told: %+v", list)
	}
}

// TestRowsHaveTraffic where figures are known.
func TestRowsHaveTraffic(t *testing.T) {
	t.Parallel()
	w := rowsWorld(t)
	sites := read[RowsAnswer](t, w.do("viewer", "GET", "/api/v1/rows/sites?sort=-requests", ""))
	if len(sites.Rows) != 2 || sites.Rows[0].Traffic == nil || sites.Rows[0].Traffic.Requests != 5 || len(sites.Rows[0].Traffic.Spark) != 2 {
		t.Errorf("%+v", sites.Rows)
	}
	if roles := read[RowsAnswer](t, w.do("viewer", "GET", "/api/v1/rows/roles?sort=p95", "")); roles.Rows[0].Traffic != nil {
		t.Errorf("%+v", roles.Rows)
	}
}
