package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// Spare names what a HAProxy that has have goes on having although want, to which it was brought, doesn't ask
// for it: sections, maps and lists that wait for another reload, and with which a later change may do without
// one. Who plans from objects alone needs it to tell the truth; see WithSpare.
func Spare(have, want haproxy.Config) []string {
	var list []string
	asked := index(want.Sections, keyOfSection)
	for i := range have.Sections {
		if s := &have.Sections[i]; !has(asked, keyOfSection(*s)) {
			list = append(list, spareSection(s))
		}
	}
	maps := index(want.Maps, mapPath)
	for i := range have.Maps {
		if m := &have.Maps[i]; !has(maps, m.Path) {
			list = append(list, spareMap(m))
		}
	}
	lists := index(want.CrtLists, listPath)
	for i := range have.CrtLists {
		if l := &have.CrtLists[i]; !has(lists, l.Path) {
			list = append(list, spareList(l))
		}
	}
	return list
}

// WithSpare gives have with the things that spare names, as far as want asks for them just as they are.
func WithSpare(have, want haproxy.Config, spare []string) haproxy.Config {
	if len(spare) == 0 {
		return have
	}
	named := make(map[string]bool, len(spare))
	for _, s := range spare {
		named[s] = true
	}
	have.Sections = withSections(have.Sections, want.Sections, named)
	maps := index(have.Maps, mapPath)
	have.Maps = slices.Clone(have.Maps)
	for i := range want.Maps {
		if m := &want.Maps[i]; !has(maps, m.Path) && named[spareMap(m)] {
			have.Maps = append(have.Maps, haproxy.Map{Path: m.Path, Ordered: m.Ordered})
		}
	}
	slices.SortFunc(have.Maps, func(a, b haproxy.Map) int { return strings.Compare(a.Path, b.Path) })
	lists := index(have.CrtLists, listPath)
	have.CrtLists = slices.Clone(have.CrtLists)
	for i := range want.CrtLists {
		l := &want.CrtLists[i]
		if has(lists, l.Path) || !named[spareList(l)] {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(l.Entries), func(e haproxy.CrtEntry) bool { return managed(want.Certs, e.File) })
		have.CrtLists = append(have.CrtLists, haproxy.CrtList{Path: l.Path, Entries: kept})
	}
	slices.SortFunc(have.CrtLists, func(a, b haproxy.CrtList) int { return strings.Compare(a.Path, b.Path) })
	return have
}

// withSections puts each named section before the one that it stands before in want.
func withSections(have, want []haproxy.Section, named map[string]bool) []haproxy.Section {
	there := index(have, keyOfSection)
	have = slices.Clone(have)
	at := len(have)
	for i := range slices.Backward(want) {
		s := &want[i]
		if has(there, keyOfSection(*s)) {
			at = slices.IndexFunc(have, func(h haproxy.Section) bool { return keyOfSection(h) == keyOfSection(*s) })
		} else if named[spareSection(s)] {
			have = slices.Insert(have, at, *s)
		}
	}
	return have
}

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

func spareSection(s *haproxy.Section) string {
	h := sha256.New()
	for _, l := range s.Lines {
		h.Write([]byte(l.Text + "\n"))
	}
	return strings.TrimRight("section "+hex.EncodeToString(h.Sum(nil)[:8])+" "+s.Kind+" "+s.Name, " ")
}

func spareMap(m *haproxy.Map) string {
	if m.Ordered {
		return "ordered map " + m.Path
	}
	return "map " + m.Path
}

func spareList(l *haproxy.CrtList) string { return "list " + l.Path }
