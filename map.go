package weir

import "slices"

// Map is a list of keys and values that a Site's routes look paths up in.
type Map struct {
	// Match says how a key is held against the path: exact, prefix (whole path elements, longest wins) or
	// regex (PCRE, the first that matches wins).
	Match   string     `json:"match"`
	Entries []MapEntry `json:"entries"`
	// Source is where the entries come from, a line each: the key, blanks and the value; the control plane fetches them.
	Source *ListSource `json:"source,omitempty"`
}

// MapEntry is one key with its value.
type MapEntry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// MaxMapEntries is how many entries a Map can have.
const MaxMapEntries = 200_000

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
	seen := make(map[string]int, len(m.Entries))
	for i, e := range m.Entries {
		if err := m.checkKey(e.Key); err != nil {
			p.Add(index("entries", i)+".key", "%s", err)
		}
		if first, ok := seen[e.Key]; ok {
			p.Add(index("entries", i)+".key", "%q is the key of entries[%d] already", clip(e.Key), first)
		}
		seen[e.Key] = i
		if err := checkMapValue(e.Value); err != nil {
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

func checkMapValue(value string) error { return CheckName(value) }

// References are the authority of the source; a value is only read as the name of a backend where a Site uses the map.
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
