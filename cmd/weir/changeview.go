package main

import (
	"fmt"
	"strings"
)

// Bounds of what is shown of a change before it is folded.
const (
	mostObjects = 30
	mostFields  = 8
)

// tally counts what a change does.
type tally struct{ added, changed, deleted int }

func tallyOf(objects []objectChange) tally {
	var t tally
	for _, o := range objects {
		switch {
		case o.Before == nil:
			t.added++
		case o.After == nil:
			t.deleted++
		default:
			t.changed++
		}
	}
	return t
}

// String gives "2 added, 1 changed".
func (t tally) String() string { return t.words("added", "changed", "deleted") }

func (t tally) words(added, changed, deleted string) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{t.added, added}, {t.changed, changed}, {t.deleted, deleted}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return strings.Join(parts, ", ")
}

// printChange shows what differs, object by object: + what is new, ~ what changes and how, - what goes.
func printChange(s *screen, objects []objectChange) {
	if len(objects) > mostObjects {
		printFolded(s, objects)
		return
	}
	for i := range objects {
		printObjectChange(s, &objects[i])
	}
}

func printObjectChange(s *screen, o *objectChange) {
	switch {
	case o.Before == nil:
		s.printf("  %s%s\n", s.good("+ "+clean(o.String())), roleOf(s, o.After))
	case o.After == nil:
		s.printf("  %s%s\n", s.bad("- "+clean(o.String())), roleOf(s, o.Before))
	default:
		s.printf("  %s%s\n", s.warning("~ "+clean(o.String())), roleOf(s, o.After))
		printFields(s, fieldChanges(o.Before, o.After))
	}
}

func roleOf(s *screen, o *object) string {
	if o == nil || o.Metadata.Role == "" {
		return ""
	}
	return s.faint("  role " + clean(o.Metadata.Role))
}

func printFields(s *screen, fields []fieldChange) {
	for i, f := range fields {
		if i == mostFields && len(fields) > mostFields+1 {
			s.printf("      %s\n", s.faint(fmt.Sprintf("… and %d more fields; -o yaml shows all", len(fields)-i)))
			return
		}
		s.line(fieldLine(s, f))
	}
}

func fieldLine(s *screen, f fieldChange) string {
	before, after := oneLine(text(f.before)), oneLine(text(f.after))
	if room := s.width - len(f.path) - 12; s.width > 0 && room > 20 {
		if f.before != nil && f.after != nil {
			room /= 2
		}
		before, after = cut(before, room), cut(after, room)
	}
	switch {
	case f.before == nil:
		return fmt.Sprintf("      %s: %s", clean(f.path), s.good("+ "+after))
	case f.after == nil:
		return fmt.Sprintf("      %s: %s", clean(f.path), s.bad("- "+before))
	}
	return fmt.Sprintf("      %s: %s %s %s", clean(f.path), before, s.faint("→"), s.warning(after))
}

// printFolded counts by kind and by what happens, and names a few.
func printFolded(s *screen, objects []objectChange) {
	type group struct {
		sign, kind string
		names      []string
	}
	var order []*group
	groups := map[[2]string]*group{}
	for _, o := range objects {
		sign := signOf(o)
		g := groups[[2]string{sign, o.Kind}]
		if g == nil {
			g = &group{sign: sign, kind: o.Kind}
			groups[[2]string{sign, o.Kind}] = g
			order = append(order, g)
		}
		g.names = append(g.names, o.Name)
	}
	colors := map[string]tone{"+": good, "~": warning, "-": bad}
	for _, g := range order {
		names := g.names[0]
		if n := len(g.names); n > 1 {
			names += " … " + g.names[n-1]
		}
		s.printf("  %s  %s\n", s.paint(colors[g.sign], fmt.Sprintf("%s %s %s", g.sign, thousands(len(g.names)), g.kind)), s.faint(clean(names)))
	}
}

func signOf(o objectChange) string {
	switch {
	case o.Before == nil:
		return "+"
	case o.After == nil:
		return "-"
	}
	return "~"
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
