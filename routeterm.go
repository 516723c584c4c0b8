package weir

import (
	"regexp"
	"strings"
)

// Term is one condition of a match in the form in which it is carried out. Exactly one of Exact, Prefix, Regex, Present
// and List is set.
type Term struct {
	// Kind is list, schedule, host, method, path, header, query or cookie; the last three have a Name.
	Kind, Name string
	// A Prefix of a path ends with a slash, and a slash is put behind the path that is held against it.
	Exact, Prefix, Regex string
	Present              bool
	// List names an AccessList whose strings the field is held against.
	List string
}

// Field names what the condition looks at, as in "header x-a".
func (t Term) Field() string { return strings.TrimRight(t.Kind+" "+t.Name, " ") }

// Terms gives the conditions of a match, those first that cost least. Values that can't stand in a list of conditions as
// they are become regexes.
func (m *RouteMatch) Terms() []Term {
	var list []Term
	if m.AccessList != "" {
		list = append(list, Term{Kind: "list", Exact: m.AccessList})
	}
	if m.Schedule != "" {
		list = append(list, Term{Kind: "schedule", Exact: m.Schedule})
	}
	if m.Method != "" {
		list = append(list, Term{Kind: "method", Exact: m.Method})
	}
	switch below, wild := strings.CutPrefix(m.Host, "*."); {
	case wild:
		list = append(list, Term{Kind: "host", Regex: `.+\.` + quoted(below)})
	case m.Host != "" && m.Host != "*":
		list = append(list, Term{Kind: "host", Exact: m.Host})
	}
	switch p := m.Path; {
	case p == nil:
	case p.Exact != "":
		list = append(list, Term{Kind: "path", Exact: p.Exact}.asStated())
	case p.Regex != "":
		list = append(list, Term{Kind: "path", Regex: p.Regex})
	case strings.Trim(p.Prefix, "/") != "":
		t := Term{Kind: "path", Prefix: strings.TrimRight(p.Prefix, "/") + "/"}
		if !stated(t.Prefix) {
			t = Term{Kind: "path", Regex: quoted(strings.TrimRight(p.Prefix, "/")) + "(?:/.*)?"}
		}
		list = append(list, t)
	}
	kinds := map[string]string{"headers": "header", "query": "query", "cookies": "cookie"}
	m.values(func(field string, values []ValueMatch) {
		for _, v := range values {
			list = append(list, Term{kinds[field], v.Name, v.Exact, v.Prefix, v.Regex, v.Present, v.AccessList}.asStated())
		}
	})
	return list
}

// asStated makes a regex of what can't stand in a list of conditions as it is.
func (t Term) asStated() Term {
	switch {
	case t.Exact != "" && !stated(t.Exact):
		t.Regex, t.Exact = quoted(t.Exact), ""
	case t.Prefix != "" && !stated(t.Prefix):
		t.Regex, t.Prefix = quoted(t.Prefix)+".*", ""
	}
	return t
}

// stated says that a value can stand in a list of conditions, which is a map's value.
func stated(v string) bool {
	return strings.IndexFunc(v, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~/:=,@!$&()*+?%", r))
	}) < 0
}

// quoted writes a text as a regex that matches nothing else, without blanks.
func quoted(v string) string {
	return strings.NewReplacer(" ", `\x20`, "#", `\x23`, `"`, `\x22`, "'", `\x27`).Replace(regexp.QuoteMeta(v))
}
