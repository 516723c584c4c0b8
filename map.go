package weir

// Map is a list of keys and values that a Site's routes look paths up in.
type Map struct {
	// Match says how a key is held against the path: exact, prefix (whole path elements, longest wins) or
	// regex (PCRE, the first that matches wins).
	Match   string     `json:"match"`
	Entries []MapEntry `json:"entries"`
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
}

func (m *Map) checkKey(key string) error {
	if m.Match == "regex" {
		return CheckRegex(key)
	}
	return checkMatchPath(key)
}

func checkMapValue(value string) error { return CheckName(value) }

// References are none; a value is only read as the name of a backend where a Site uses the map.
func (m *Map) References() []Reference { return nil }

func checkRegex(p *Problems, path, v string) {
	if err := CheckRegex(v); err != nil {
		p.Add(path, "%s", err)
	}
}
