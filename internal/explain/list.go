package explain

import (
	"net/netip"
	"slices"
	"strings"

	"weir"
)

// longestScanned is how many bytes of a value the strings of suffix and contains are looked for in.
const longestScanned = 1024

// within says whether a list of networks holds an address, as HAProxy looks: one of IPv4 also as one of IPv6.
func within(list []netip.Prefix, a netip.Addr) bool {
	holds := func(a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return holds(a) || a.Is4() && holds(netip.AddrFrom16(a.As16()))
}

// listsOf gives the access lists that hold an address, by name. Where one of IPv4 is in a network of IPv4, networks of
// IPv6 are not looked at.
func (w *walk) listsOf(a netip.Addr) []string {
	find := func(a netip.Addr) (in []string) {
		for _, l := range w.node.Lists {
			if slices.ContainsFunc(l.Networks, func(p netip.Prefix) bool { return p.Contains(a) }) {
				in = append(in, l.Name)
			}
		}
		return in
	}
	in := find(a)
	if len(in) == 0 && a.Is4() {
		in = find(netip.AddrFrom16(a.As16()))
	}
	return in
}

// listed says whether a value is among the strings of an access list. Blanks, tabs and backticks are the same there.
func (w *walk) listed(list, value string) bool {
	for i := range w.node.Lists {
		l := &w.node.Lists[i]
		if l.Name != list || l.Strings == nil {
			continue
		}
		value = strings.NewReplacer(" ", "`", "\t", "`").Replace(value)
		if l.Strings.Scanned() {
			value = value[:min(len(value), longestScanned)]
		}
		if l.Strings.IgnoreCase {
			value = lower(value)
		}
		holds := map[string]func(value, entry string) bool{
			weir.MatchExact:    func(value, entry string) bool { return value == entry },
			weir.MatchPrefix:   strings.HasPrefix,
			weir.MatchSuffix:   strings.HasSuffix,
			weir.MatchContains: strings.Contains,
		}[l.Strings.Match]
		return holds != nil && slices.ContainsFunc(l.Strings.Entries, func(e string) bool { return holds(value, strings.ReplaceAll(e, " ", "`")) })
	}
	return false
}

// lower makes small letters of those of ASCII alone.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
