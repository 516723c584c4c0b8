package e2e

import (
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// TestLogicIsHeldInItsLastGoodForm: what HAProxy refuses of a Logic is told in its words and of that Logic, what it last
// took goes on, and everything else ships.
func TestLogicIsHeldInItsLastGoodForm(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		logic := func(name, regex string) string {
			return "---\nkind: Logic\nmetadata: {name: " + name + ", role: web}\nspec: {text: \"http-request deny deny_status 410 if { path -m reg '^/" + name + regex + "' }\"}\n"
		}
		named := func(names string) string {
			return strings.Replace(w.oneZone(), "  backends: {default: web}", "  backends: {default: web}\n  logic: ["+names+"]", 1)
		}
		vip := w.at(17).String() + ":8080"
		w.apply(named("gone") + logic("gone", ""))
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		w.serves(vip, "www.example.com", "/")
		w.answers("/x/../gone", 410)
		w.says("logics/gone", "Programmed", "True")

		w.converged(w.apply(logic("gone", "(")))
		w.says("logics/gone", "Quarantined", "True", "lb1", "regex")
		w.says("logics/gone", "Programmed", "False", "lb1")
		w.answers("/gone", 410)

		// One that was never any good is left out, and its neighbour stays.
		w.converged(w.apply(named("gone, late") + logic("late", "[")))
		w.says("logics/late", "Quarantined", "True", "lb1")
		w.answers("/gone", 410)
		w.answers("/late", 200)

		w.converged(w.apply(logic("late", "$") + logic("gone", "/now")))
		w.says("logics/late", "Programmed", "True")
		w.answers("/late", 410)
		w.answers("/gone", 200)
		w.answers("/gone/now", 410)
	})
}
