package weir

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// mostBadLines is how many bad lines of a list are told one by one.
const mostBadLines = 50

// ReadNetworks reads a list of networks as people and feeds write them: one a line, an address for itself alone; what
// stands behind '#' or ';' is a comment. They come sorted and without doubles. Problems name the file's lines.
func ReadNetworks(file string, text []byte) ([]netip.Prefix, []Problem) {
	var list []netip.Prefix
	problems := readLines(file, text, func(line string) string {
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = strings.TrimSpace(line[:i])
		}
		if line == "" {
			return ""
		}
		n, ok := networkOf(line)
		if !ok {
			return quotedLine(line) + " is no network, such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.7"
		}
		list = append(list, n)
		return ""
	})
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list), problems
}

func networkOf(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return canonicalPrefix(n), true
}

// ReadStrings reads a list of strings, one a line without the blanks around it; a line that begins with '#' is a comment.
// They come sorted and without doubles. Problems name the file's lines.
func ReadStrings(file string, text []byte) ([]string, []Problem) {
	var list []string
	problems := readLines(file, text, func(line string) string {
		if line[0] == '#' {
			return ""
		}
		if err := CheckListString(line); err != nil {
			return err.Error()
		}
		list = append(list, line)
		return ""
	})
	slices.Sort(list)
	return slices.Compact(list), problems
}

// ReadMap reads the entries of a Map that matches as match says, one a line: the key, blanks and the value; a line that
// begins with '#' is a comment. They come in the order of the lines, an entry that is repeated once. Problems name the
// file's lines.
func ReadMap(file string, text []byte, match string) ([]MapEntry, []Problem) {
	m, values := &Map{Match: match}, map[string]string{}
	problems := readLines(file, text, func(line string) string {
		if line[0] == '#' {
			return ""
		}
		key, value := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			key, value = m.normalKey(line[:i]), strings.TrimSpace(line[i:])
		}
		if value == "" {
			return quotedLine(line) + " is no entry: a line is a key, blanks and a value"
		}
		if err := m.checkKey(key); err != nil {
			return "the key: " + err.Error()
		}
		if err := CheckMapValue(value); err != nil {
			return "the value: " + err.Error()
		}
		switch before, ok := values[key]; {
		case !ok:
			values[key] = value
			m.Entries = append(m.Entries, MapEntry{key, value})
		case before != value:
			return "the key " + quotedLine(key) + " has the value " + quotedLine(before) + " already"
		}
		return ""
	})
	return m.Entries, problems
}

// readLines calls take for each line that is not empty; what it says against it becomes a problem.
func readLines(file string, text []byte, take func(line string) string) []Problem {
	var problems []Problem
	more, n := 0, 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		n++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		why := take(line)
		switch {
		case why == "":
		case len(problems) == mostBadLines:
			more++
		default:
			problems = append(problems, Problem{File: file, Line: n, Message: why})
		}
	}
	if more > 0 {
		problems = append(problems, Problem{File: file, Message: "there are more bad lines; these are enough to begin with"})
	}
	return problems
}

func quotedLine(line string) string { return strconv.Quote(clip(line)) }
