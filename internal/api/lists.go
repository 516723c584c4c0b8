package api

import (
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"weir"
)

// ListAnswer is what became of the entries of an AccessList, or would become of them.
type ListAnswer struct {
	// Entries counts those that the list has afterwards, Added and Removed those that come and go.
	Entries int `json:"entries"`
	Added   int `json:"added"`
	Removed int `json:"removed"`
	ApplyAnswer
}

// ListType is the media type of a list of entries, one a line.
const ListType = "text/plain"

// maxListBody bounds a list of entries, in bytes.
const maxListBody = 16 << 20

// listRoutes are those by which all networks, or strings, of an AccessList are replaced by those of a file.
func listRoutes(one string, kind weir.Kind) []*route {
	var list []*route
	for _, of := range []struct{ what, id, doc string }{
		{"networks", "putNetworks", "Replace all networks of an AccessList by those of a file, one a line."},
		{"strings", "putStrings", "Replace all strings of an AccessList by those of a file, one a line; how they are matched stays."},
	} {
		list = append(list, &route{
			method: "PUT", pattern: one + "/" + of.what, id: of.id, summary: of.doc, kind: &kind, body: "lines", etags: true,
			query: []param{dryRunParam, reasonParam, planParam}, answer: reflect.TypeFor[ListAnswer](),
			handle: func(c *call) error { return c.putEntries(kind, of.what) },
		})
	}
	return list
}

// entries are what was read of a list, of one of the two kinds.
type entries struct {
	networks []netip.Prefix
	strings  []string
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
	if what == "strings" && now.Spec.(*weir.AccessList).Strings == nil {
		return invalid("%s has no strings: say with spec.strings.match how they are to be matched, and then send them", now.Ref())
	}
	if s := now.Spec.(*weir.AccessList).Source; s != nil && s.Holds == what {
		return invalid("the %s of %s come from its source; take spec.source out to send them", what, now.Ref())
	}
	read, err := c.listEntries(what)
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
		put.Spec = read.into(o.Spec.(*weir.AccessList), answer)
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

// listEntries reads the body.
func (c *call) listEntries(what string) (entries, error) {
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
	if what == "strings" {
		e.strings, problems = weir.ReadStrings("body", text)
	} else {
		e.networks, problems = weir.ReadNetworks("body", text)
	}
	if len(problems) > 0 {
		return entries{}, &weir.Error{Kind: weir.Invalid, Message: "the list can't be read; nothing was changed", Problems: problems}
	}
	if len(e.strings)+len(e.networks) == 0 {
		return entries{}, invalid("the list holds no entry; to empty an AccessList, apply one with none")
	}
	return e, nil
}

// into gives a list with other entries, and counts what comes and goes.
func (e entries) into(l *weir.AccessList, answer *ListAnswer) *weir.AccessList {
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
	was = slices.Clone(was)
	slices.SortFunc(was, compare)
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
