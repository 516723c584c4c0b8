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
	var all []cause
	if h, w := d.have.Version, d.want.Version; h != w {
		all = append(all, cause{what: fmt.Sprintf("HAProxy %s is to run instead of %s: only a new process is", w, h)})
	}
	sections := d.sectionCauses()
	all = append(all, sections...)
	all = append(all, d.backendCauses()...)
	if len(sections) == 0 { // otherwise those are why there are new files
		all = append(all, d.fileCauses()...)
	}
	all = append(all, d.protocolCauses()...)
	list := reasonsOf(all)
	if n := len(list) - mostReasons; n > 0 {
		list = append(list[:mostReasons], Reason{Text: "and " + count(n, "more reason", "more reasons")})
	}
	return list
}

// backendCauses speaks of backends that the version can't make or take away, or that changed their text.
func (d *differ) backendCauses() []cause {
	var list []cause
	for _, p := range d.changed {
		if !sameText(p.have, p.want) {
			list = append(list, cause{
				owner: p.want.Owner, section: "backend " + p.want.Name,
				what: "pool " + haproxy.BaseName(p.want.Name) + " becomes another kind, " + textChange(p.have, p.want), why: whyKinds,
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
	list = pools(list, text, "has rules of its own", "have rules of their own", whyRules)
	return pools(list, bare, "is of no kind that HAProxy knows", "are of no kind that HAProxy knows", whyKinds)
}

// staticBackends are the causes of a version that reads backends from its file alone.
func (d *differ) staticBackends() []cause {
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
	why := "HAProxy " + d.have.Version.String() + " takes pools only when it starts, 3.4 and newer at any time"
	list := pools(nil, added, "is new", "are new", why)
	list = pools(list, changed, "balances or is checked in another way", "balance or are checked in another way", why)
	return pools(list, gone, "goes", "go", why)
}

func pools(list []cause, of []*haproxy.Backend, one, many, why string) []cause {
	if len(of) == 0 {
		return list
	}
	verb := one
	if len(of) > 1 {
		verb = many
	}
	return append(list, cause{owner: oneOwner(of), section: backendTitle(of), what: poolNames(of) + " " + verb, why: why})
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
		return w.Profile + " instead of " + h.Profile
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

// fileCauses speaks of maps and lists that HAProxy doesn't know yet.
func (d *differ) fileCauses() []cause {
	var list []cause
	byPath := func(a, b *haproxy.Map) int { return strings.Compare(a.Path, b.Path) }
	merge(d.have.Maps, d.want.Maps, byPath, func(h, w *haproxy.Map) {
		switch {
		case w == nil:
		case h == nil:
			owner := owners(w.Entries, func(e haproxy.Entry) string { return e.Owner })
			list = append(list, cause{owner: owner, what: "the map " + w.Path + " is new", why: whyFiles})
		case h.Ordered != w.Ordered:
			list = append(list, cause{what: "the map " + w.Path + " is searched in another way", why: whyFiles})
		}
	})
	byList := func(a, b *haproxy.CrtList) int { return strings.Compare(a.Path, b.Path) }
	merge(d.have.CrtLists, d.want.CrtLists, byList, func(h, w *haproxy.CrtList) {
		if h == nil {
			owner := owners(w.Entries, func(e haproxy.CrtEntry) string { return e.Owner })
			list = append(list, cause{owner: owner, what: "the list of certificates " + w.Path + " is new", why: whyFiles})
		}
	})
	return list
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
