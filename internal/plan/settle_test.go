package plan

import (
	"fmt"
	"testing"

	"weir/internal/haproxy"
)

// What shares memory with what was wanted is planned on as what does not.
func TestPlansFromSettledConfigurations(t *testing.T) {
	t.Parallel()
	shares := 0
	for seed := range rounds(60) {
		r := random(seed)
		w := newWorld(r)
		have := w.config()
		for step := range 20 {
			w = w.clone()
			for range 1 + r.IntN(4) {
				w.mutate(r)
			}
			want := w.config()
			// Settled on what is wanted before it is there, too: where both differ it stays as it is.
			for _, on := range []haproxy.Config{have, want, Apply(Diff(have, want), have)} {
				at := fmt.Sprintf("seed %d step %d", seed, step)
				settled := Settle(on, want)
				if !Equivalent(settled, on) || !Equivalent(on, settled) {
					t.Fatalf("%s: settling has changed what HAProxy has", at)
				}
				if p := Diff(on, settled); !p.Empty() {
					t.Fatalf("%s: settling plans\n%s", at, script(p))
				}
				next := w.clone()
				next.mutate(r)
				plain, quick := Diff(on, next.config()), Diff(settled, next.config())
				if script(plain) != script(quick) || fmt.Sprint(len(plain.Reload)) != fmt.Sprint(len(quick.Reload)) {
					t.Fatalf("%s: planned\n%s\ninstead of\n%s", at, script(quick), script(plain))
				}
				for i := range settled.Backends {
					for j := range want.Backends {
						if s := settled.Backends[i].Servers; len(s) > 0 && shared(s, want.Backends[j].Servers) {
							shares++
						}
					}
				}
			}
			have = Settle(Apply(Diff(have, want), have), want)
		}
	}
	if shares == 0 {
		t.Error("nothing was ever shared")
	}
}

// A server that was made beside its predecessor has another ID than the one that is wanted: what comes after it must not take
// that.
func TestSettledServersKeepTheirIDs(t *testing.T) {
	t.Parallel()
	ids := haproxy.Elsewhere(7)
	with := func(id int) haproxy.Config {
		return haproxy.Config{Backends: []haproxy.Backend{{Name: "web", Profile: "p", Mode: "http", Servers: []haproxy.Server{{Name: "a.1111", Address: "192.0.2.1:80", ID: id, Weight: 1}}}}}
	}
	have, want := with(ids[1]), with(ids[0])
	if p := Diff(have, want); !p.Empty() {
		t.Errorf("planned\n%s", script(p))
	}
	settled := Settle(have, want)
	if got := settled.Backends[0].Servers[0].ID; got != ids[1] {
		t.Errorf("the ID is %d, not %d", got, ids[1])
	}
	next := with(ids[1])
	next.Backends[0].Servers[0].Name = "a.2222"
	for _, op := range Diff(settled, next).Ops {
		if op.Kind == AddServer && op.ID == ids[1] {
			t.Errorf("planned with an ID that is taken: %s", op)
		}
	}
}
