package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/plan"
	"weir/internal/weirtest"
)

// hostileValues are values of Maps that would begin something else if they were more than data anywhere on the way: in a map
// file, a run-time command, its payload or a log format.
var hostileValues = []string{
	"https://www.example.com/new?a=b&c=%20d#e", "a; shutdown frontend http-8080", "a;shutdown sessions server default/s33", "x <<", "<< x", "x <<EOF",
	`\`, `a\ b`, `a\`, `"`, `'`, `a "b`, `it's`, "# no comment", "#", "%[env(PATH)]", "%%", "%ci", "$HOME", "${site}", "`id`", "a  b", "@1", "opt@maps/vips.map",
	"default", "www", "vip", "www/default", "{ always_true }", "if", "a|b:c,d+e", "quit", "!", "-", "0", "~", strings.Repeat("long ", 204) + "long",
}

// What a Map's value holds is what logic finds, byte for byte, whichever way it came into HAProxy: read from a file, in a
// command of its own, changed, or exchanged with hundreds of others.
func TestValuesOfMapsAreData(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("www", 33)
		b.node.Sites[0].Logic = []weir.LogicUse{{Name: "tell"}}
		b.node.Logics = []ir.Logic{{Name: "tell", Logic: weir.Logic{Text: "http-request return status 200 content-type text/plain lf-string %[path,map(words)] if { path,map(words) -m found }"}}}
		words := func(turn, more int) (list []weir.MapEntry) {
			for i := range hostileValues {
				list = append(list, weir.MapEntry{Key: fmt.Sprintf("/w%d", i), Value: hostileValues[(i+turn)%len(hostileValues)]})
			}
			for i := range more {
				list = append(list, weir.MapEntry{Key: fmt.Sprintf("/more%d", i), Value: hostileValues[(i+turn)%len(hostileValues)]})
			}
			for _, e := range list {
				if err := weir.CheckMapValue(e.Value); err != nil {
					t.Fatal(err)
				}
			}
			return list
		}
		found := func(note string, list []weir.MapEntry) {
			t.Helper()
			for _, e := range list {
				request, err := http.NewRequest(http.MethodGet, "http://"+netip.AddrPortFrom(b.at(17), 8080).String()+e.Key, nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Host = "www.example"
				answer, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || string(body) != e.Value {
					t.Errorf("%s: %s is %q %v, want %q", note, e.Key, body, err, e.Value)
				}
			}
			b.serves("www")
		}
		for _, step := range []struct {
			note    string
			entries []weir.MapEntry
			kind    plan.Kind // of all operations; "" for what begins
		}{
			{"from a file", words(0, 0), ""},
			{"set", words(1, 0), plan.MapSet},
			{"none", nil, plan.MapDel},
			{"added", words(2, 0), plan.MapAdd},
			{"exchanged", words(3, 300), plan.MapSwap},
		} {
			b.node.Maps = []ir.Map{{Name: "words", Match: "exact", Entries: step.entries}}
			out := b.converge()
			for _, op := range out.Plan.Ops {
				if step.kind != "" && (op.Kind != step.kind || len(op.Pools) > 0) {
					t.Errorf("%s: %s", step.note, op)
				}
			}
			if step.kind != "" && (out.Reloaded || len(out.Plan.Ops) == 0) {
				t.Errorf("%s: reloaded %v, %d operations", step.note, out.Reloaded, len(out.Plan.Ops))
			}
			found(step.note, step.entries)
			b.settled()
		}
	})
}
