package drift

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"weir/internal/haproxy"
)

// Find gives the places at which a HAProxy that was seen is not as it is due to be, in the order of the
// configuration. The text of haproxy.cfg is not looked at: HAProxy doesn't show it. Find(c, c) is empty.
func Find(due, seen haproxy.Config) []Item {
	f := &finder{}
	f.backends(due.Backends, seen.Backends)
	f.maps(due.Maps, seen.Maps)
	f.certificates(due.Certs, seen.Certs)
	f.lists(due.CrtLists, seen.CrtLists)
	return f.items
}

type finder struct{ items []Item }

func (f *finder) add(kind Kind, at, name string, item Item) {
	item.Place = Place{kind, at, name}
	f.items = append(f.items, item)
}

// both calls each with every element of two lists by key, those with the same key together and the others with nil.
func both[T any](a, b []T, key func(*T) string, each func(a, b *T)) {
	i := 0
	for i < len(a) && i < len(b) && key(&a[i]) == key(&b[i]) {
		each(&a[i], &b[i])
		i++
	}
	if i == len(a) && i == len(b) {
		return
	}
	rest := make(map[string]*T, len(b)-i)
	for j := i; j < len(b); j++ {
		rest[key(&b[j])] = &b[j]
	}
	for j := i; j < len(a); j++ {
		k := key(&a[j])
		each(&a[j], rest[k])
		delete(rest, k)
	}
	for j := i; j < len(b); j++ {
		if k := key(&b[j]); rest[k] == &b[j] {
			each(nil, &b[j])
		}
	}
}

// shared says whether two lists are one in memory.
func shared[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func (f *finder) backends(due, seen []haproxy.Backend) {
	both(due, seen, func(b *haproxy.Backend) string { return b.Name }, func(d, s *haproxy.Backend) {
		switch {
		case s == nil:
			f.add(Backend, d.Name, "", Item{Object: d.Owner, Pool: haproxy.BaseName(d.Name), Was: "there", Text: "deleted by hand"})
		case d == nil:
			f.add(Backend, s.Name, "", Item{Is: "there", Text: "backend " + s.Name + " added by hand"})
		default:
			if d.Unpublished != s.Unpublished {
				f.add(Published, d.Name, "", Item{
					Object: d.Owner, Pool: haproxy.BaseName(d.Name), Was: published(d), Is: published(s), Text: published(s) + " by hand",
				})
			}
			if !shared(d.Servers, s.Servers) {
				f.servers(d, s)
			}
		}
	})
}

func (f *finder) servers(due, seen *haproxy.Backend) {
	both(due.Servers, seen.Servers, func(s *haproxy.Server) string { return s.Name }, func(d, s *haproxy.Server) {
		item := Item{Pool: haproxy.BaseName(due.Name)}
		add := func(kind Kind, name, text string) {
			item.Was, item.Is, item.Text = "", "", text
			if d != nil {
				item.Was = valueOfServer(kind, d)
			}
			if s != nil {
				item.Is = valueOfServer(kind, s)
			}
			f.add(kind, due.Name, name, item)
		}
		if d == nil {
			item.Object, item.Server = due.Owner, haproxy.BaseName(s.Name)
			add(Server, s.Name, "added by hand at "+s.Address)
			return
		}
		item.Object, item.Server = d.Owner, haproxy.BaseName(d.Name)
		if s == nil {
			add(Server, d.Name, "deleted by hand")
			return
		}
		if haproxy.Place(d.ID) != haproxy.Place(s.ID) {
			add(Server, d.Name, "deleted by hand and added again")
		}
		if d.Weight != s.Weight {
			add(Weight, d.Name, fmt.Sprintf("weight %d → %d", d.Weight, s.Weight))
		}
		if was, is := stateOf(d), stateOf(s); was != is {
			add(State, d.Name, inState[is])
		}
		if valueOfServer(Address, d) != valueOfServer(Address, s) {
			add(Address, d.Name, "address "+d.Address+" → "+s.Address)
		}
		if d.MaxConnections != s.MaxConnections {
			add(Limit, d.Name, "bound of connections "+limit(d.MaxConnections)+" → "+limit(s.MaxConnections))
		}
	})
}

var inState = map[string]string{
	Ready: "made ready by hand", Drained: "drained by hand", Maintenance: "put into maintenance by hand",
}

func limit(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func (f *finder) maps(due, seen []haproxy.Map) {
	both(due, seen, func(m *haproxy.Map) string { return m.Path }, func(d, s *haproxy.Map) {
		switch {
		case d == nil || s == nil: // no hand makes or deletes a map
		case shared(d.Entries, s.Entries):
		case slices.EqualFunc(d.Entries, s.Entries, sameEntry):
		case d.Ordered || !unique(d.Entries) || !unique(s.Entries):
			f.add(Map, d.Path, "", Item{
				Object: sameOwner(d.Entries), Was: digestOf(d.Entries), Is: digestOf(s.Entries),
				Text: fmt.Sprintf("%s: %s by hand, %d entries → %d", d.Path, rearranged(d, s), len(d.Entries), len(s.Entries)),
			})
		default:
			f.entries(d, s)
		}
	})
}

func sameEntry(a, b haproxy.Entry) bool { return a.Key == b.Key && a.Value == b.Value }

func unique(list []haproxy.Entry) bool {
	seen := make(map[string]bool, len(list))
	for _, e := range list {
		if seen[e.Key] {
			return false
		}
		seen[e.Key] = true
	}
	return true
}

// sameOwner gives the object that all entries come from, "" when there is none.
func sameOwner(list []haproxy.Entry) string {
	owner := ""
	for i, e := range list {
		if i > 0 && e.Owner != owner {
			return ""
		}
		owner = e.Owner
	}
	return owner
}

func rearranged(d, s *haproxy.Map) string {
	a, b := map[string]int{}, map[string]int{}
	for _, e := range d.Entries {
		a[e.Key+" "+e.Value]++
	}
	for _, e := range s.Entries {
		b[e.Key+" "+e.Value]++
	}
	for k := range a {
		if a[k] != b[k] {
			return "changed"
		}
	}
	if len(d.Entries) == len(s.Entries) {
		return "put in another order"
	}
	return "changed"
}

func (f *finder) entries(due, seen *haproxy.Map) {
	both(due.Entries, seen.Entries, func(e *haproxy.Entry) string { return e.Key }, func(d, s *haproxy.Entry) {
		switch {
		case s == nil:
			f.add(Entry, due.Path, d.Key, Item{Object: d.Owner, Was: "=" + d.Value, Text: due.Path + ": entry " + shown(d.Key) + " deleted by hand"})
		case d == nil:
			f.add(Entry, due.Path, s.Key, Item{Is: "=" + s.Value, Text: due.Path + ": entry " + shown(s.Key) + " added by hand"})
		case d.Value != s.Value:
			f.add(Entry, due.Path, d.Key, Item{
				Object: d.Owner, Was: "=" + d.Value, Is: "=" + s.Value,
				Text: due.Path + ": entry " + shown(d.Key) + ": " + shown(d.Value) + " → " + shown(s.Value),
			})
		}
	})
}

// longest is how many bytes of a key or value are shown.
const longest = 80

// shown is for what may hold anything: a terminal, a log and JSON must bear it, and a person must see it.
func shown(s string) string {
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }) {
		return strconv.QuoteToGraphic(s)
	}
	return s
}

