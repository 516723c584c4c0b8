package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// asksOfRequests gives the names of the headers, parameters and cookies that a rule puts together for routes with several
// conditions; nil for any other rule.
func asksOfRequests(line string) []string {
	_, rest, ok := strings.Cut(line, `(txn.line) "m=`)
	if !ok {
		return nil
	}
	kinds := map[byte]string{'h': "the header ", 'q': "the parameter ", 'c': "the cookie "}
	list := []string{}
	for word := range strings.SplitSeq(rest, `\n`) {
		if name, _, ok := strings.Cut(word, "="); ok && name != "" && kinds[name[0]] != "" {
			list = append(list, kinds[name[0]]+name[1:])
		}
	}
	return list
}

// withoutTests leaves out the rules that hold regexes against those, which come and go with them.
func withoutTests(lines []haproxy.Line) []haproxy.Line {
	return slices.DeleteFunc(slices.Clone(lines), func(l haproxy.Line) bool { return strings.Contains(l.Text, "{ var(txn.tested) -m sub ,") })
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
