package compile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
)

// TestRegistrationsLetServersIn tells who is in a pool of six servers: in as a, drained as (a), left out as nothing, in
// maintenance as [a]; then is when Overrides have ended.
func TestRegistrationsLetServersIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, pool string
		servers    string // by state: h healthy, d draining, w withdrawn, s stale, - none
		overrides  string // server:state:weight
		want, then string
	}{
		{"check: only what is said of them counts", "admission: check", "h-sdw", "", "a b c (d)", ""},
		{"none: likewise", "healthCheck: {type: none}", "h-sdw", "", "a b c (d)", ""},
		{"registration: none and stale are out", "admission: registration, floor: {percent: 0}", "h-sdw", "", "a (d)", ""},
		{"both", "admission: both", "hh-s", "", "a b", ""},
		{"nobody has said anything yet", "admission: both", "----", "", "", ""},
		{"all fall silent", "admission: both", "ssss", "", "a b c d", ""},
		{"half of them do", "admission: both", "hhss", "", "a b", ""},
		{"more than half of them do", "admission: both", "hhsss", "", "a b c d e", ""},
		{"those withdrawn and draining do not count for the floor", "admission: both", "hswwdd", "", "a (e) (f)", ""},
		{"those without a registration do not count for the floor", "admission: both", "hs----", "", "a", ""},
		{"the floor is a number", "admission: both, floor: {percent: 0, count: 3}", "hhs-", "", "a b c", ""},
		{"and met", "admission: both, floor: {percent: 0, count: 2}", "hhs-", "", "a b", ""},
		{"a healthy one that people drain stands in for nobody", "admission: both", "hs", "a:drain:", "(a) b", "a b"},
		{"nor one in maintenance", "admission: both", "hs", "a:maintenance:", "[a] b", "a b"},
		{"nor one of weight 0", "admission: both", "hs", "a::0", "(a) b", "a b"},
		{"a stale one that people drain counts for nothing", "admission: both", "hhsss", "d:drain: e:drain:", "a b", ""},
		{"ready lets a withdrawn one in until it expires", "admission: check", "hw", "b:ready:", "a b", "a [b]"},
		{"and a stale one, and one without a registration", "admission: both", "hhs-", "c:ready: d:ready:", "a b c d", "a b [c] [d]"},
		{"to drain one by hand is stronger than ready", "admission: check", "hw", "b:ready: b:drain:", "a (b)", "a [b]"},
		{"a weight gives nothing to one that drains by itself", "admission: check", "hd", "b::200", "a (b)", ""},
		{"ready gives it its weight", "admission: check", "hd", "b:ready:", "a b", "a (b)"},
		{"maintenance by hand is that of one that drains too", "admission: check", "hd", "b:maintenance:", "a [b]", "a (b)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := registered(t, tt.pool, tt.servers, tt.overrides)
			node, problems := compile.Group(set, "edge")
			if len(problems) > 0 || len(node.Pools) != 1 {
				t.Fatalf("%d pools, %v", len(node.Pools), problems)
			}
			end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
			if got := whoIsIn(node, end.Add(-time.Second)); got != tt.want {
				t.Errorf("in are %q; want %q", got, tt.want)
			}
			if got := whoIsIn(node, end); tt.then != "" && got != tt.then {
				t.Errorf("after the overrides in are %q; want %q", got, tt.then)
			}
		})
	}
}

func whoIsIn(node ir.Node, at time.Time) string {
	node, _ = node.At(at)
	var list []string
	for _, s := range node.Pools[0].Servers {
		switch {
		case s.Maintenance:
			list = append(list, "["+s.Name+"]")
		case s.Weight == 0:
			list = append(list, "("+s.Name+")")
		default:
			list = append(list, s.Name)
		}
	}
	return strings.Join(list, " ")
}

