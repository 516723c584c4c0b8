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

// headersOf is in the rules that change headers for one route.
const headersOf = "{ var(txn.act) -m str "

// withoutTests leaves out the rules that hold regexes against those, which come and go with them, and of the rules for
// headers all but the first.
func withoutTests(lines []haproxy.Line) []haproxy.Line {
	headers := false
	return slices.DeleteFunc(slices.Clone(lines), func(l haproxy.Line) bool {
		known := headers && strings.Contains(l.Text, headersOf)
		headers = headers || strings.Contains(l.Text, headersOf)
		return known || strings.Contains(l.Text, "{ var(txn.tested) -m sub ,")
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
