package compile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
)

// threeZones is a site with two servers in each of three zones, and an address at home in each.
func threeZones() string {
	var b strings.Builder
	b.WriteString("- {kind: Role, metadata: {name: web}, spec: {}}\n- {kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28]}}\n")
	for i := 1; i <= 3; i++ {
		fmt.Fprintf(&b, "- {kind: Zone, metadata: {name: az%d}, spec: {}}\n- {kind: IPAddress, metadata: {name: vip%d}, spec: {address: 203.0.113.%d, homeZone: az%d, groups: [edge]}}\n", i, i, i, i)
		fmt.Fprintf(&b, "- {kind: Pool, metadata: {name: web-az%d, role: web}, spec: {members: [{name: a%d, address: 10.%d.0.1, port: 80}, {name: b%d, address: 10.%d.0.2, port: 80}]}}\n", i, i, i, i, i)
	}
	b.WriteString("- {kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip1, vip2, vip3], listeners: [{port: 80}], backends: {default: {az1: web-az1, az2: web-az2, az3: web-az3}}}}\n")
	return b.String()
}

const shiftedUntil = ", reason: x, expiresAt: 2030-01-01T00:00:00Z}}"

// TestLeave reckons what shifts leave to the other zones.
func TestLeave(t *testing.T) {
	t.Parallel()
	const site = "{kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [vip1, vip2, vip3], listeners: [{port: 80}], "
	const pools = "backends: {default: {az1: web-az1, az2: web-az2, az3: web-az3}}"
	const outOfAz1 = "{kind: ZoneShift, metadata: {name: s, role: web}, spec: {sites: [www], zone: az1" + shiftedUntil
	override := func(server, what string) string {
		return "{kind: Override, metadata: {name: " + server + ", role: web}, spec: {server: " + server + ", " + what + shiftedUntil
	}
	for name, c := range map[string]struct {
		texts []string
		want  string
	}{
		"one of three alike": {[]string{outOfAz1}, ""},
		"a second one": {
			[]string{outOfAz1, "{kind: ZoneShift, metadata: {name: other, role: web}, spec: {role: web, zone: az2" + shiftedUntil},
			"az3 200 grows 200 of www default",
		},
		"a second one that is over": {[]string{outOfAz1, "{kind: ZoneShift, metadata: {name: other, role: web}, spec: {role: web, zone: az2, reason: x, expiresAt: 2020-01-01T00:00:00Z}}"}, ""},
		"a server drained elsewhere": {
			[]string{outOfAz1, override("a2", "state: drain")},
			"az2 200 grows 150 of www default",
		},
		"a server lighter elsewhere":       {[]string{outOfAz1, override("a2", "weight: 50")}, "az2 133 grows 150 of www default"},
		"a server drained where it leaves": {[]string{outOfAz1, override("a1", "state: maintenance")}, ""},
		"a zone below minHealthy":          {[]string{outOfAz1, site + pools + ", routing: {minHealthy: 2}}}", override("a2", "state: drain")}, "az3 200 grows 200 of www default"},
		"none available":                   {[]string{outOfAz1, site + pools + ", routing: {minHealthy: 3}}}"}, "stays www"},
		"all at home in one, small others": {[]string{
			outOfAz1, site + pools + ", routing: {homeZone: none, weights: {az1: 90, az2: 5, az3: 5}}}}",
			"{kind: Pool, metadata: {name: web-az2, role: web}, spec: {members: [{name: a2, address: 10.2.0.1, port: 80, weight: 20}]}}",
		}, "az2 370 grows 1000 of www default"},
		"listed ones have a share alone":     {[]string{outOfAz1, site + pools + ", routing: {homeZone: none, weights: {az1: 50, az2: 50}}}}"}, "az2 133 grows 200 of www default"},
		"who has no share takes it at last":  {[]string{outOfAz1, site + pools + ", routing: {homeZone: none, weights: {az1: 50}}}}"}, ""},
		"nowhere else to go":                 {[]string{outOfAz1, site + "backends: {default: {az1: web-az1}}}}"}, "stays www"},
		"one pool for all":                   {[]string{outOfAz1, site + "backends: {default: web-az1}}}"}, "unmoved www"},
		"a weak zone":                        {[]string{outOfAz1, "{kind: Zone, metadata: {name: az3}, spec: {capacity: 40}}"}, ""},
		"a weak zone that takes all homes":   {[]string{"{kind: ZoneShift, metadata: {name: s}, spec: {all: true, zone: az1" + shiftedUntil, "{kind: Zone, metadata: {name: az3}, spec: {capacity: 10}}", site + pools + ", routing: {homeZone: none, weights: {az1: 50, az2: 45, az3: 5}}}}"}, "az2 120 grows 200 of www default; az3 133 grows 200 of all"},
		"a shift that is over moves nothing": {[]string{"{kind: ZoneShift, metadata: {name: s, role: web}, spec: {sites: [www], zone: az1, reason: x, expiresAt: 2020-01-01T00:00:00Z}}"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := weir.Decode("t.yaml", []byte(threeZones()))
			if err != nil {
				t.Fatal(err)
			}
			set := weir.NewSet(list...)
			for _, text := range c.texts {
				set.Put(one(t, text))
			}
			l := compile.Leave(set, "s", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			var got []string
			for _, b := range l.Burdens {
				about := "all"
				if b.Site != "" {
					about = b.Site + " " + b.Backend
				}
				got = append(got, fmt.Sprintf("%s %d grows %d of %s", b.Zone, b.Carries, b.Grows, about))
			}
			for _, s := range l.Stays {
				got = append(got, "stays "+s)
			}
			for _, s := range l.Unmoved {
				got = append(got, "unmoved "+s)
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
			if words := l.Words("az1"); len(words) == 0 != (c.want == "") {
				t.Errorf("words %v", words)
			}
		})
	}
}
