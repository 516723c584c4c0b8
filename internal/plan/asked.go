package plan

import (
	"maps"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// kindsAsked are the fields that have names, by the letter that their lines begin with.
var kindsAsked = map[byte]string{'h': "the header ", 'q': "the parameter ", 'c': "the cookie "}

// asksOfRequests gives the names of the headers, parameters and cookies that a rule puts together for routes with several
// conditions; nil for any other rule.
func asksOfRequests(line string) []string {
	_, rest, ok := strings.Cut(line, `(txn.line) "m=`)
	if !ok {
		return nil
	}
	list := []string{}
	for word := range strings.SplitSeq(rest, `\n`) {
		if name, _, ok := strings.Cut(word, "="); ok && name != "" && kindsAsked[name[0]] != "" {
			list = append(list, kindsAsked[name[0]]+name[1:])
		}
	}
	return list
}

// headersOf is in the rules that change headers for one route.
const headersOf = "{ var(txn.act) -m str "

// testedOf is in the rules that hold a field against regexes or lists.
const testedOf = "{ var(txn.tested) -m sub ,"

// heldAgainst gives the field that a rule holds against lists, "" for any other rule: the last one of those for a field.
func heldAgainst(line string) string {
	_, rest, ok := strings.Cut(line, testedOf+"s")
	if !ok || !strings.HasPrefix(line, "http-request set-var-fmt(txn.line)") {
		return ""
	}
	field, list, _ := strings.Cut(strings.TrimSuffix(rest, ", }"), "=")
	if field == "" || kindsAsked[field[0]] == "" {
		return ""
	}
	field = kindsAsked[field[0]] + field[1:]
	if list == "" {
		return field + " against lists"
	}
	return field + " against the list " + list
}

// heldCauses tells which fields are held against lists for the first time, for the last, or otherwise, and gives the other
// lines.
func heldCauses(added, removed []haproxy.Line) (causes []cause, restAdded, restRemoved []haproxy.Line) {
	owners, now, then := map[string]string{}, map[string]bool{}, map[string]bool{}
	take := func(list []haproxy.Line, seen map[string]bool) []haproxy.Line {
		return slices.DeleteFunc(slices.Clone(list), func(l haproxy.Line) bool {
			field := heldAgainst(l.Text)
			if field != "" {
				seen[field], owners[field] = true, l.Owner
			}
			return field != ""
		})
	}
	restAdded, restRemoved = take(added, now), take(removed, then)
	for _, field := range slices.Sorted(maps.Keys(owners)) {
		how := "otherwise "
		switch {
		case !then[field]:
			how = "for the first time "
		case !now[field]:
			how = "no more "
		}
		causes = append(causes, cause{owner: owners[field], what: "holds " + how + field, many: "hold " + how + field, why: whyRules})
	}
	return causes, restAdded, restRemoved
}

// parameterOf is in the rules that note a parameter for those that look at it.
const parameterOf = "set-var(txn.q."

// withoutTests leaves out the rules that hold regexes against those, and that note parameters for them, which come and go
// with them, and of the rules for headers all but the first.
func withoutTests(lines []haproxy.Line) []haproxy.Line {
	headers := false
	return slices.DeleteFunc(slices.Clone(lines), func(l haproxy.Line) bool {
		known := headers && strings.Contains(l.Text, headersOf)
		headers = headers || strings.Contains(l.Text, headersOf)
		return known || strings.Contains(l.Text, parameterOf) || strings.Contains(l.Text, testedOf) && heldAgainst(l.Text) == ""
	})
}

// askedCause tells what routes with several conditions look at for the first time, or for the last.
func askedCause(now, then string) cause {
	a, b := asksOfRequests(now), asksOfRequests(then)
	come := slices.DeleteFunc(slices.Clone(a), func(name string) bool { return slices.Contains(b, name) })
	gone := slices.DeleteFunc(slices.Clone(b), func(name string) bool { return slices.Contains(a, name) })
	var what []string
	if len(come) > 0 {
		what = append(what, "for the first time at "+some(come, 4))
	}
	if len(gone) > 0 {
		what = append(what, "no more at "+some(gone, 4))
	}
	if len(what) == 0 {
		what = append(what, "otherwise at requests")
	}
	text := strings.Join(what, " and ")
	return cause{what: "looks " + text, many: "look " + text, why: whyRules}
}

// whyHeaders is for versions that take the names of headers from their text alone.
const whyHeaders = "HAProxy 3.2 takes what routes do with headers only when it starts, 3.4 and newer at any time"
