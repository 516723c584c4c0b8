package haproxy

import (
	"strconv"
	"strings"
)

// MapPair is one entry of a map as HAProxy has it.
type MapPair struct{ Key, Value string }

// ParseMap reads the answer of «show map NAME»: the entries in HAProxy's order, doubles included; for most
// kinds of map that order is not the one in which they were added. Values may hold blanks.
func ParseMap(text string) ([]MapPair, error) {
	a := read("show map", text)
	pairs := make([]MapPair, 0, len(a.lines))
	for {
		line, ok := a.line()
		if !ok {
			return pairs, nil
		}
		id, rest, ok := strings.Cut(line, " ")
		if !ok || !isPointer(id) {
			return nil, a.wrong("want an entry that begins with its address, not %s", shown(line))
		}
		key, value, ok := strings.Cut(rest, " ")
		if !ok || key == "" {
			return nil, a.wrong("want a key and a value, not %s", shown(rest))
		}
		pairs = append(pairs, MapPair{Key: key, Value: value})
	}
}

func isPointer(s string) bool {
	hex, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return false
	}
	_, err := strconv.ParseUint(hex, 16, 64)
	return err == nil
}

// ParseMapVersion reads the answer of «prepare map NAME»: the number to add to and to commit.
func ParseMapVersion(text string) (int, error) {
	a := read("prepare map", text)
	line, _ := a.line()
	digits, ok := strings.CutPrefix(line, "New version created: ")
	if !ok || len(a.lines) != 1 {
		return 0, a.wrong("want the number of a new version, not %s", shown(text))
	}
	return a.count("version", digits)
}
