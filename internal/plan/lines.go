package plan

import (
	"strings"

	"weir/internal/haproxy"
)

// lineDiff gives the lines that one section has more often than the other, in their order.
func lineDiff(have, want []haproxy.Line) (added, removed []haproxy.Line) {
	return surplus(want, have), surplus(have, want)
}

func surplus(of, over []haproxy.Line) []haproxy.Line {
	n := make(map[string]int, len(over))
	for _, l := range over {
		n[l.Text]++
	}
	var list []haproxy.Line
	for _, l := range of {
		if n[l.Text] > 0 {
			n[l.Text]--
			continue
		}
		list = append(list, l)
	}
	return list
}

func texts(lines []haproxy.Line) []string {
	list := make([]string, 0, len(lines))
	for _, l := range lines {
		list = append(list, strings.TrimSpace(l.Text))
	}
	return list
}

// lineChange tells in a few words which lines come and go: directives that only change their value first.
func lineChange(added, removed []string) string {
	if len(added)+len(removed) == 0 {
		return "its lines come in another order"
	}
	said, added, removed := sameDirectives(added, removed)
	for _, l := range added {
		said = append(said, quote(l)+" is new")
	}
	for _, l := range removed {
		said = append(said, quote(l)+" goes")
	}
	if len(said) > 3 {
		return strings.Join(said[:2], ", ") + " and " + count(len(said)-2, "more line", "more lines")
	}
	return strings.Join(said, ", ")
}

// sameDirectives pairs the lines whose directive comes once on either side.
func sameDirectives(added, removed []string) (said, restAdded, restRemoved []string) {
	alone := func(list []string) map[string]string {
		m := map[string]string{}
		for _, l := range list {
			d := directive(l)
			if _, twice := m[d]; twice {
				m[d] = ""
				continue
			}
			m[d] = l
		}
		return m
	}
	a, r := alone(added), alone(removed)
	for _, l := range added {
		if d := directive(l); a[d] != "" && r[d] != "" {
			said = append(said, instead(l, r[d]))
			continue
		}
		restAdded = append(restAdded, l)
	}
	for _, l := range removed {
		if d := directive(l); a[d] == "" || r[d] == "" {
			restRemoved = append(restRemoved, l)
		}
	}
	return said, restAdded, restRemoved
}

// instead tells one line from another, also when they differ where nobody would read on.
func instead(now, then string) string {
	if quote(now) != quote(then) {
		return quote(now) + " instead of " + quote(then)
	}
	f := strings.Fields(now)
	return "“" + strings.Join(f[:min(4, len(f))], " ") + " …” ends otherwise"
}

// directive is what a line sets: its first word, and the second of those that set many things.
func directive(line string) string {
	f := strings.Fields(line)
	if len(f) == 0 {
		return ""
	}
	switch f[0] {
	case "timeout", "option", "http-request", "http-response", "tcp-request", "tcp-response", "http-check", "stats", "http-error", "errorfile":
		return strings.Join(f[:min(2, len(f))], " ")
	default:
		return f[0]
	}
}

// quote cuts a line to what fits into a sentence.
func quote(line string) string {
	if r := []rune(line); len(r) > 70 {
		line = string(r[:70]) + "…"
	}
	return "“" + line + "”"
}
