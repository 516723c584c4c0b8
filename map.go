package weir

import (
	"fmt"
	"slices"
	"strings"
)

// Map is a list of keys and values. A Site's route looks the path up in it, and the value is the name of a backend: entries
// that name none of the Site are left out there, and its status says so. Logic looks up what it likes, and the value is text.
type Map struct {
	// Match says how a key is held against the path: exact, prefix (whole path elements, longest wins) or
	// regex (PCRE, the first that matches wins; they are tried one after the other, so that there may be 1,000 of them).
	Match string `json:"match"`
	// Entries are at most 200,000, of 12 MB in all as they are sent to load balancers. Their order counts for regexes only.
	Entries []MapEntry `json:"entries"`
	// Source is where the entries come from, a line each: the key, blanks and the value; the control plane fetches them.
	Source *ListSource `json:"source,omitempty"`
}

// MapEntry is one key with its value.
type MapEntry struct {
	// Key is what the path, without its query, is held against, or what logic looks up.
	Key string `json:"key"`
	// Value is the name of a backend where a route uses the Map. Where logic does it is any printable ASCII, with blanks inside
	// too, such as the URL that a page has moved to; at most 1024 bytes.
	Value string `json:"value"`
}

const (
	// MaxMapEntries is how many entries a Map can have.
	MaxMapEntries = 200_000
	// MaxMapRegexes is how many there can be when keys are regexes. A request that matches none is held against all of them: of
	// a thousand that took 55 to 200 microseconds of a processor (3.4.7), where all else of a request takes about 15.
	MaxMapRegexes = 1000
	// MaxMapValue is how long a value can be, in bytes.
	MaxMapValue = 1024
	// maxMapBytes is how long all entries may be together, in bytes, as they are sent to agents.
	maxMapBytes = 12 << 20
)

// Normalize brings paths into their normal form.
func (m *Map) Normalize() {
	for i := range m.Entries {
		m.Entries[i].Key = m.normalKey(m.Entries[i].Key)
	}
	if m.Source != nil {
		m.Source.normalize(HoldsEntries)
	}
}

func (m *Map) normalKey(key string) string {
	if m.Match == "regex" {
		return key
	}
	return NormalPath(key)
}

// Validate checks keys and values.
func (m *Map) Validate(p *Problems) {
	oneOf(p, "match", m.Match, "exact", "prefix", "regex")
	atMost(p, "entries", len(m.Entries), MaxMapEntries, "")
	if m.Match == "regex" {
		atMost(p, "entries", len(m.Entries), MaxMapRegexes, " with match: regex, which tries one after the other; exact and prefix take more")
	}
	size := 0
	for _, e := range m.Entries {
		size += len(`{"key":"","value":""},`) + sentBytes(e.Key) + sentBytes(e.Value)
	}
	if size > maxMapBytes {
		p.Add("entries", "have %d bytes; at most %d are allowed", size, maxMapBytes)
	}
	seen := make(map[string]int, len(m.Entries))
	for i, e := range m.Entries {
		if err := m.checkKey(e.Key); err != nil {
			p.Add(index("entries", i)+".key", "%s", err)
		}
		if first, ok := seen[e.Key]; ok {
			p.Add(index("entries", i)+".key", "%q is the key of entries[%d] already", clip(e.Key), first)
		}
		seen[e.Key] = i
		if err := CheckMapValue(e.Value); err != nil {
			p.Add(index("entries", i)+".value", "%s", err)
		}
	}
	if m.Source != nil {
		m.Source.validate(p, HoldsEntries)
	}
}

func (m *Map) checkKey(key string) error {
	if m.Match == "regex" {
		return CheckRegex(key)
	}
	return checkMatchPath(key)
}

// CheckMapValue says why s can't be a value of a Map, or nil. In a map file it is what stands behind the key up to the end of
// the line, without the blanks around it.
func CheckMapValue(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("is required")
	case len(s) > MaxMapValue:
		return fmt.Errorf("is %d bytes long; at most %d are allowed", len(s), MaxMapValue)
	case strings.Trim(s, " ") != s:
		return fmt.Errorf("%q begins or ends with a blank, which would be lost", clip(s))
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' {
			return fmt.Errorf("%q holds %q; values are of printable ASCII; in a URL write it as %%%02X", clip(s), c, c)
		}
	}
	return nil
}

// References are the authority of the source; a value is read as the name of a backend only where a Site routes by the map.
func (m *Map) References() []Reference { return m.Source.references() }

// From gives the source, nil for none.
func (m *Map) From() *ListSource { return m.Source }

// Held counts the entries that are the source's.
func (m *Map) Held() int {
	if m.Source == nil {
		return 0
	}
	return len(m.Entries)
}

// Read gives the map with the entries that the source's lines are. Problems name the lines.
func (m *Map) Read(lines []byte) (Sourced, []Problem) {
	entries, problems := ReadMap("", lines, m.Match)
	return m.holding(entries), problems
}

// Fetched gives a map with the entries of another that has them from a source too; ok is false when that has none, or when
// the keys of only one of them are regexes.
func (m *Map) Fetched(from Spec) (now Sourced, ok bool) {
	f, ok := from.(*Map)
	if !ok || m.Source == nil || f.Source == nil || (m.Match == "regex") != (f.Match == "regex") {
		return m, false
	}
	return m.holding(f.Entries), true
}

// Unfetched gives a map without the entries of its source.
func (m *Map) Unfetched() Sourced {
	if m.Source == nil {
		return m
	}
	return m.holding(nil)
}

func (m *Map) holding(entries []MapEntry) *Map {
	now := *m
	now.Entries = slices.Clone(entries)
	return &now
}

func checkRegex(p *Problems, path, v string) {
	if err := CheckRegex(v); err != nil {
		p.Add(path, "%s", err)
	}
}
