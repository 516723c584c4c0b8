package weir

import (
	"fmt"
	"slices"
	"strings"
)

// PlacedRoute is a route at the place at which requests are held against it.
type PlacedRoute struct {
	// Index is the route's place in the list that was ordered.
	Index int
	// Why says what gives the route its place.
	Why string
	// Ahead says what brings it before the next one; it is empty for the last.
	Ahead string
}

// OrderRoutes gives the order in which requests are held against routes, the first that matches counts, and what gives
// each its place.
func OrderRoutes(list []SiteRoute) []PlacedRoute {
	out := make([]PlacedRoute, len(list))
	for i := range list {
		out[i] = PlacedRoute{Index: i, Why: list[i].Match.rank()}
	}
	slices.SortStableFunc(out, func(a, b PlacedRoute) int { return CompareRoutes(&list[a.Index].Match, &list[b.Index].Match) })
	for i := range len(out) - 1 {
		out[i].Ahead = ahead(&list[out[i].Index].Match, &list[out[i+1].Index].Match)
	}
	return out
}

// ahead says what brings a before b, of which it is not behind.
func ahead(a, b *RouteMatch) string {
	before := a.weight()
	for i, n := range b.weight() {
		if before[i] == n {
			continue
		}
		if i == 2 {
			return [...]string{pathNone: "no Map", pathRegex: "regex", pathPrefix: "prefix", pathExact: "exact path"}[before[i]]
		}
		return [...]string{0: "access list", 1: "host", 3: "longer prefix", 4: "method", 5: "more headers", 6: "more parameters", 7: "more cookies", 8: "schedule"}[i]
	}
	return "list order"
}

// CompareRoutes says which of two routes requests are held against first, negative for a; 0 leaves it to their order in
// the list. It is the precedence of Gateway API's HTTPRoute (host, exact path, longest prefix, method, number of headers,
// number of query parameters), with access lists before and Maps behind everything. A schedule decides last: what holds at
// times stands before what is otherwise alike and always holds, and is no more specific than that.
func CompareRoutes(a, b *RouteMatch) int {
	return slices.Compare(b.weight(), a.weight())
}

const (
	pathMap = iota
	pathNone
	pathRegex
	pathPrefix
	pathExact
)

// weight gives what decides, the first number first; more comes before less.
func (m *RouteMatch) weight() []int {
	path, length := pathNone, 0
	switch p := m.Path; {
	case m.Map != "":
		path = pathMap
	case p == nil:
	case p.Exact != "":
		path = pathExact
	case p.Prefix != "":
		path, length = pathPrefix, len(strings.TrimRight(p.Prefix, "/"))
	default:
		path = pathRegex
	}
	host := 0
	if m.Host != "" {
		host = len(m.Host)
		if !strings.HasPrefix(m.Host, "*") {
			host += 1000
		}
	}
	one := func(is bool) int {
		if is {
			return 1
		}
		return 0
	}
	return []int{one(m.AccessList != ""), host, path, length, one(m.Method != ""), len(m.Headers), len(m.Query), len(m.Cookies), one(m.Schedule != "")}
}

// rank says in words what weight says in numbers.
func (m *RouteMatch) rank() string {
	var why []string
	add := func(is bool, format string, args ...any) {
		if is {
			why = append(why, fmt.Sprintf(format, args...))
		}
	}
	add(m.AccessList != "", "access list %s", m.AccessList)
	add(m.Host != "", "host %s", m.Host)
	switch p := m.Path; {
	case m.Map != "":
		add(true, "Map %s, behind all other routes", m.Map)
	case p == nil:
		add(true, "any path")
	case p.Exact != "":
		add(true, "exact path %s", p.Exact)
	case strings.Trim(p.Prefix, "/") != "":
		add(true, "prefix %s of %d bytes", p.Prefix, len(strings.TrimRight(p.Prefix, "/")))
	case p.Prefix != "":
		add(true, "prefix %s, which is any path", p.Prefix)
	default:
		add(true, "regex %s", p.Regex)
	}
	add(m.Method != "", "method %s", m.Method)
	for _, of := range []struct {
		list      []ValueMatch
		one, many string
	}{{m.Headers, "header", "headers"}, {m.Query, "parameter", "parameters"}, {m.Cookies, "cookie", "cookies"}} {
		add(len(of.list) == 1, "1 %s", of.one)
		add(len(of.list) > 1, "%d %s", len(of.list), of.many)
	}
	add(m.Schedule != "", "schedule %s", m.Schedule)
	return strings.Join(why, ", ")
}

// The bounds of routes with several conditions at one site.
const (
	// MaxConditions is how long they may be, in bytes, together with the others that come before them.
	MaxConditions = 10000
	// MaxFieldRegexes is how many regexes there may be for one header, parameter, cookie, for the host and for the path,
	// where further conditions go with them.
	MaxFieldRegexes = 4
	// MaxRouteSchedules is how many Schedules they may go by.
	MaxRouteSchedules = 16
)

// Conditional gives the routes, in order, that requests of a site are held against one by one: up to the last one that has
// more than one condition. All others are found in maps.
func Conditional(list []SiteRoute) []PlacedRoute {
	order := OrderRoutes(list)
	for i, p := range slices.Backward(order) {
		if !list[p.Index].Match.Simple() {
			return order[:i+1]
		}
	}
	return nil
}

// validateTogether bounds what one site's routes ask for.
func validateTogether(p *Problems, list []SiteRoute) {
	size, regexes, schedules := 0, map[string]map[string]bool{}, map[string]bool{"": true}
	for _, placed := range Conditional(list) {
		m := &list[placed.Index].Match
		size += 48 + len(m.Host) + len(m.Method) + len(m.AccessList)
		if m.Path != nil {
			size += len(m.Path.Exact) + len(m.Path.Prefix)
		}
		if schedules[m.Schedule] = true; m.Schedule != "" && len(schedules) > MaxRouteSchedules+1 {
			p.Add(index("routes", placed.Index)+".match.schedule", "is one Schedule more than the %d that the routes of a site can go by", MaxRouteSchedules)
		}
		for _, t := range m.Terms() {
			size += len(t.Name) + len(t.Exact) + len(t.Prefix) + len(t.List) + 8
			if t.Regex == "" {
				continue
			}
			if regexes[t.Field()] == nil {
				regexes[t.Field()] = map[string]bool{}
			}
			if regexes[t.Field()][t.Regex] = true; len(regexes[t.Field()]) == MaxFieldRegexes+1 {
				p.Add(index("routes", placed.Index)+".match", "is the fifth regex of %s where there are several conditions; at most %d are allowed", t.Field(), MaxFieldRegexes)
			}
		}
	}
	if size > MaxConditions {
		p.Add("routes", "those with several conditions, and the more specific ones before them, are %d bytes long; at most %d are allowed", size, MaxConditions)
	}
}
