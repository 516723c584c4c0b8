package compile_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/ir"
)

// TestShiftsFollowWhatTheyAreAbout walks through what changes shifts, with one Compiler: it gives what a fresh one gives,
// the groups that change are named and no others, and the rest of the node stays where it is in memory.
func TestShiftsFollowWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	set := load(t, "testdata/zones.yaml")
	for _, text := range []string{
		"{kind: LoadBalancerGroup, metadata: {name: lab}, spec: {ranges: [192.0.2.0/28]}}",
		"{kind: IPAddress, metadata: {name: vip9}, spec: {address: 192.0.2.1, groups: [lab]}}",
		"{kind: Site, metadata: {name: lab, role: mail}, spec: {hostnames: [lab.example.com], addresses: [vip9], listeners: [{port: 80}], backends: {default: {az3: inlab}}}}",
		"{kind: Pool, metadata: {name: inlab, role: mail}, spec: {members: [{name: a, address: 10.9.0.1, port: 80}]}}",
	} {
		set.Put(one(t, text))
	}
	compiler := compile.New()
	_, _ = compiler.Group(set, "edge")
	const rest = ", reason: x, expiresAt: 2030-01-01T00:00:00Z}}"
	for _, step := range []struct{ what, text, groups, edge, lab string }{
		{"a site more", "{kind: ZoneShift, metadata: {name: nowhere, role: mail}, spec: {sites: [mx, lab], zone: az3" + rest, "edge lab", "", "lab"},
		{"another zone", "{kind: ZoneShift, metadata: {name: nowhere, role: mail}, spec: {sites: [mx, lab], zone: az1" + rest, "edge lab", "mx", ""},
		{"of a role", "{kind: ZoneShift, metadata: {name: nowhere, role: mail}, spec: {role: mail, zone: az3" + rest, "edge lab", "", "lab"},
		{"of all, by a role", "{kind: ZoneShift, metadata: {name: nowhere, role: web}, spec: {all: true, zone: az2" + rest, "edge lab", "flat plain www", ""},
		{"of all", "{kind: ZoneShift, metadata: {name: nowhere}, spec: {all: true, zone: az1" + rest, "edge lab", "flat mx www", ""},
		{"a site of the role changes", "{kind: Site, metadata: {name: plain, role: web}, spec: {hostnames: [plain.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: {az1: web-az1}}}}", "edge", "flat mx plain www", ""},
	} {
		after := set.Copy()
		o := one(t, step.text)
		after.Put(o)
		written := []weir.Ref{o.Ref()}
		if got := strings.Join(compiler.Groups(set, after, written), " "); got != step.groups {
			t.Errorf("%s: groups %s, want %s", step.what, got, step.groups)
		}
		before, _ := compiler.Group(set, "edge")
		edge, _ := compiler.Group(after, "edge")
		if o.Kind == "ZoneShift" && &before.Sites[0] != &edge.Sites[0] {
			t.Errorf("%s: sites were worked out anew for a shift", step.what)
		}
		if fresh, _ := compile.Group(after, "edge"); !reflect.DeepEqual(edge, fresh) {
			t.Errorf("%s: %s\nfrom scratch %s", step.what, text(t, edge.Shifts), text(t, fresh.Shifts))
		}
		lab, _ := compiler.Group(after, "lab")
		for i, want := range []string{step.edge, step.lab} {
			list := edge.Shifts
			if i == 1 {
				list = lab.Shifts
			}
			var sites []string
			for _, s := range list {
				if s.Name == "nowhere" {
					sites = s.Sites
				}
			}
			if got := strings.Join(sites, " "); got != want {
				t.Errorf("%s: %q is shifted, want %q", step.what, got, want)
			}
		}
		put, gone := compile.Delta(before, edge)
		if o.Kind == "ZoneShift" && (len(put)+len(gone) > 1 || len(put) == 1 && put[0].ID != "shift/nowhere" || slices.ContainsFunc(gone, func(id string) bool { return id != "shift/nowhere" })) {
			t.Errorf("%s: %d resources are sent and %v go", step.what, len(put), gone)
		}
		set = after
	}
}

func one(t *testing.T, text string) *weir.Object {
	t.Helper()
	list, err := weir.Decode("one", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// TestRoutingIsLeftOutNarrowly: what can't be had of a site's routing leaves the rest of it.
func TestRoutingIsLeftOutNarrowly(t *testing.T) {
	t.Parallel()
	set := load(t, "testdata/zones.yaml")
	set.Put(one(t, "{kind: Pool, metadata: {name: sorry, role: web}, spec: {mode: tcp, members: [{name: c, address: 10.3.0.1, port: 80}]}}"))
	node, problems := compile.Group(set, "edge")
	if len(problems) != 1 || problems[0].Object != "Site/www" || problems[0].Path != "spec.routing.fallback" {
		t.Errorf("problems %v", problems)
	}
	i := slices.IndexFunc(node.Pools, func(p ir.Pool) bool { return p.Name == "sorry" })
	if s := node.Sites[len(node.Sites)-1]; s.Name != "www" || s.Routing == nil || s.Routing.Fallback != "" || s.Routing.MinHealthy != 2 || i >= 0 {
		t.Errorf("got %s; pool at %d", text(t, s), i)
	}
}
