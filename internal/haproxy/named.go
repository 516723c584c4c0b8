package haproxy

import (
	"strings"
)

// Named gives the maps and certificate lists that sections name, without entries: those that a HAProxy which has
// read them knows, whatever is wanted now.
func Named(sections []Section) Config {
	maps, lists := map[string]bool{}, map[string]bool{}
	for _, s := range sections {
		for _, l := range s.Lines {
			noteMaps(maps, l.Text)
			if _, rest, ok := strings.Cut(l.Text, " crt-list "); ok {
				path, _, _ := strings.Cut(rest, " ")
				lists[path] = true
			}
		}
	}
	c := Config{Sections: sections}
	for _, path := range sortedKeys(maps) {
		c.Maps = append(c.Maps, Map{Path: path, Ordered: orderedMap(path)})
	}
	for _, path := range sortedKeys(lists) {
		c.CrtLists = append(c.CrtLists, CrtList{Path: path})
	}
	return c
}
