package api

import (
	"cmp"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"weir"
)

// ListAnswer is what became of the entries of an AccessList or a Map, or would become of them.
type ListAnswer struct {
	// Entries counts those that it has afterwards, Added and Removed those that come and go: a key with another value is
	// one of each.
	Entries int `json:"entries"`
	Added   int `json:"added"`
	Removed int `json:"removed"`
	ApplyAnswer
}

// ListType is the media type of a list of entries, one a line.
const ListType = "text/plain"

// maxListBody bounds a list of entries, in bytes.
const maxListBody = 16 << 20

// listRoutes are those by which all networks, or strings, of an AccessList are replaced by those of a file, and the entries
// of a Map.
func listRoutes(one string, kind weir.Kind) []*route {
	var list []*route
	for _, of := range []struct{ kind, what, id, doc string }{
		{"AccessList", "networks", "putNetworks", "Replace all networks of an AccessList by those of a file, one a line."},
		{"AccessList", "strings", "putStrings", "Replace all strings of an AccessList by those of a file, one a line; how they are matched stays."},
		{"Map", "entries", "putEntries", "Replace all entries of a Map by those of a file, one a line: the key, blanks and the value."},
	} {
		if of.kind == kind.Name {
			list = append(list, &route{
				method: "PUT", pattern: one + "/" + of.what, id: of.id, summary: of.doc, kind: &kind, body: "lines", etags: true,
				query: []param{dryRunParam, reasonParam, planParam}, answer: reflect.TypeFor[ListAnswer](),
				handle: func(c *call) error { return c.putEntries(kind, of.what) },
			})
		}
	}
	return list
}

// entries are what was read of a list, of one of the kinds.
type entries struct {
	networks []netip.Prefix
	strings  []string
	pairs    []weir.MapEntry
}

// putEntries replaces the entries of a list by those in the body; everything else of it stays.
func (c *call) putEntries(kind weir.Kind, what string) error {
	if err := c.granted(weir.Owner); err != nil {
		return err
	}
	plan, err := c.flag("plan")
	if err != nil {
		return err
	}
	w, cond, err := c.conditions()
	if err != nil {
		return err
	}
	now, err := c.find(kind)
	if err != nil {
		return err
	}
	if err := takesEntries(now, what); err != nil {
		return err
	}
	read, err := c.listEntries(now.Spec, what)
	if err != nil {
		return err
	}
	req, err := c.request(cond)
	if err != nil {
		return err
	}
	answer := new(ListAnswer)
	req.Expand = func(base *weir.Set) ([]weir.Write, error) {
		o := base.Get(now.Ref())
		if o == nil {
			return nil, c.noSuch(now.Ref())
		}
		put := *o
		w.Put = &put
		put.Spec = read.into(o.Spec, answer)
		return []weir.Write{w}, nil
	}
	res, err := c.done(c.h.opts.Store.Apply(c.r.Context(), req))(req.DryRun)
	if err != nil {
		return err
	}
	answer.ApplyAnswer = *c.applied(res, nil, false)
	withoutSides(answer.Change.Objects)
	if plan {
		if err := c.addPlan(&answer.ApplyAnswer, res); err != nil {
			return err
		}
	}
	return c.answerLong(answer)
}

// takesEntries says why an object does not take entries.
func takesEntries(o *weir.Object, what string) error {
	if l, ok := o.Spec.(*weir.AccessList); ok && what == "strings" && l.Strings == nil {
		return invalid("%s has no strings: say with spec.strings.match how they are to be matched, and then send them", o.Ref())
	}
	if s := o.Spec.(weir.Sourced).From(); s != nil && s.Holds == what {
		return invalid("the %s of %s come from its source; take spec.source out to send them", what, o.Ref())
	}
	return nil
}

// listEntries reads the body.
func (c *call) listEntries(spec weir.Spec, what string) (entries, error) {
	media, err := c.mediaType(ListType)
	if err != nil {
		return entries{}, err
	}
	if media != ListType {
		return entries{}, wrongMedia(ListType)
	}
	var text []byte
	err = c.stream(maxListBody, manifestWithin, func(body io.Reader) (err error) {
		text, err = io.ReadAll(body)
		return err
	})
	if err != nil {
		return entries{}, err
	}
	done, err := c.turn(c.h.lists)
	if err != nil {
		return entries{}, err
	}
	defer done()
	var e entries
	var problems []weir.Problem
	switch m, _ := spec.(*weir.Map); {
	case m != nil:
		e.pairs, problems = weir.ReadMap("body", text, m.Match)
	case what == "strings":
		e.strings, problems = weir.ReadStrings("body", text)
	default:
		e.networks, problems = weir.ReadNetworks("body", text)
	}
	if len(problems) > 0 {
		return entries{}, &weir.Error{Kind: weir.Invalid, Message: "the list can't be read; nothing was changed", Problems: problems}
	}
	if len(e.strings)+len(e.networks)+len(e.pairs) == 0 {
		return entries{}, invalid("the list holds no entry; to empty an AccessList or a Map, apply one with none")
	}
	return e, nil
}

// into gives a list, or a Map, with other entries, and counts what comes and goes.
func (e entries) into(spec weir.Spec, answer *ListAnswer) weir.Spec {
	if m, ok := spec.(*weir.Map); ok {
		now := *m
		now.Entries = slices.Clone(e.pairs)
		answer.count(difference(m.Entries, now.Entries, comparePairs))
		answer.Entries = len(now.Entries)
		return &now
	}
	return e.intoList(spec.(*weir.AccessList), answer)
}

func comparePairs(a, b weir.MapEntry) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
}

func (e entries) intoList(l *weir.AccessList, answer *ListAnswer) *weir.AccessList {
	now := *l
	if e.networks != nil {
		now.Networks = e.networks
		answer.count(difference(l.Networks, e.networks, netip.Prefix.Compare))
		answer.Entries = len(e.networks)
		return &now
	}
	if l.Strings == nil { // since it was looked at
		return &now
	}
	s := *l.Strings
	s.Entries = slices.Clone(e.strings)
	s.Normalize()
	now.Networks, now.Strings = slices.Clone(l.Networks), &s
	answer.count(difference(l.Strings.Entries, s.Entries, strings.Compare))
	answer.Entries = len(s.Entries)
	return &now
}

func (a *ListAnswer) count(added, removed int) { a.Added, a.Removed = added, removed }

// difference counts what one of two lists has more than the other.
func difference[T any](was, is []T, compare func(a, b T) int) (added, removed int) {
	was, is = slices.Clone(was), slices.Clone(is)
	slices.SortFunc(was, compare)
	slices.SortFunc(is, compare)
	for i, j := 0, 0; i < len(was) || j < len(is); {
		switch {
		case j == len(is) || i < len(was) && compare(was[i], is[j]) < 0:
			removed++
			i++
		case i == len(was) || compare(was[i], is[j]) > 0:
			added++
			j++
		default:
			i++
			j++
		}
	}
	return added, removed
}
