package main

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/api"
)

// routes lists what becomes of a site's requests, in the order in which they are held against it: its own routes and those
// that Routes add, of other roles as far as the caller may see them.
func (d *description) routes(site *weir.Site) {
	list, owners, roles := d.allRoutes(d.object)
	if len(list) == 0 && len(site.Delegates) == 0 {
		return
	}
	d.section("Routes: the first that matches counts; all else goes to the backend default")
	t := &table{columns: []column{{title: "#", right: true}, {title: "FROM"}, {title: "AHEAD BY"}, {title: "MATCHES → DOES", folds: true}}}
	for i, placed := range weir.OrderRoutes(list) {
		r, from := &list[placed.Index], owners[placed.Index]
		name := from.String()
		switch role := roles[from]; {
		case from == d.object.Ref():
			name = fmt.Sprintf("routes[%d]", placed.Index)
		case role != d.object.Metadata.Role:
			name += " (role " + role + ")"
		}
		t.add(words(itoa(int64(i+1)), name, placed.Ahead, matches(&r.Match)+" → "+outcome(r)))
	}
	if len(t.rows) > 0 {
		d.indented(t)
	}
	for i, by := range site.Delegates {
		seen := false
		for _, role := range roles {
			seen = seen || role == by.Role
		}
		if !seen && !slices.ContainsFunc(site.Delegates[:i], func(o weir.Delegation) bool { return o.Role == by.Role }) {
			d.line(d.wrapped("  ", d.faint("none of role "+clean(by.Role)+", as far as you may see")))
		}
	}
}

// allRoutes gives the routes of a site as weir.AllRoutes does, with the roles of their owners.
func (d *description) allRoutes(site *object) (list []weir.SiteRoute, owners []weir.Ref, roles map[weir.Ref]string) {
	set := weir.NewSet(&site.Object)
	roles = map[weir.Ref]string{site.Ref(): site.Metadata.Role}
	kind, _ := weir.KindByName("Route")
	if all, err := d.client.all(d.ctx, kind, nil); err == nil {
		for _, o := range all.Items {
			if o.Spec.(*weir.Route).Site == site.Metadata.Name {
				set.Put(&o.Object)
				roles[o.Ref()] = o.Metadata.Role
			}
		}
	}
	list, owners = weir.AllRoutes(set, site.Metadata.Name)
	return list, owners, roles
}

// route says at which place of its site a Route stands, between which others, and how many requests its backend has. Two
// that match the same are refused where they are written.
func (d *description) route(r *weir.Route) {
	kind, _ := weir.KindByName("Site")
	site, err := d.client.one(d.ctx, kind, r.Site)
	if err != nil {
		return // who may not see the site sees the conditions
	}
	list, owners, _ := d.allRoutes(site)
	placed := weir.OrderRoutes(list)
	at := slices.IndexFunc(placed, func(p weir.PlacedRoute) bool { return owners[p.Index] == d.object.Ref() })
	if at < 0 {
		return
	}
	called := func(p weir.PlacedRoute) string {
		if owners[p.Index] == site.Ref() {
			return fmt.Sprintf("routes[%d] of the site", p.Index)
		}
		return owners[p.Index].String()
	}
	d.section(fmt.Sprintf("At Site/%s: %d of the %s that you may see", clean(r.Site), at+1, count(len(placed), "route", "routes")))
	line := func(text string) { d.line(d.wrapped("  ", text)) }
	own := list[placed[at].Index]
	line(matches(&own.Match) + " → " + outcome(&own))
	if at > 0 {
		before := placed[at-1]
		line("behind " + called(before) + ", by " + before.Ahead + ": " + matches(&list[before.Index].Match))
	}
	if at < len(placed)-1 {
		after := placed[at+1]
		line("ahead of " + called(after) + ", by " + placed[at].Ahead + ": " + matches(&list[after.Index].Match))
	}
	d.backendRequests(r, site)
}

// backendRequests tells how many requests the pools of a Route's backend have had at its site, by whatever route.
func (d *description) backendRequests(r *weir.Route, site *object) {
	backend, ok := site.Spec.(*weir.Site).Backends[r.Action.Backend]
	counts := new(api.SiteCounts)
	if !ok || d.client.get(d.ctx, "sites/"+r.Site+"/counts", nil, counts) != nil || counts.Requests == 0 {
		return
	}
	had := map[string]uint64{}
	for _, pool := range backend.Pools() {
		had[pool] = counts.Pools[pool]
	}
	text := d.shares(had, counts.Requests)
	if text == "" {
		text = "none"
	}
	d.line(d.wrapped("  ", fmt.Sprintf("requests of its backend %s, by whatever route, since the agents began: %s of %s; weir log %s shows which", clean(r.Action.Backend), text, large(counts.Requests), clean(r.Site))))
}

// outcome says what a route does, with what it makes of the request.
func outcome(r *weir.SiteRoute) string {
	if r.Match.Map != "" {
		return "the backend that it names"
	}
	a := r.Does()
	text := a.Word()
	if a.Backend != "" {
		text = "backend " + text
	}
	if a.Redirect != nil {
		text += " to " + target(a.Redirect)
	}
	if w := a.Rewrite; w != nil {
		text += " as " + w.Path + below(w.Prefix)
	}
	if a.RequestHeaders != nil || a.ResponseHeaders != nil {
		text += ", changes headers"
	}
	return text
}

// target is where a redirect leads, with "…" for what stays as it is.
func target(r *weir.Redirect) string {
	path := r.Path + below(r.Prefix)
	switch {
	case r.Scheme == "" && r.Host == "":
		return path
	case path == "":
		path = "/…"
	}
	scheme, host := r.Scheme, r.Host
	if scheme == "" {
		scheme = "…"
	}
	if host == "" {
		host = "…"
	}
	return scheme + "://" + host + path
}

// below writes a prefix with what stays behind it; "" stays empty.
func below(prefix string) string {
	if prefix == "" {
		return ""
	}
	return strings.TrimRight(prefix, "/") + "/…"
}

// matches says what a request must be like, in the order of what weighs most.
func matches(m *weir.RouteMatch) string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+value)
		}
	}
	add("access list ", m.AccessList)
	add("host ", m.Host)
	if p := m.Path; p != nil {
		add("exact path ", p.Exact)
		add("prefix ", p.Prefix)
		add("regex ", p.Regex)
	}
	add("Map ", m.Map)
	add("method ", m.Method)
	values := func(of string, list []weir.ValueMatch) {
		for _, v := range list {
			is := " is " + v.Exact
			switch {
			case v.Prefix != "":
				is = " begins with " + v.Prefix
			case v.Regex != "":
				is = " matches " + v.Regex
			case v.Present:
				is = " present"
			case v.AccessList != "":
				is = " in list " + v.AccessList
			}
			add(of+" ", v.Name+is)
		}
	}
	values("header", m.Headers)
	values("parameter", m.Query)
	values("cookie", m.Cookies)
	add("while Schedule/", m.Schedule)
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}
