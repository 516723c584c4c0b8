package haproxy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// Routes with several conditions are held against a request one by one, in order, by one regular expression that is the
// same for all: it is asked about the routes of the site, out of a map, with what is known of the request behind them, and
// compares the two by back references. So a request costs what the routes of its own site cost, however many others there
// are, and a new route is a map's entry. docs/decisions/0045-routes.md has the figures.
//
// A program is one line, "target`term`term|target`term|". A term is a line of the request ("m=GET"), or "~" with what one
// begins with, or "!" with what one begins with and does not end with. The request is lines of one letter, a name where the
// letter has some, "=" and the value: a line end is in none of them.
const matcher = "^(?>[^|\\n]*+\\|)*?" + // routes that don't match
	"([^`|\\n]++)(?:`(?:" + // the target of one all of whose terms are
	"~([^`|\\n]++)(?=[^\\n]*+\\n(?>[^\\n]*+\\n)*?\\2)|" + // the beginning of a line behind the program
	"!([^`|\\n]++)(?=[^\\n]*+\\n(?>[^\\n]*+\\n)*?\\3[^\\n])|" + // not all of a line
	"([a-z][^`|\\n]*+)(?=[^\\n]*+\\n(?>[^\\n]*+\\n)*?\\4\\n)" + // a whole line
	"))*+\\|"

// mapTests is the map of the regexes that stand at place k among those that a site holds against one field:
// ^site\nfield=regex$ → its name.
func mapTests(k int) string { return fmt.Sprintf("%s%d.map", fieldTests, k) }

const fieldTests = "maps/field-tests-"

// letters begin the lines of a request.
var letters = map[string]string{"list": "l", "schedule": "s", "host": "o", "method": "m", "path": "p", "header": "h", "query": "q", "cookie": "c"}

// lineOf is what stands in a line of the request before the value.
func lineOf(t weir.Term) string { return letters[t.Kind] + t.Name + "=" }

// fields are what routes with several conditions look at in a group.
type fields map[weir.Term]bool

func (f fields) sorted() []weir.Term {
	list := make([]weir.Term, 0, len(f))
	for t := range f {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b weir.Term) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.List, b.List))
	})
	return list
}

// fieldsAsked gives the fields of a node, and the access lists that are asked for among other conditions.
func fieldsAsked(n *ir.Node) (asked fields, lists map[string]bool) {
	asked, lists = fields{{Kind: "host"}: true, {Kind: "path"}: true}, map[string]bool{}
	for i := range n.Sites {
		routes := n.Sites[i].Routes
		for _, placed := range weir.Conditional(routes) {
			for _, t := range routes[placed.Index].Match.Terms() {
				switch {
				case t.Kind == "list":
					lists[t.Exact] = true
				case t.List != "": // see listTests
				case t.Kind == "schedule":
				case t.Name != "":
					asked[weir.Term{Kind: t.Kind, Name: t.Name}] = true
				}
			}
		}
	}
	return asked, lists
}

// conditions finds the route of a site that has some with several conditions.
func (r *renderer) conditions(rule adder) {
	asked, _ := fieldsAsked(&r.node)
	const has = "{ var(txn.program) -m found }"
	rule("set-var(txn.program) var(txn.site),map_str(%s)", opt(mapPrograms))
	rule("set-var(txn.in) var(txn.lists),map_str(%s) if %s { var(txn.lists) -m found }", opt(mapMembers), has)
	for _, name := range parametersAsked(&r.node) {
		decode(rule, name, has)
	}
	line := `m=%%[method]\no=%%[var(txn.host)]\np=%%[var(txn.path),bytes(0,1025)]\nd=%%[var(txn.path),bytes(0,1025)]/\nl=%%[var(txn.in),regsub(\\+,\nl=,g)]\n`
	if r.scheduled() {
		line += `s=%%[var(txn.times),regsub(\+,\ns=,g)]\n`
	}
	for _, f := range asked.sorted() {
		if f.Name != "" {
			line += lineOf(f) + "%%[" + fetch(f) + fmt.Sprintf(`,bytes(0,%d)]\n`, weir.MaxMatchValue+1)
		}
	}
	rule(`set-var-fmt(txn.line) "` + line + `" if ` + has)
	rule("set-var(txn.tested) var(txn.site),map_str(%s) if %s", opt(mapTested), has)
	for _, f := range asked.sorted() {
		tested := fmt.Sprintf("{ var(txn.tested) -m sub ,%s, }", lineOf(f))
		rule(`set-var-fmt(txn.value) "%%[var(txn.site)]\n%s%%[%s]" if %s`, lineOf(f), fetch(f), tested)
		passed := ""
		for k := 1; k <= weir.MaxFieldRegexes; k++ {
			passed += fmt.Sprintf(`t=%%%%[var(txn.value),map_reg(%s,-)]\n`, opt(mapTests(k)))
		}
		rule(`set-var-fmt(txn.line) "%%[var(txn.line)]` + passed + `" if ` + tested)
	}
	r.listTests(rule)
	// What is too long for a buffer would be cut, and a condition at the end would not be seen.
	rule("set-var(txn.long) var(txn.line),length if %s", has)
	rule("deny deny_status 431 if %s { var(txn.program),length,add(txn.long) gt %d }", has, longestSubject)
	rule(`set-var-fmt(txn.line) "%%[var(txn.program)]\n%%[var(txn.line)]" if %s`, has)
	rule("set-var(txn.route) var(txn.line),map_regm(%s) if %s", opt(mapMatcher), has)
}

