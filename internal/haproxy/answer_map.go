package haproxy

import (
	"strconv"
	"strings"
)

// MapPair is one entry of a map as HAProxy has it.
type MapPair struct{ Key, Value string }

// ParseMap reads the answer of «show map NAME»: the entries in HAProxy's order, doubles included; for most
// kinds of map that order is not the one in which they were added. Values may hold blanks. HAProxy does not say where
// a key ends: of one that somebody added with blanks in it, what comes after the first is taken for its value.
func ParseMap(text string) ([]MapPair, error) {
	pairs := make([]MapPair, 0, strings.Count(text, "\n"))
	err := eachEntry(text, func(_ string, p MapPair) { pairs = append(pairs, p) })
	return pairs, err
}

// ParseMapReferences reads the same answer for the words, as «#0x7f00», by which «del map» takes the entries of
// some keys, whatever else is in those.
func ParseMapReferences(text string, keys map[string]bool) ([]string, error) {
	var references []string
	err := eachEntry(text, func(address string, p MapPair) {
		if keys[p.Key] {
			references = append(references, "#"+address)
		}
	})
	return references, err
}

func eachEntry(text string, each func(address string, p MapPair)) error {
	a := read("show map", text)
	for {
		line, ok := a.line()
		if !ok {
			return nil
		}
		address, rest, ok := strings.Cut(line, " ")
		if !ok || !isPointer(address) {
			return a.wrong("want an entry that begins with its address, not %s", shown(line))
		}
		key, value, ok := strings.Cut(rest, " ")
		if !ok {
			return a.wrong("want a key and a value, not %s", shown(rest))
		}
		each(address, MapPair{Key: key, Value: value})
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
