package plan

import (
	"fmt"
	"slices"
	"testing"

	"weir"
	"weir/internal/compile"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// Who knows only what was wanted before, what is wanted now and what is spare plans the same as who has HAProxy
// before his eyes, over walks of random objects.
func TestSpareTellsTheTruth(t *testing.T) {
	t.Parallel()
	differs, spared := 0, 0
	for seed := range rounds(4) {
		r := random(seed)
		options := weirtest.Options{Sealed: true, Zoned: true, Egress: true}
		set := weirtest.RandomObjects(uint64(seed), options)
		version := []haproxy.Version{v34, v32}[seed%2]
		render := func() haproxy.Config {
			node, _, err := compile.Node(set, "edge-az1-1")
			if err != nil {
				t.Fatal(err)
			}
			return haproxy.Render(node, haproxy.Env{Version: version})
		}
		have := render()
		last := have
		var past []*weir.Set
		for step := range 80 {
			past = append(past, set)
			set = weirtest.Apply(set, weirtest.RandomWrite(r, set, options))
			if step%4 == 3 { // back to what was wanted a while ago
				set = past[len(past)-3]
			}
			want := render()
			spare := Spare(have, last)
			told, plain, done := Diff(WithSpare(last, want, spare), want), Diff(last, want), Diff(have, want)
			if placed(told) != placed(done) {
				t.Fatalf("seed %d step %d: told\n%sdone\n%sspare %v", seed, step, script(told), script(done), spare)
			}
			if len(spare) > 0 {
				spared++
			}
			if placed(plain) != placed(done) {
				differs++
			}
			have, last = Apply(done, have), want
		}
	}
	if differs == 0 || spared == 0 {
		t.Errorf("%d plans with something spare, %d of them other ones for it: the walk shows nothing", spared, differs)
	}
	t.Logf("%d plans with something spare, %d of them other ones for it", spared, differs)
}

func TestSpareOfAnotherFormIsNoHelp(t *testing.T) {
	t.Parallel()
	section := func(line string) haproxy.Section {
		return haproxy.Section{Kind: "defaults", Name: "p from base", Spare: true, Lines: []haproxy.Line{{Text: line}}}
	}
	global := haproxy.Section{Kind: "global"}
	last := haproxy.Config{Version: v34, Sections: []haproxy.Section{global}}
	have := last
	have.Sections = append(slices.Clone(have.Sections), section("balance random"))
	have.Maps = []haproxy.Map{{Path: "maps/a.map"}, {Path: "maps/b.map", Ordered: true}}
	spare := Spare(have, last)
	if len(spare) != 3 {
		t.Fatalf("spare: %q", spare)
	}
	for line, reload := range map[string]bool{"balance random": false, "balance leastconn": true} {
		want := last
		want.Sections = append(slices.Clone(want.Sections), section(line))
		want.Maps = []haproxy.Map{{Path: "maps/b.map", Ordered: true}}
		if p := Diff(WithSpare(last, want, spare), want); (len(p.Reload) > 0) != reload {
			t.Errorf("%s: %v", line, p.Reload)
		}
	}
	if got := fmt.Sprint(Spare(last, last)); got != "[]" {
		t.Errorf("spare of what is wanted: %s", got)
	}
}

// placed is a plan's script with the places of IDs: which ID of a place is free depends on what was there before.
func placed(p Plan) string {
	p.Ops = slices.Clone(p.Ops)
	for i := range p.Ops {
		p.Ops[i].ID = haproxy.Place(p.Ops[i].ID)
	}
	return script(p)
}
