package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// What it means when rules or tables come or go by which Splits take legs out.
const (
	firstAborts = "a Split takes out legs that fail as none of the group did before (abort)"
	lastAborts  = "no Split takes out legs any more as one did before (abort)"
)

// blocks are rules that a group has only while something asks for them, and which come and go all together.
var blocks = []struct {
	first, last string
	// once says that a section which has such rules tells nothing of more of them: others are why those come.
	once bool
	// of are the variables that the rules are about, and beside what is in rules that do otherwise without them.
	of, beside []string
}{
	{
		"the group goes by a Schedule for the first time", "the group goes by no Schedule any more", true,
		[]string{"txn.clock)", "txn.times)", "txn.rl.levels)", "txn.shifting)"},
		[]string{"(txn.until) ", "(txn.rl.terms) ", `(txn.line) "m=`},
	},
	{
		"the port has an egress site for the first time", "the port has no egress site any more", false,
		[]string{"txn.eg.", "(txn.eg)", "# calls to partners", "stick-table type binary len 20 size 100k expire 1m store conn_cur", "tune.stick-counters 6", "h1-case-adjust"},
		[]string{
			"tune.stick-counters ", "maps/page-types.map", "# splits:", // which a way out has in any case
			"txn.sp.split)", "txn.sp.base)", "txn.sp.shares)", "txn.sp.sticky)", "txn.sp.who)", "txn.sp.has)", "txn.sp.given)", "txn.sp.roll)", "txn.sp.leg)",
		},
	},
	{
		firstAborts, lastAborts, false,
		[]string{"txn.sp.window)", "txn.sp.out)", "table split-", "tune.stick-counters 5"},
		[]string{"localpeer ", "tune.stick-counters "},
	},
	{
		"the group has a Split for the first time", "the group has no Split any more", false,
		[]string{"txn.sp.", "# splits:"},
		nil,
	},
}

// onlyLegs says of a section of tables that none of it is for rate limits.
func onlyLegs(s *haproxy.Section) bool {
	return !slices.ContainsFunc(s.Lines, func(l haproxy.Line) bool {
		return tableOf(l.Text) != "" && !strings.HasPrefix(tableOf(l.Text), "split-")
	})
}

// blockCauses tells of such rules, and gives the other lines of what comes into a section and goes out of it.
func blockCauses(have, want *haproxy.Section, added, removed []haproxy.Line) (list []cause, restAdded, restRemoved []haproxy.Line) {
	for _, b := range blocks {
		holds := func(l haproxy.Line, words []string) bool {
			return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(l.Text, word) })
		}
		of := func(l haproxy.Line) bool { return holds(l, b.of) }
		come, gone := slices.ContainsFunc(added, of), slices.ContainsFunc(removed, of)
		if come == gone { // none, or another text than that of an earlier version
			continue
		}
		if b.once && slices.ContainsFunc(have.Lines, of) && slices.ContainsFunc(want.Lines, of) {
			continue
		}
		c := cause{what: b.first, why: whyRules}
		if gone {
			c.what = b.last
		}
		list = append(list, c)
		told := func(l haproxy.Line) bool {
			return of(l) || holds(l, b.beside)
		}
		added = slices.DeleteFunc(slices.Clone(added), told)
		removed = slices.DeleteFunc(slices.Clone(removed), told)
	}
	return list, added, removed
}
