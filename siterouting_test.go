package weir_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
)

func siteWith(t *testing.T, head, routing string) (*weir.Site, error) {
	t.Helper()
	list, err := weir.Decode("s.yaml", []byte("{kind: Site, metadata: {name: www}, spec: {"+head+", addresses: [vip], listeners: [{port: 80}], backends: {default: {az1: a, az2: b}, api: c}, routing: "+routing+"}}"))
	if err != nil {
		return nil, err
	}
	return list[0].Spec.(*weir.Site), nil
}

func TestSiteRouting(t *testing.T) {
	t.Parallel()
	const http = "hostnames: [www.example.com]"
	if s, err := siteWith(t, http, "{}"); err != nil || s.Routing.MinHealthy != 1 || s.Routing.HomeZone != "vip" || s.Routing.KeepZone != 0 {
		t.Errorf("the defaults: %+v, %v", s, err)
	}
	s, err := siteWith(t, http, "{minHealthy: 2, keepZone: 8h, weights: {az1: 70, az2: 0}, homeZone: none, fallback: sorry}")
	if err != nil || s.Routing.KeepZone.D() != 8*time.Hour || s.Routing.Weights["az1"] != 70 {
		t.Fatalf("all of it: %+v, %v", s, err)
	}
	for _, want := range []weir.Reference{
		{Ref: weir.Ref{Kind: "Zone", Name: "az1"}, Path: "spec.routing.weights.az1"}, {Ref: weir.Ref{Kind: "Pool", Name: "sorry"}, Path: "spec.routing.fallback"},
	} {
		if !slices.Contains(s.References(), want) {
			t.Errorf("%v does not hold %v", s.References(), want)
		}
	}
	for text, want := range map[string]string{
		"{minHealthy: -1}":             "spec.routing.minHealthy: -1 is outside 1 to",
		"{keepZone: 500ms}":            "spec.routing.keepZone: 500ms is outside 1s to",
		"{keepZone: 1500ms}":           "spec.routing.keepZone: 1.5s is not a whole number of seconds",
		"{weights: {az1: 1001}}":       "spec.routing.weights.az1: 1001 is outside 0 to 1000",
		"{weights: {az1: 0}}":          "spec.routing.weights: needs a zone with a share above 0",
		"{weights: {}}":                "spec.routing.weights: needs a zone with a share above 0",
		"{weights: {az1: 1, az3: 1}}":  `spec.routing.weights.az3: no backend has a pool of zone "az3"`,
		`{weights: {"az1\nx y": 1}}`:   "no backend has a pool of zone",
		"{homeZone: az1}":              `spec.routing.homeZone: "az1" must be one of vip, none`,
		`{fallback: "a;quit"}`:         "spec.routing.fallback",
		"{stickiness: {cookie: LBZ}}":  "stickiness",
		"{minHealthy: 2, keepZone: 8}": "is no duration",
	} {
		if _, err := siteWith(t, http, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
	if _, err := siteWith(t, "hostnames: [www.example.com], mode: tls-passthrough", "{keepZone: 8h}"); err == nil || !strings.Contains(err.Error(), "clients of a tls-passthrough site keep their zone by their address") {
		t.Errorf("a cookie without http: %v", err)
	}
}

func TestZoneShift(t *testing.T) {
	t.Parallel()
	decode := func(spec string) (*weir.ZoneShift, error) {
		list, err := weir.Decode("s.yaml", []byte("{kind: ZoneShift, metadata: {name: s}, spec: {"+spec+"}}"))
		if err != nil {
			return nil, err
		}
		return list[0].Spec.(*weir.ZoneShift), nil
	}
	const rest = ", zone: az1, reason: x, expiresAt: 2030-01-01T01:00:00.9+01:00"
	if z, err := decode("sites: [www, shop]" + rest); err != nil || z.ExpiresAt.String() != "2030-01-01 00:00:00 +0000 UTC" || len(z.References()) != 3 {
		t.Errorf("%+v, %v", z, err)
	}
	for text, want := range map[string]string{
		"zone: az1, reason: x, expiresAt: 2030-01-01T00:00:00Z":               "spec.sites: needs exactly one of sites, role and all",
		"all: true, role: web" + rest:                                         "spec.sites: needs exactly one of sites, role and all",
		"sites: [www], all: true" + rest:                                      "spec.sites: needs exactly one of sites, role and all",
		"sites: [www, www]" + rest:                                            `spec.sites[1]: "www" is listed twice`,
		`sites: ["a b"]` + rest:                                               "spec.sites[0]",
		`role: "a;quit"` + rest:                                               "spec.role",
		"all: true, reason: x, expiresAt: 2030-01-01T00:00:00Z":               "spec.zone: is required",
		`all: true, zone: "x\ny", reason: x, expiresAt: 2030-01-01T00:00:00Z`: "spec.zone",
		"all: true, zone: az1, expiresAt: 2030-01-01T00:00:00Z":               "spec.reason: is required: the next person",
		"all: true, zone: az1, reason: x":                                     "spec.expiresAt: is required",
	} {
		if _, err := decode(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}

// TestWhomAShiftIsAbout: a role's shift is about its own sites alone, an admin's about those that it says.
func TestWhomAShiftIsAbout(t *testing.T) {
	t.Parallel()
	site := func(name, role string) *weir.Object {
		return &weir.Object{Kind: "Site", Metadata: weir.Metadata{Name: name, Role: role}, Spec: &weir.Site{}}
	}
	list := []*weir.Object{site("www", "web"), site("shop", "web"), site("mx", "mail"), site("any", "")}
	for _, c := range []struct {
		role  string
		shift weir.ZoneShift
		want  string
	}{
		{"web", weir.ZoneShift{Sites: []string{"www", "mx", "any"}}, "www"},
		{"web", weir.ZoneShift{Role: "web"}, "www shop"},
		{"web", weir.ZoneShift{Role: "mail"}, ""},
		{"web", weir.ZoneShift{All: true}, "www shop"},
		{"", weir.ZoneShift{Sites: []string{"www", "mx", "any"}}, "www mx any"},
		{"", weir.ZoneShift{Role: "web"}, "www shop"},
		{"", weir.ZoneShift{All: true}, "www shop mx any"},
	} {
		var names []string
		for _, o := range list {
			if c.shift.Shifts(c.role, o) {
				names = append(names, o.Metadata.Name)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v of role %q: %s, want %s", c.shift, c.role, got, c.want)
		}
	}
}
