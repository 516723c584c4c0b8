package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
)

// mostUsers is how many of those who use an object are told of with what they do with it.
const mostUsers = 20

// usersToldOf are the kinds of which it is told where they are named, instead of by whom alone.
var usersToldOf = []string{"Schedule", "Logic", "AccessList"}

// users lists who names the object and where, as far as the caller may see them, with what says more of each.
func (d *description) users(title string, more func(api.Referrer) string) {
	target := d.object.Ref()
	kind, _ := weir.KindByName(target.Kind)
	found := new(api.ReferrersAnswer)
	if d.client.get(d.ctx, kind.Plural+"/"+url.PathEscape(target.Name)+"/referrers", nil, found) != nil {
		return
	}
	d.section(title)
	if len(found.Referrers)+found.Hidden == 0 {
		d.line("  nobody")
		return
	}
	t := &table{columns: []column{{title: "OBJECT"}, {title: "FIELD"}}}
	if more != nil {
		t.columns = append(t.columns, column{title: "HOW", folds: true})
	}
	for _, r := range found.Referrers[:min(len(found.Referrers), mostUsers)] {
		row := words(r.Kind+"/"+r.Name, strings.TrimPrefix(r.Path, "spec."))
		if more != nil {
			row = append(row, cell{text: more(r)})
		}
		t.add(row)
	}
	if len(t.rows) > 0 {
		d.indented(t)
	}
	if n := len(found.Referrers) + found.More - len(t.rows); n > 0 {
		d.line("  " + d.faint(fmt.Sprintf("… and %s more", thousands(n))))
	}
	if found.Hidden > 0 {
		d.line("  " + d.faint(count(found.Hidden, "other that you may not see", "others that you may not see")))
	}
}

// schedule says how it is with a window now and what comes next.
func (d *description) schedule(s *weir.Schedule) {
	d.section("Now")
	d.line(d.wrapped("  ", windowText(s, d.client.now())))
	d.users("What goes by it", nil)
}

func windowText(s *weir.Schedule, now time.Time) string {
	begins := clock(s.From) + " (in " + span(s.From.Sub(now)) + ")"
	ends := "and never ends"
	if !s.Until.IsZero() {
		ends = "and ends at " + clock(s.Until) + " (in " + span(s.Until.Sub(now)) + ")"
	}
	switch {
	case s.Holds(now) && s.From.IsZero():
		return "it holds, " + ends
	case s.Holds(now):
		return "it holds since " + clock(s.From) + " (" + ago(s.From, now) + "), " + ends
	case now.Before(s.From):
		return "it does not hold yet: it begins at " + begins + " " + ends
	}
	return "it is over since " + clock(s.Until) + " (" + ago(s.Until, now) + ") and holds never again: what goes by it can be taken out"
}

// accessList counts the entries, and says where they come from.
func (d *description) accessList(a *weir.AccessList) {
	d.section("Entries")
	if n := len(a.Networks); n > 0 || a.Strings == nil {
		text := count(n, "network", "networks")
		if n > 0 {
			text += ": " + some(texts(a.Networks[:min(n, 4)], n), 4)
		}
		d.line(d.wrapped("  ", text))
	}
	if s := a.Strings; s != nil {
		how := map[string]string{weir.MatchExact: "the whole value", weir.MatchPrefix: "the beginning of a value", weir.MatchSuffix: "the end of a value", weir.MatchContains: "anywhere in a value"}[s.Match]
		if s.IgnoreCase {
			how += ", whatever the case"
		}
		d.line(d.wrapped("  ", count(len(s.Entries), "string", "strings")+", looked for as "+how))
	}
	if s := a.Source; s != nil {
		text := s.Holds + " are those of " + clean(s.URL) + ", fetched every " + s.Interval.String()
		if c := d.condition(weir.Watched); c != nil {
			text += "; last: " + oneLine(c.Message)
			if !c.Since.IsZero() && c.Status == "True" {
				text += " (" + ago(c.Since, d.client.now()) + ")"
			}
		}
		d.line(d.wrapped("  ", text))
	}
	d.users("Who uses it", nil)
}

// texts writes the first entries of a list that has n, with how many more there are.
func texts[T fmt.Stringer](list []T, n int) []string {
	var out []string
	for _, one := range list {
		out = append(out, one.String())
	}
	if n > len(out) {
		out = append(out[:len(out)-1], thousands(n-len(out)+1)+" more")
	}
	return out
}

// condition finds one of the object's, nil when it has none of the type.
func (d *description) condition(kind string) *weir.Condition {
	if d.object.Status == nil {
		return nil
	}
	i := slices.IndexFunc(d.object.Status.Conditions, func(c weir.Condition) bool { return c.Type == kind })
	if i < 0 {
		return nil
	}
	return &d.object.Status.Conditions[i]
}

// logic shows what can be given to a Logic, who gives what, and which form of it serves where it is refused.
func (d *description) logic(l *weir.Logic) {
	if c := d.condition(weir.Quarantined); c != nil && c.Status == "True" {
		d.section("Where it is refused")
		text := "its last good form serves there until HAProxy takes this one"
		if c.Reason == "RefusedAtFirst" {
			text = "there was no form before: nothing of it serves there"
		}
		d.line(d.wrapped("  ", d.warning(text)))
	}
	if len(l.Parameters) > 0 {
		d.section("Parameters")
		t := &table{columns: []column{{title: "NAME"}, {title: "TYPE"}, {title: "WHEN LEFT OUT"}, {title: "WHAT FOR", folds: true}}}
		for _, name := range sortedNames(l.Parameters) {
			p := l.Parameters[name]
			absent := "must be given"
			if p.Default != nil {
				absent = valueText(*p.Default)
			}
			t.add(words(name, p.Type, absent, p.Description))
		}
		d.indented(t)
	}
	var how func(api.Referrer) string
	if len(l.Parameters) > 0 {
		how = d.gives
	}
	d.users("Who uses it", how)
}

// gives says which values a Site or Pool gives to the Logic.
func (d *description) gives(r api.Referrer) string {
	kind, ok := weir.KindByName(r.Kind)
	if !ok {
		return ""
	}
	o, err := d.client.one(d.ctx, kind, r.Name)
	if err != nil {
		return ""
	}
	var uses []weir.LogicUse
	switch spec := o.Spec.(type) {
	case *weir.Site:
		uses = spec.Logic
	case *weir.Pool:
		uses = spec.Logic
	}
	var all []string
	for _, use := range uses {
		if use.Name != d.object.Metadata.Name {
			continue
		}
		var parts []string
		for _, name := range sortedNames(use.With) {
			parts = append(parts, name+" = "+valueText(use.With[name]))
		}
		if len(parts) == 0 {
			parts = []string{"with what is set when left out"}
		}
		all = append(all, strings.Join(parts, ", "))
	}
	return strings.Join(all, "; ")
}

func valueText(v weir.LogicValue) string {
	switch {
	case v.AccessList != "":
		return "AccessList/" + v.AccessList
	case v.Map != "":
		return "Map/" + v.Map
	case v.Text == "":
		return `""`
	}
	return v.Text
}
