package api

import "weir"

// ReferrersAnswer is who names an object.
type ReferrersAnswer struct {
	Revision int64 `json:"revision"`
	// Referrers are by kind and name, each once; Counts says how many there are of each kind, More how many of them there
	// is no room for.
	Referrers []Referrer     `json:"referrers"`
	Counts    map[string]int `json:"counts"`
	More      int            `json:"more,omitempty"`
	// Hidden counts those that the caller may not see; they are counted nowhere else.
	Hidden int `json:"hidden,omitempty"`
}

// Referrer is an object that names another.
type Referrer struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Role string `json:"role,omitempty"`
	// Path is the first field of it that does.
	Path string `json:"path"`
}

var referrersParams = []param{{name: "limit", kind: "integer", doc: "The most to answer, 1000 when left out."}}

// referrers tells who names an object.
func (c *call) referrers(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	limit, err := c.number("limit", 1000, 0, 100_000)
	if err != nil {
		return err
	}
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	answer := ReferrersAnswer{Revision: view.Revision, Referrers: []Referrer{}, Counts: map[string]int{}}
	for ref := range view.Referrers(o.Ref()) {
		from := view.Get(ref)
		switch {
		case from == nil:
			continue
		case c.may(from) != nil:
			answer.Hidden++
			continue
		}
		answer.Counts[ref.Kind]++
		if int64(len(answer.Referrers)) >= limit {
			answer.More++
			continue
		}
		answer.Referrers = append(answer.Referrers, Referrer{Kind: ref.Kind, Name: ref.Name, Role: from.Metadata.Role, Path: pathTo(from, o.Ref())})
	}
	return c.answerTagged(answer)
}

// pathTo gives the first field of an object that names another, as paths of problems are.
func pathTo(from *weir.Object, to weir.Ref) string {
	for _, r := range from.References() {
		if r.Ref == to {
			return r.Path
		}
	}
	return ""
}
