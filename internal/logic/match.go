package logic

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// condition reads what stands in braces, or behind the name of an acl.
func (p *parser) condition(words []word) (*ACL, phase, error) {
	if len(words) == 0 {
		return nil, 0, fmt.Errorf("has an empty condition")
	}
	if words[0].is("client") {
		return p.clientIn(words[1:])
	}
	a := &ACL{}
	first := words[0]
	if fetch, match, ok := shorten(first); ok {
		first, a.Match = fetch, match
	}
	e, end, out, err := p.expr(first, 0, 0, "")
	if err != nil {
		return nil, 0, err
	}
	if end < len(first.text) {
		return nil, 0, fmt.Errorf("has %q behind an expression", clip(string(first.text[end:])))
	}
	a.Sample = e
	in := fetches[e.Fetch.Name].in
	if e.Fetch.Name == "var" {
		in = scope(e.Fetch.Args[0])
	}
	rest := words[1:]
	for len(rest) > 0 && rest[0].at(0, '-') {
		flag := rest[0]
		rest = rest[1:]
		switch {
		case flag.is("--"):
			return a, in, p.patterns(a, out, rest)
		case flag.is("-i"):
			a.Fold = true
		case flag.is("-m") && len(rest) > 0 && a.Match == "":
			a.Match = rest[0].String()
			if _, ok := matches[a.Match]; !ok || rest[0].data() {
				return nil, 0, fmt.Errorf("%q is no way of matching; there are %s", clip(a.Match), listed(matches))
			}
			rest = rest[1:]
		default:
			return nil, 0, fmt.Errorf("the flag %q is not on the list, which is -i, -m and --", clip(flag.String()))
		}
	}
	return a, in, p.patterns(a, out, rest)
}

// shorten takes path_beg apart.
func shorten(w word) (fetch word, match string, ok bool) {
	name := w.String()
	end := strings.IndexAny(name, "(,")
	if end < 0 {
		end = len(name)
	}
	if w.data() && slices.Contains(w.fixed[:end], true) {
		return w, "", false
	}
	if _, known := fetches[name[:end]]; known {
		return w, "", false
	}
	to, match, ok := short(name[:end])
	if ok {
		fetch.add(to, false)
		fetch.text, fetch.fixed = append(fetch.text, w.text[end:]...), append(fetch.fixed, w.fixed[end:]...)
	}
	return fetch, match, ok
}

// scope gives the phases in which a variable lives.
func scope(name string) phase {
	switch name[:3] {
	case "req":
		return request
	case "res":
		return answers
	}
	return anywhere
}

// patterns checks what a sample is held against.
func (p *parser) patterns(a *ACL, out value, rest []word) error {
	how := matches[a.Match]
	if out == method && a.Match != "" {
		return fmt.Errorf("a method is held against names of methods, without -m")
	}
	if a.Match == "" {
		if how = out; how == unknown {
			return fmt.Errorf("needs -m with the way of matching, as in -m str, -m int or -m found: the type of what is looked at is not known")
		}
		if how != method {
			a.Match = string(how) // some words have no usual way to HAProxy
		}
	}
	if len(rest) == 0 && how != boolean && a.Match != "found" {
		return fmt.Errorf("has nothing that %s is held against; -m found asks whether it is there", a.Sample.Fetch.Name)
	}
	if len(rest) > 0 && (how == boolean || a.Match == "found") {
		return fmt.Errorf("has %q too many: it is true or not", clip(rest[0].String()))
	}
	for i, w := range rest {
		s := w.String()
		ok := true
		switch how {
		case number:
			if slices.Contains(compared, s) {
				ok = i == len(rest)-2
			} else {
				ok = aRange.MatchString(s)
			}
		case address:
			_, err := netip.ParsePrefix(s)
			_, alone := netip.ParseAddr(s)
			ok = (err == nil || alone == nil) && !strings.Contains(s, "%")
		case method:
			ok = aMethod.MatchString(s)
		default:
			ok = s != "" && len(s) <= 512
		}
		if !ok {
			return fmt.Errorf("%q can't be held against %s", clip(s), a.Sample.Fetch.Name)
		}
		a.Values = append(a.Values, s)
	}
	return nil
}

// clientIn reads "in LIST …" behind client.
func (p *parser) clientIn(words []word) (*ACL, phase, error) {
	if len(words) < 2 || !words[0].is("in") {
		return nil, 0, fmt.Errorf("client is followed by in and names of AccessLists: { client in crawlers }")
	}
	a := &ACL{}
	for _, w := range words[1:] {
		if w.data() && !slices.Contains(p.objects.Lists, w.String()) {
			return nil, 0, fmt.Errorf("client in takes a parameter of type accessList alone, with no more to the name: of others nobody would be known to refer to the AccessList")
		}
		if !objName.MatchString(w.String()) {
			return nil, 0, fmt.Errorf("%q is no name of an AccessList", clip(w.String()))
		}
		a.Lists = append(a.Lists, w.String())
	}
	return a, anywhere, nil
}