// longestSubject is what surely fits in a buffer of 16384 bytes, the smallest that a Tuning can have: HAProxy leaves out
// a field for want of room, and the longest is the path with 1025 bytes.
const longestSubject = 16384 - 1200

// parametersAsked gives the names of the parameters that routes with several conditions look at in a group, sorted.
func parametersAsked(n *ir.Node) []string {
	names := map[string]bool{}
	for i := range n.Sites {
		routes := n.Sites[i].Routes
		for _, placed := range weir.Conditional(routes) {
			for _, m := range routes[placed.Index].Match.Query {
				names[m.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// parameter is the variable of a parameter of the query.
func parameter(name string) string { return "txn.q." + longDigest(name) }

// decode notes a parameter as the servers read it. One that HAProxy can't decode stays as it is, and a byte 0, which would
// end what stands behind it, becomes an underscore: no parameter is hidden from a condition by how it is written.
func decode(rule adder, name, has string) {
	rule("set-var(%s) url_param(%s),regsub(%%00,_,g) if %s", parameter(name), name, has)
	rule(`set-var(%s) var(%s),url_dec(1),regsub([\r\n],_,g) if %s`, parameter(name), parameter(name), has)
}

// fetch gives a field of a request, without line ends.
func fetch(f weir.Term) string {
	switch f.Kind {
	case "header":
		return "req.fhdr(" + f.Name + ")"
	case "cookie":
		return "req.cook(" + f.Name + ")"
	case "query":
		return "var(" + parameter(f.Name) + ")"
	case "host":
		return "var(txn.host)"
	}
	return "var(txn.path)"
}

// program puts down the routes of a site that has some with several conditions.
func (r *renderer) program(s *ir.Site) {
	var b strings.Builder
	owner, tested, places := "Site/"+s.Name, "", map[string]int{}
	test := func(what string) {
		if !strings.Contains(tested+",", ","+what+",") {
			tested += "," + what
		}
	}
	known := map[string]bool{}
	for _, placed := range weir.Conditional(s.Routes) {
		route := &s.Routes[placed.Index]
		b.WriteString(r.target(s, route))
		for _, t := range route.Match.Terms() {
			switch {
			case t.Regex != "":
				name := longDigest(t.Field() + "\n" + t.Regex)
				b.WriteString("`t=" + name)
				if known[name] {
					continue
				}
				known[name] = true
				places[t.Field()]++
				test(lineOf(t))
				r.push(mapTests(places[t.Field()]), bounded("^"+s.Name+`\n`+strings.ReplaceAll(lineOf(t), ".", `\.`)+"(?:"+t.Regex+")$"), name, owner)
			case t.List != "":
				b.WriteString("`" + testedFor(t, t.List))
				if r.sets.words(t.List) {
					test(testedFor(t, t.List))
				} else {
					test(testedFor(t, ""))
				}
			case t.Present:
				b.WriteString("`!" + lineOf(t))
			case t.Prefix != "" && t.Kind == "path":
				b.WriteString("`~d=" + t.Prefix)
			case t.Prefix != "":
				b.WriteString("`~" + lineOf(t) + t.Prefix)
			default:
				b.WriteString("`" + lineOf(t) + t.Exact)
			}
		}
		b.WriteString("|")
	}
	if b.Len() > 0 {
		r.put(mapPrograms, s.Name, b.String(), owner)
	}
	if tested != "" {
		r.put(mapTested, s.Name, tested+",", owner)
	}
}

// matcher puts down what is the same for all sites.
func (r *renderer) matcher(sets *listSets) {
	r.push(mapMatcher, matcher, `\1`, "")
	_, lists := fieldsAsked(&r.node)
	r.members(mapMembers, lists, sets.networks)
	r.holders(sets)
}
