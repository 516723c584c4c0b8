package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// longest are how much of a path and of another value conditions are held against, in bytes.
const (
	longestPath  = 1025
	longestValue = weir.MaxMatchValue + 1
)

// route finds what the site does with the request.
func (w *walk) route() bool {
	if w.call != nil {
		return w.called()
	}
	routes := w.site.Routes
	for _, placed := range weir.OrderRoutes(routes) {
		r := &routes[placed.Index]
		if r.Match.Map != "" {
			continue // all other routes come before
		}
		object, field := w.routeName(placed.Index)
		missed := w.missed(r)
		if missed == "" {
			w.step("route", object, field, "%s: %s", placed.Why, does(r))
			return w.act(r, object, strings.TrimPrefix(field+".action", "."))
		}
		w.trace.Passed = append(w.trace.Passed, Passed{object, field, placed.Why, missed})
	}
	if backend, ok := w.mapped(); ok {
		return w.to(backend)
	}
	w.step("route", w.object(), "backends.default", "no route takes it")
	return w.to("default")
}

func (w *walk) routeName(i int) (object, field string) {
	if w.view.Route != nil {
		if object, field = w.view.Route(w.site.Name, &w.site.Routes[i].Match); object != "" {
			return object, field
		}
	}
	return w.object(), fmt.Sprintf("routes[%d]", i)
}

func does(r *weir.SiteRoute) string {
	a := r.Does()
	if a.Backend != "" {
		return "to backend " + a.Backend
	}
	return a.Word()
}

// missed says which condition of a route the request does not meet, "" for none.
func (w *walk) missed(r *weir.SiteRoute) string {
	for _, t := range r.Match.Terms() {
		if why := w.missedTerm(t, r.Match.Simple()); why != "" {
			return why
		}
	}
	return ""
}

func (w *walk) missedTerm(t weir.Term, alone bool) string {
	is := w.fieldOf(t)
	cut := longestValue
	if t.Kind == "path" || t.Kind == "host" || t.Kind == "method" {
		cut = longestPath
	}
	short := is
	if len(short) > cut && !alone {
		short = short[:cut]
	}
	switch {
	case t.Kind == "schedule":
		if !w.holds(t.Exact) {
			return fmt.Sprintf("Schedule/%s does not hold at %s", t.Exact, w.q.At.UTC().Format(time.RFC3339))
		}
		return ""
	case t.Kind == "list":
		if !slices.Contains(w.lists, t.Exact) {
			return fmt.Sprintf("%s is not in AccessList/%s", w.q.From, t.Exact)
		}
		return ""
	case t.List != "":
		if w.listed(t.List, is) {
			return ""
		}
		if is != "" {
			return fmt.Sprintf("%s, %s, is not in AccessList/%s", t.Field(), clip(is), t.List)
		}
	case t.Regex != "":
		if w.matches(t.Regex, is, "the regex of "+t.Field()) {
			return ""
		}
	case t.Present && is != "", t.Exact != "" && short == t.Exact, t.Prefix != "" && t.Kind == "path" && strings.HasPrefix(short+"/", t.Prefix),
		t.Prefix != "" && t.Kind != "path" && strings.HasPrefix(short, t.Prefix):
		return ""
	}
	if is == "" {
		return t.Field() + " is not there"
	}
	return fmt.Sprintf("%s is %s", t.Field(), clip(is))
}

// holds says that a Schedule holds when the request comes.
func (w *walk) holds(name string) bool {
	return slices.ContainsFunc(w.node.Schedules, func(s ir.Schedule) bool {
		return s.Name == name && (&weir.Schedule{From: s.From, Until: s.Until}).Holds(w.q.At)
	})
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

func (w *walk) fieldOf(t weir.Term) string {
	switch t.Kind {
	case "host":
		return w.host
	case "method":
		return w.q.Method
	case "path":
		return w.path
	case "header":
		return w.header.last(t.Name)
	case "query":
		return parameter(w.query, t.Name)
	case "cookie":
		v, _ := w.header.cookie(t.Name)
		return v
	}
	return ""
}

// matches holds a value against a regex, byte by byte. Of one that only PCRE understands nobody knows here: it is told,
// and taken not to match.
func (w *walk) matches(regex, value, what string) bool {
	if err := weir.CheckPortableRegex(regex); err != nil {
		w.unsure("%s, %s, is read by HAProxy alone (%s); it is taken not to match", what, regex, err)
		return false
	}
	r, err := regexp.Compile("^(?:" + regex + ")$")
	if err != nil {
		w.unsure("%s, %s, is read by HAProxy alone; it is taken not to match", what, regex)
		return false
	}
	runes := make([]rune, len(value))
	for i := range len(value) {
		runes[i] = rune(value[i])
	}
	return r.MatchString(string(runes))
}

// mapped looks the path up in the site's Maps: those of exact keys first, then the longest prefix, then regexes.
func (w *walk) mapped() (backend string, ok bool) {
	type hit struct {
		route int
		entry weir.MapEntry
		of    *ir.Map
	}
	var best *hit
	for _, kind := range []string{"exact", "prefix", "regex"} {
		for i := range w.site.Routes {
			m := w.mapOf(&w.site.Routes[i])
			if m == nil || m.Match != kind {
				continue
			}
			for _, e := range m.Entries {
				if w.backend(e.Value) == nil {
					continue // compiling says so
				}
				fits := false
				switch kind {
				case "exact":
					fits = best == nil && e.Key == w.path
				case "prefix":
					key := strings.TrimRight(e.Key, "/") + "/"
					fits = strings.HasPrefix(w.path+"/", key) && (best == nil || len(key) > len(strings.TrimRight(best.entry.Key, "/"))+1)
				case "regex":
					fits = best == nil && w.matches(e.Key, w.path, "an entry of Map/"+m.Name)
				}
				if fits {
					best = &hit{i, e, m}
				}
			}
		}
		if best != nil {
			_, field := w.routeName(best.route)
			w.step("route", w.object(), field, "looks the path up in Map/%s", best.of.Name)
			w.step("route", "Map/"+best.of.Name, "entries", "%s: to backend %s", clip(best.entry.Key), best.entry.Value)
			return best.entry.Value, true
		}
	}
	return "", false
}

func (w *walk) mapOf(r *weir.SiteRoute) *ir.Map {
	for i := range w.node.Maps {
		if r.Match.Map != "" && w.node.Maps[i].Name == r.Match.Map {
			return &w.node.Maps[i]
		}
	}
	return nil
}

func (w *walk) backend(name string) *ir.Backend {
	for i := range w.site.Backends {
		if w.site.Backends[i].Name == name {
			return &w.site.Backends[i]
		}
	}
	return nil
}