// registered makes a group with one site and one pool of servers a, b, c.
func registered(t *testing.T, pool, servers, overrides string) *weir.Set {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, `
- {kind: Zone, metadata: {name: az1}}
- {kind: Role, metadata: {name: web}, spec: {contact: web, hostnames: ["*.example.com"], groups: [edge]}}
- {kind: LoadBalancerGroup, metadata: {name: edge}, spec: {ranges: [203.0.113.0/28]}}
- {kind: IPAddress, metadata: {name: www, role: web}, spec: {address: 203.0.113.1, homeZone: az1, groups: [edge]}}
- {kind: Pool, metadata: {name: web, role: web}, spec: {selector: {role: web}, port: 80, %s}}
- {kind: Site, metadata: {name: www, role: web}, spec: {hostnames: [www.example.com], addresses: [www], listeners: [{port: 80}], backends: {default: web}}}
`, pool)
	states := map[rune]string{'h': "healthy", 'd': "draining", 'w': "withdrawn", 's': "stale"}
	for i, c := range servers {
		said := ""
		if state := states[c]; state != "" {
			said = fmt.Sprintf(", registration: {state: %s, since: 2026-11-22T10:00:00Z}", state)
		}
		fmt.Fprintf(&text, "- {kind: Server, metadata: {name: %c, role: web}, spec: {address: 10.1.0.%d, zone: az1%s}}\n", 'a'+i, i+1, said)
	}
	for i, o := range strings.Fields(overrides) {
		part := strings.Split(o, ":")
		does := "state: " + part[1]
		if part[1] == "" {
			does = "weight: " + part[2]
		}
		fmt.Fprintf(&text, "- {kind: Override, metadata: {name: o%d, role: web}, spec: {server: %s, %s, reason: why, expiresAt: 2030-01-01T00:00:00Z}}\n", i, part[0], does)
	}
	list, err := weir.Decode("registered.yaml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return weir.NewSet(list...)
}

// TestAdmissionIsTold: what conditions are made of.
func TestAdmissionIsTold(t *testing.T) {
	t.Parallel()
	c := compile.New()
	told := func(set *weir.Set) *compile.Admission {
		node, _ := c.Group(set, "edge")
		return c.Admissions(&node)[0]
	}
	a := told(registered(t, "admission: both", "hhhss-dw", ""))
	want := []compile.Standing{{"d", weir.StandingStale}, {"e", weir.StandingStale}, {"f", weir.StandingWaiting}, {"g", weir.StandingDraining}, {"h", weir.StandingWithdrawn}}
	if a == nil || !a.Asks || a.Healthy != 3 || a.Stale != 2 || a.In != 3 || !slices.Equal(a.Others, want) {
		t.Errorf("%+v", a)
	}
	a = told(registered(t, "admission: both", "hsss", ""))
	if a == nil || a.In != 4 || len(a.Others) != 3 || a.Others[0].Standing != weir.StandingHeld {
		t.Errorf("held: %+v", a)
	}
	if a := told(registered(t, "admission: check", "h-s", "")); a != nil {
		t.Errorf("nothing to tell: %+v", a)
	}
	if a := told(registered(t, "admission: check", "hw", "")); a == nil || a.Asks || len(a.Others) != 1 {
		t.Errorf("a withdrawn one of a pool that does not ask: %+v", a)
	}
}

// TestAnOverrideOfAServerThatIsOut: it lets the server in, or counts against others, though it was in no pool before.
func TestAnOverrideOfAServerThatIsOut(t *testing.T) {
	t.Parallel()
	c := compile.New()
	base := registered(t, "admission: both", "hs", "")
	at := time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct{ overrides, want string }{
		{"", "a"}, {"b:ready:", "a b"}, {"", "a"}, {"a:drain:", "(a) b"}, {"a:drain: b:ready:", "(a) b"}, {"b:ready:", "a b"},
	} {
		set := base.Copy()
		for o := range registered(t, "admission: both", "hs", step.overrides).All("Override") {
			set.Put(o)
		}
		node, _ := c.Group(set, "edge")
		if got := whoIsIn(node, at); got != step.want {
			t.Errorf("with %q in are %q; want %q", step.overrides, got, step.want)
		}
	}
}
