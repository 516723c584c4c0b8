package plan

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// mostReasons bounds the list; who has more to say than that restarts everything anyway.
const mostReasons = 20

// reasons gives what only a reload can bring. It is empty exactly when the run-time socket is enough.
func (d *differ) reasons() []Reason {
	if len(d.have.Sections) == 0 && len(d.want.Sections) > 0 {
		return []Reason{{Text: "HAProxy has no configuration yet"}}
	}
	var list []Reason
	if h, w := d.have.Version, d.want.Version; h != w {
		list = append(list, Reason{Text: fmt.Sprintf("HAProxy %s is to run instead of %s: only a new process is", w, h)})
	}
	sections := d.sectionReasons()
	list = append(list, sections...)
	list = append(list, d.backendReasons()...)
	if len(sections) == 0 { // otherwise those are why there are new files
		list = append(list, d.fileReasons()...)
	}
	if n := len(list) - mostReasons; n > 0 {
		list = append(list[:mostReasons], Reason{Text: "and " + count(n, "more reason", "more reasons")})
	}
	return list
}

// backendReasons speaks of backends that the version can't make or take away, or that changed their text.
func (d *differ) backendReasons() []Reason {
	var list []Reason
	for _, p := range d.changed {
		if !sameText(p.have, p.want) {
			list = append(list, Reason{
				Owner: p.want.Owner, Section: "backend " + p.want.Name,
				Text: "pool " + haproxy.BaseName(p.want.Name) + " changes what only a reload can: " + textChange(p.have, p.want),
			})
		}
	}
	if !d.have.Version.Capabilities().DynamicBackends {
		return append(list, d.staticBackends()...)
	}
	var text, bare []*haproxy.Backend
	for _, b := range d.fresh {
		switch {
		case len(b.Text) > 0:
			text = append(text, b)
		case b.Profile == "":
			bare = append(bare, b)
		}
	}
	list = pools(list, text, "needs directives of its own, which HAProxy only reads from its file", "need directives of their own, which HAProxy only reads from its file")
	return pools(list, bare, "is new and has no profile to be made from at run time", "are new and have no profile to be made from at run time")
}

// staticBackends are the reasons of a version that reads backends from its file alone.
func (d *differ) staticBackends() []Reason {
	var added, changed, gone []*haproxy.Backend
	coming := map[string]bool{}
	for _, b := range d.fresh {
		base := haproxy.BaseName(b.Name)
		coming[base] = true
		if d.leaving[base] {
			changed = append(changed, b)
		} else {
			added = append(added, b)
		}
	}
	for _, b := range d.gone {
		if !coming[haproxy.BaseName(b.Name)] {
			gone = append(gone, b)
		}
	}
	can := "HAProxy " + d.have.Version.String() + " can't "
	var list []Reason
	for _, l := range []struct {
		what string
		of   []*haproxy.Backend
	}{{"add backends at run time", added}, {"change the profile or the check of a pool at run time", changed}, {"remove backends at run time", gone}} {
		if len(l.of) > 0 {
			list = append(list, Reason{Owner: oneOwner(l.of), Section: backendTitle(l.of), Text: can + l.what + ": " + poolNames(l.of)})
		}
	}
	return list
}

func pools(list []Reason, of []*haproxy.Backend, one, many string) []Reason {
	if len(of) == 0 {
		return list
	}
	verb := one
	if len(of) > 1 {
		verb = many
	}
	return append(list, Reason{Owner: oneOwner(of), Section: backendTitle(of), Text: poolNames(of) + " " + verb})
}

func poolNames(list []*haproxy.Backend) string {
	var bases []string
	for _, b := range list {
		bases = append(bases, haproxy.BaseName(b.Name))
	}
	bases = slices.Compact(bases)
	word := "pools "
	if len(bases) == 1 {
		word = "pool "
	}
	return word + some(bases, 3)
}

func oneOwner(list []*haproxy.Backend) string {
	return owners(list, func(b *haproxy.Backend) string { return b.Owner })
}

func backendTitle(list []*haproxy.Backend) string {
	return "backend " + list[0].Name + andMore(len(list)-1)
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

func textChange(h, w *haproxy.Backend) string {
	switch {
	case h.Profile != w.Profile:
		return "profile " + w.Profile + " instead of " + h.Profile
	case h.Mode != w.Mode:
		return "mode " + w.Mode + " instead of " + h.Mode
	default:
		var added, removed []string
		for _, l := range w.Text {
			if !slices.Contains(h.Text, l) {
				added = append(added, l)
			}
		}
		for _, l := range h.Text {
			if !slices.Contains(w.Text, l) {
				removed = append(removed, l)
			}
		}
		return lineChange(added, removed)
	}
}

// fileReasons speaks of maps and lists that HAProxy doesn't know yet: it learns of them when it starts.
func (d *differ) fileReasons() []Reason {
	var fresh, other, lists newFiles
	byPath := func(a, b *haproxy.Map) int { return strings.Compare(a.Path, b.Path) }
	merge(d.have.Maps, d.want.Maps, byPath, func(h, w *haproxy.Map) {
		switch {
		case w == nil:
		case h == nil:
			fresh.add(w.Path, owners(w.Entries, func(e haproxy.Entry) string { return e.Owner }))
		case h.Ordered != w.Ordered:
			other.add(w.Path, "")
		}
	})
	byList := func(a, b *haproxy.CrtList) int { return strings.Compare(a.Path, b.Path) }
	merge(d.have.CrtLists, d.want.CrtLists, byList, func(h, w *haproxy.CrtList) {
		if h == nil {
			lists.add(w.Path, owners(w.Entries, func(e haproxy.CrtEntry) string { return e.Owner }))
		}
	})
	list := fresh.reason(nil, "map %s is new: HAProxy learns of it when it starts", "maps %s are new: HAProxy learns of them when it starts")
	list = other.reason(list, "map %s is searched in another way", "maps %s are searched in another way")
	return lists.reason(list, "certificate list %s is new: HAProxy learns of it when it starts", "certificate lists %s are new: HAProxy learns of them when it starts")
}

type newFiles struct {
	paths []string
	owner string
}

func (f *newFiles) add(path, owner string) {
	if len(f.paths) > 0 && owner != f.owner {
		owner = ""
	}
	f.paths, f.owner = append(f.paths, path), owner
}

func (f *newFiles) reason(list []Reason, one, many string) []Reason {
	switch len(f.paths) {
	case 0:
		return list
	case 1:
		return append(list, Reason{Owner: f.owner, Text: fmt.Sprintf(one, f.paths[0])})
	default:
		return append(list, Reason{Owner: f.owner, Text: fmt.Sprintf(many, some(f.paths, 3))})
	}
}

// owners gives the owner of all of a list, "" when there are several.
func owners[T any](list []T, owner func(T) string) string {
	if len(list) == 0 {
		return ""
	}
	o := owner(list[0])
	if slices.ContainsFunc(list, func(v T) bool { return owner(v) != o }) {
		return ""
	}
	return o
}
