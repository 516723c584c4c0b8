package plan

import (
	"slices"
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
		list = append(list, text(l))
	}
	return list
}

func text(l haproxy.Line) string { return strings.TrimSpace(l.Text) }

// lineChange quotes which lines come and go.
func lineChange(added, removed []string) string {
	var said []string
	if len(added) == 1 && len(removed) == 1 {
		return instead(added[0], removed[0])
	}
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

// inPairs takes out the lines whose directive comes once on either side: the new one and the one that it replaces.
func inPairs(added, removed []haproxy.Line) (pairs [][2]haproxy.Line, restAdded, restRemoved []haproxy.Line) {
	times := func(list []haproxy.Line) map[string]int {
		m := map[string]int{}
		for _, l := range list {
			m[directive(l.Text)]++
		}
		return m
	}
	a, r := times(added), times(removed)
	once := func(l haproxy.Line) bool { return a[directive(l.Text)] == 1 && r[directive(l.Text)] == 1 }
	for _, l := range added {
		if !once(l) {
			restAdded = append(restAdded, l)
			continue
		}
		i := slices.IndexFunc(removed, func(o haproxy.Line) bool { return directive(o.Text) == directive(l.Text) })
		pairs = append(pairs, [2]haproxy.Line{l, removed[i]})
	}
	for _, l := range removed {
		if !once(l) {
			restRemoved = append(restRemoved, l)
		}
	}
	return pairs, restAdded, restRemoved
}

// instead tells one line from another, also when they differ where nobody would read on.
func instead(now, then string) string {
	if quote(now) != quote(then) {
		return quote(now) + " instead of " + quote(then)
	}
	f := strings.Fields(now)
	return "“" + strings.Join(f[:min(4, len(f))], " ") + " …” ends otherwise"
}

// directive is what a line sets: its first word, and those after it of what sets many things.
func directive(line string) string {
	f := strings.Fields(line)
	if len(f) == 0 {
		return ""
	}
	switch f[0] {
	case "timeout", "option", "http-request", "http-response", "tcp-request", "tcp-response", "http-check", "stats", "compression":
		n := 2
		if len(f) > 1 && f[1] == "set-timeout" {
			n = 3
		}
		return strings.Join(f[:min(n, len(f))], " ")
	case "http-error":
		return strings.Join(f[:min(3, len(f))], " ")
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