func (f *finder) certificates(due, seen []haproxy.Cert) {
	key := func(c *haproxy.Cert) string { p := placeOfCert(c); return string(p.Kind) + " " + p.At }
	both(due, seen, key, func(d, s *haproxy.Cert) {
		switch {
		case s == nil:
			p := placeOfCert(d)
			f.add(p.Kind, p.At, "", Item{Object: d.Owner, Was: "digest " + d.Digest, Text: "deleted by hand"})
		case d == nil:
			p := placeOfCert(s)
			f.add(p.Kind, p.At, "", Item{Is: "digest " + s.Digest, Text: s.Path + " added by hand"})
		case d.Digest != s.Digest:
			p := placeOfCert(d)
			f.add(p.Kind, p.At, "", Item{Object: d.Owner, Was: "digest " + d.Digest, Is: "digest " + s.Digest, Text: "swapped for another by hand"})
		}
	})
}

func (f *finder) lists(due, seen []haproxy.CrtList) {
	both(due, seen, func(l *haproxy.CrtList) string { return l.Path }, func(d, s *haproxy.CrtList) {
		if d == nil || s == nil || shared(d.Entries, s.Entries) {
			return
		}
		both(d.Entries, s.Entries, nameOfLine, func(de, se *haproxy.CrtEntry) {
			switch {
			case se == nil:
				f.add(ListLine, d.Path, nameOfLine(de), Item{Object: de.Owner, Was: "there", Text: "its line in " + d.Path + " deleted by hand"})
			case de == nil:
				f.add(ListLine, d.Path, nameOfLine(se), Item{Is: "there", Text: d.Path + ": line " + shown(nameOfLine(se)) + " added by hand"})
			}
		})
	})
}
