package explain

import (
	"maps"
	"slices"
	"strings"

	"weir"
)

// act carries a route out, whose action stands at a field of an object.
func (w *walk) act(r *weir.SiteRoute, object, field string) bool {
	a := r.Does()
	answer := Verdict{Site: w.site.Name}
	switch {
	case a.Deny != 0:
		return w.refuse(a.Deny)
	case a.Tarpit:
		w.step("route", object, field+".tarpit", "the client waits for ten seconds")
		return w.refuse(429)
	case a.Page != nil && w.page(a.Page.Name) == nil:
		return w.refuse(a.Page.Status)
	case a.Page != nil:
		answer.Outcome, answer.Status, answer.Page = Paged, a.Page.Status, a.Page.Name
	case a.Redirect != nil:
		answer.Outcome, answer.Status, answer.Location = Redirected, a.Redirect.Code, w.location(a.Redirect, r.Match.Path)
	default:
		if a.Rewrite != nil {
			was := w.path
			if w.path = w.newPath(a.Rewrite.Prefix, a.Rewrite.Path, r.Match.Path); w.path != was {
				w.step("path", object, field+".rewrite", "the server sees %s in place of %s", w.path, was)
			}
		}
		w.changeHeaders(&a, object, field)
		return w.to(a.Backend)
	}
	w.trace.Answer = answer
	return false
}

// to leads to a backend of the site.
func (w *walk) to(backend string) bool {
	a := &w.trace.Answer
	a.Site, a.Backend, a.Target = w.site.Name, backend, w.path
	if w.hasQuery {
		a.Target += "?" + w.query
	}
	return true
}

// newPath gives a path of which a prefix, or all, is replaced.
func (w *walk) newPath(prefix, whole string, m *weir.PathMatch) string {
	path := w.path
	switch {
	case whole != "":
		path = whole
	case prefix != "" && m != nil:
		cut := min(len(strings.TrimRight(m.Prefix, "/")), len(path))
		path = strings.TrimRight(prefix, "/") + path[cut:]
	}
	if path == "" {
		return "/"
	}
	return path
}

func (w *walk) location(to *weir.Redirect, m *weir.PathMatch) string {
	at := to.Host
	switch {
	case to.Scheme != "" && at == "":
		at = to.Scheme + "://" + w.host
	case to.Scheme != "":
		at = to.Scheme + "://" + at
	case at != "":
		at = "//" + at
	}
	at += w.newPath(to.Prefix, to.Path, m)
	if w.query != "" {
		at += "?" + w.query
	}
	return at
}

// changeHeaders does to the request's headers what a route says, and tells what is done to the answer's.
func (w *walk) changeHeaders(a *weir.RouteAction, object, field string) {
	if c := a.RequestHeaders; c != nil {
		h := w.header
		changed := map[string]bool{}
		for _, name := range c.Remove {
			h, changed[name] = h.without(name), true
		}
		for _, name := range slices.Sorted(maps.Keys(c.Set)) {
			h, changed[name] = append(h.without(name), Field{name, c.Set[name]}), true
		}
		for _, name := range slices.Sorted(maps.Keys(c.Add)) {
			h, changed[name] = append(h, Field{name, c.Add[name]}), true
		}
		w.header = h
		names := slices.Sorted(maps.Keys(changed))
		for _, name := range names {
			w.trace.Answer.Headers = append(w.trace.Answer.Headers, Header{name, append([]string{}, h.values(name)...)})
		}
		w.step("headers", object, field+".requestHeaders", "of the request changed: %s", strings.Join(names, ", "))
	}
	if c := a.ResponseHeaders; c != nil {
		var done []string
		for _, name := range c.Remove {
			done = append(done, "remove "+name)
		}
		for _, name := range slices.Sorted(maps.Keys(c.Set)) {
			done = append(done, "set "+name+": "+c.Set[name])
		}
		for _, name := range slices.Sorted(maps.Keys(c.Add)) {
			done = append(done, "add "+name+": "+c.Add[name])
		}
		w.trace.Answer.ResponseHeaders = done
		w.step("headers", object, field+".responseHeaders", "of the answer: %s", strings.Join(done, ", "))
	}
}
