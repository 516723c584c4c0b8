package weir

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// AccessList is a set of networks, of strings or of both, that routes, rate limits and maintenance refer to by name.
type AccessList struct {
	// Networks are what a client's address is looked up in.
	Networks []netip.Prefix `json:"networks,omitempty"`
	// Strings are what routes hold headers, parameters and cookies against.
	Strings *ListStrings `json:"strings,omitempty"`
	// Source is where the networks or the strings come from; the control plane fetches them.
	Source *ListSource `json:"source,omitempty"`
}

// ListStrings are the strings of an AccessList.
type ListStrings struct {
	// Match says where in a value an entry is looked for: exact is the whole value, prefix its beginning, suffix its
	// end, contains anywhere. For exact and prefix it costs the same however many entries there are; for suffix and
	// contains each is looked for, so there are fewer, only the first 1024 bytes of a value are looked through, and the first
	// use of such a list with a field is a reload.
	Match string `json:"match"`
	// IgnoreCase takes A to Z for a to z, in entries and values.
	IgnoreCase bool `json:"ignoreCase,omitempty"`
	// Entries are printable ASCII; their order means nothing.
	Entries []string `json:"entries"`
}

// The ways in which a value is held against the strings of a list.
const (
	MatchExact    = "exact"
	MatchPrefix   = "prefix"
	MatchSuffix   = "suffix"
	MatchContains = "contains"
)

const (
	// MaxListEntries is how many networks, and how many strings, an AccessList can have.
	MaxListEntries = 200_000
	// maxListBytes is how long all strings of a list may be together, in bytes, as they are sent to agents.
	maxListBytes = 8 << 20
	// MaxScannedEntries is how many strings there can be that are looked for one by one: those of suffix and contains.
	MaxScannedEntries = 2000
)

// Scanned says that the strings are looked for one by one.
func (s *ListStrings) Scanned() bool { return s.Match == MatchSuffix || s.Match == MatchContains }

// Normalize masks the networks, and brings the strings into order, without doubles.
func (a *AccessList) Normalize() {
	maskAll(a.Networks)
	if a.Strings != nil {
		a.Strings.Normalize()
	}
	if a.Source != nil {
		a.Source.normalize(HoldsNetworks)
	}
}

// Normalize brings the strings into order, without doubles. When one is refused they stay in the order in which whoever is
// told of it has written them.
func (s *ListStrings) Normalize() {
	if s.IgnoreCase {
		for i, e := range s.Entries {
			s.Entries[i] = strings.ToLower(e)
		}
	}
	if slices.ContainsFunc(s.Entries, func(e string) bool { return CheckListString(e) != nil }) {
		return
	}
	if !slices.IsSorted(s.Entries) {
		slices.Sort(s.Entries)
	}
	s.Entries = slices.Compact(s.Entries)
}

// Validate checks networks and strings.
func (a *AccessList) Validate(p *Problems) {
	atMost(p, "networks", len(a.Networks), MaxListEntries, "")
	checkPrefixes(p, "networks", a.Networks)
	if a.Strings != nil {
		a.Strings.validate(p)
	}
	if a.Source != nil {
		a.Source.validate(p, HoldsNetworks, HoldsStrings)
		if a.Source.Holds == HoldsStrings && a.Strings == nil {
			p.Add("strings", "is required: match says how the strings of the source are matched")
		}
	}
}

func (s *ListStrings) validate(p *Problems) {
	oneOf(p, "strings.match", s.Match, MatchExact, MatchPrefix, MatchSuffix, MatchContains)
	atMost(p, "strings.entries", len(s.Entries), MaxListEntries, "")
	if s.Scanned() {
		atMost(p, "strings.entries", len(s.Entries), MaxScannedEntries, " with match: "+s.Match+", which looks for each of them; exact and prefix take more")
	}
	size := 0
	for _, e := range s.Entries {
		size += len(`"",`) + sentBytes(e)
	}
	if size > maxListBytes {
		p.Add("strings.entries", "has %d bytes; at most %d are allowed", size, maxListBytes)
	}
	for i, e := range s.Entries {
		if err := CheckListString(e); err != nil {
			p.Add(index("strings.entries", i), "%s", err)
		}
	}
}

// sentBytes is how long printable ASCII is in JSON.
func sentBytes(s string) int {
	return len(s) + 5*(strings.Count(s, "<")+strings.Count(s, ">")+strings.Count(s, "&")) + strings.Count(s, `"`) + strings.Count(s, `\`)
}

func atMost(p *Problems, path string, n, most int, more string) {
	if n > most {
		p.Add(path, "has %d entries; at most %d are allowed%s", n, most, more)
	}
}

// CheckListString says why s can't be an entry of an AccessList's strings, or nil. It becomes the key of a map's entry.
func CheckListString(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("is empty")
	case len(s) > MaxMatchValue:
		return fmt.Errorf("is %d bytes long; at most %d are allowed", len(s), MaxMatchValue)
	case s[0] == '#':
		return fmt.Errorf("%q begins with '#', which begins a comment in lists; leave that sign out, or say the rest with match: contains", clip(s))
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '`' {
			return fmt.Errorf("%q holds %q; entries are of printable ASCII without backticks", clip(s), c)
		}
	}
	return nil
}

// wordsAlone says that no client is looked up in the list: it has strings, and no network, nor a source that brings some.
func (a *AccessList) wordsAlone() bool {
	return len(a.Networks) == 0 && a.Strings != nil && (a.Source == nil || a.Source.Holds == HoldsStrings)
}

// References are the authority of the source.
func (a *AccessList) References() []Reference {
	return a.Source.references()
}
