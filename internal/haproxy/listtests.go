package haproxy

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// longestScanned is how many bytes of a value are looked through for the strings of a list, one after the other.
const longestScanned = 1024

// listedFields gives the fields that routes with several conditions hold against lists: those that are looked up in all
// lists at once, and those that have one list's words looked for in them, with the List. words are the lists of that kind.
func listedFields(n *ir.Node) (atOnce, scans fields, words map[string]*ir.AccessList) {
	atOnce, scans, words = fields{}, fields{}, map[string]*ir.AccessList{}
	for i := range n.Lists {
		if scanned(&n.Lists[i]) {
			words[n.Lists[i].Name] = &n.Lists[i]
		}
	}
	for i := range n.Sites {
		routes := n.Sites[i].Routes
		for _, placed := range weir.Conditional(routes) {
			for _, t := range routes[placed.Index].Match.Terms() {
				switch {
				case t.List == "":
				case words[t.List] != nil:
					scans[t] = true
				default:
					atOnce[weir.Term{Kind: t.Kind, Name: t.Name}] = true
				}
			}
		}
	}
	return atOnce, scans, words
}

// testedFor is what a site has among its tested fields when it holds a field against lists, or against the words of one.
func testedFor(t weir.Term, words string) string { return "s" + lineOf(t) + words }

// listTests adds to what is known of a request which lists its fields are in: for each a line of "s", what the field's own
// line begins with, and the list's name.
func (r *renderer) listTests(rule adder) {
	atOnce, scans, words := listedFields(&r.node)
	begin := func(t weir.Term, rest, more string) (known, is string) {
		known, is = testedFor(t, ""), fmt.Sprintf("{ var(txn.tested) -m sub ,%s, }", testedFor(t, rest))
		rule("unset-var(txn.value) if %s", is)
		rule("set-var(txn.value) %s%s,regsub([[:blank:]],%s,g) if %s", fetch(t), more, blank, is)
		return known, is
	}
	for _, t := range atOnce.sorted() {
		known, is := begin(t, "", "")
		in := ""
		for _, m := range stringMaps {
			low := ""
			if m.lower {
				low = ",lower"
			}
			how := map[string]string{weir.MatchExact: "map_str", weir.MatchPrefix: "map_beg"}[m.match]
			in += fmt.Sprintf(`%s%%%%[var(txn.value)%s,%s(%s),map_str(%s),regsub(\\+,\n%s,g)]\n`, known, low, how, opt(mapStrings(m.match, m.lower)), opt(mapHolders), known)
		}
		rule(`set-var-fmt(txn.line) "%%[var(txn.line)]`+in+`" if %s`, is)
	}
	for _, t := range scans.sorted() {
		known, is := begin(t, t.List, fmt.Sprintf(",bytes(0,%d)", longestScanned))
		s := words[t.List].Strings
		low := ""
		if s.IgnoreCase {
			low = ",lower"
		}
		how := map[string]string{weir.MatchSuffix: "map_end", weir.MatchContains: "map_sub"}[s.Match]
		rule(`set-var-fmt(txn.line) "%%[var(txn.line)]%s%%[var(txn.value)%s,%s(%s)]\n" if %s`, known, low, how, opt(mapWords(t.List)), is)
	}
}

// holders puts down which of the lists in a set routes hold values against.
func (r *renderer) holders(sets *listSets) {
	asked := map[string]bool{}
	for i := range r.node.Sites {
		routes := r.node.Sites[i].Routes
		for _, placed := range weir.Conditional(routes) {
			for _, t := range routes[placed.Index].Match.Terms() {
				if t.List != "" {
					asked[t.List] = true
				}
			}
		}
	}
	r.members(mapHolders, asked, sets.holding)
}

// members puts down which of the lists in a set are among those that are asked for.
func (r *renderer) members(path string, asked map[string]bool, with map[string][]string) {
	members := map[string][]string{}
	for name := range asked {
		for _, id := range with[name] {
			members[id] = append(members[id], name)
		}
	}
	for id, names := range members {
		slices.Sort(names)
		r.put(path, id, strings.Join(slices.Compact(names), "+"), "AccessList/"+names[0])
	}
}
