package weir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// RouteMatch holds what a request must be like, all of it. Map stands alone.
type RouteMatch struct {
	// Host is one of the site's host names; "*.example.com" for everything below, up to any depth.
	Host string     `json:"host,omitempty"`
	Path *PathMatch `json:"path,omitempty"`
	// Method is GET, POST and the like.
	Method string `json:"method,omitempty"`
	// Headers must all be as they say. Of a header that comes several times the last line counts, as a whole.
	Headers []ValueMatch `json:"headers,omitempty"`
	// Query are parameters of the query, decoded.
	Query []ValueMatch `json:"query,omitempty"`
	// Cookies are looked at as they come.
	Cookies []ValueMatch `json:"cookies,omitempty"`
	// AccessList names a list that the client's address is in.
	AccessList string `json:"accessList,omitempty"`
	// Schedule names a window of time outside of which the route is not there.
	Schedule string `json:"schedule,omitempty"`
	// Map names a Map that the path is looked up in.
	Map string `json:"map,omitempty"`
}

// ValueMatch is a name with exactly one condition. The first use of a name in a group is a reload, and the last.
type ValueMatch struct {
	// Name is of letters, digits, '-', '_' and '.'; case counts for parameters and cookies.
	Name string `json:"name"`
	// Exact is the whole value.
	Exact string `json:"exact,omitempty"`
	// Prefix is what the value begins with.
	Prefix string `json:"prefix,omitempty"`
	// Regex is a PCRE that must match the whole value.
	Regex string `json:"regex,omitempty"`
	// Present asks for any value but the empty one.
	Present bool `json:"present,omitempty"`
	// AccessList names a list whose strings the value is held against.
	AccessList string `json:"accessList,omitempty"`
}

// MaxMatchValue is how long a value of a condition can be, in bytes.
const MaxMatchValue = 256

// Simple says that a match has one condition out of path, accessList and map, and no other.
func (m *RouteMatch) Simple() bool {
	set := 0
	for _, is := range []bool{m.Path != nil, m.AccessList != "", m.Map != ""} {
		if is {
			set++
		}
	}
	return set == 1 && m.Host == "" && m.Method == "" && m.Schedule == "" && len(m.Headers)+len(m.Query)+len(m.Cookies) == 0
}

// values walks the conditions that have names, by the field that they stand in.
func (m *RouteMatch) values(f func(field string, list []ValueMatch)) {
	f("headers", m.Headers)
	f("query", m.Query)
	f("cookies", m.Cookies)
}

// Lists gives the AccessLists that a match names, and where below the path that it stands at itself.
func (m *RouteMatch) Lists(path string) []Reference { return m.lists(nil, path) }

func (m *RouteMatch) lists(list []Reference, path string) []Reference {
	list = optional(list, path+".accessList", "AccessList", m.AccessList)
	m.values(func(field string, values []ValueMatch) {
		for i := range values {
			list = optional(list, index(path+"."+field, i)+".accessList", "AccessList", values[i].AccessList)
		}
	})
	return list
}

func (m *RouteMatch) normalize() {
	if c, err := CanonicalHostname(m.Host); err == nil {
		m.Host = c
	}
	if p := m.Path; p != nil {
		p.Exact, p.Prefix = NormalPath(p.Exact), NormalPath(p.Prefix)
	}
	for i := range m.Headers {
		m.Headers[i].Name = strings.ToLower(m.Headers[i].Name)
	}
	m.values(func(_ string, list []ValueMatch) {
		slices.SortStableFunc(list, func(a, b ValueMatch) int { return cmp.Compare(a.Name, b.Name) })
	})
}

func (m *RouteMatch) validate(p *Problems, path string) {
	if m.Path != nil {
		m.Path.validate(p, path+".path")
	}
	if m.Host != "" {
		checkHostname(p, path+".host", m.Host)
	}
	if m.Method != "" {
		checkMethod(p, path+".method", m.Method)
	}
	if m.Schedule != "" {
		required(p, path+".schedule", m.Schedule)
	}
	m.values(func(field string, list []ValueMatch) {
		for i := range list {
			list[i].validate(p, index(path+"."+field, i))
			if i > 0 && list[i].Name == list[i-1].Name {
				p.Add(index(path+"."+field, i)+".name", "%q has a condition already; say both in one regex", clip(list[i].Name))
			}
		}
	})
	set := len(m.Headers) + len(m.Query) + len(m.Cookies)
	for _, is := range []bool{m.Host != "", m.Path != nil, m.Method != "", m.AccessList != "", m.Schedule != "", m.Map != ""} {
		if is {
			set++
		}
	}
	switch {
	case set == 0:
		p.Add(path, "needs at least one condition: host, path, method, headers, query, cookies, accessList, schedule or map")
	case set > 1 && m.Map != "":
		p.Add(path+".map", "stands alone; say the other conditions in routes of their own")
	}
}

func (v *ValueMatch) validate(p *Problems, path string) {
	if err := CheckMatchName(v.Name); err != nil {
		p.Add(path+".name", "%s", err)
	}
	set := 0
	for field, value := range map[string]string{"exact": v.Exact, "prefix": v.Prefix} {
		if value == "" {
			continue
		}
		set++
		if len(value) > MaxMatchValue {
			p.Add(path+"."+field, "is %d bytes long; at most %d are allowed", len(value), MaxMatchValue)
		} else if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			p.Add(path+"."+field, "may hold only printable ASCII")
		}
	}
	if v.Regex != "" {
		set++
		checkRegex(p, path+".regex", v.Regex)
	}
	for _, is := range []bool{v.Present, v.AccessList != ""} {
		if is {
			set++
		}
	}
	if v.AccessList != "" {
		required(p, path+".accessList", v.AccessList)
	}
	if set != 1 {
		p.Add(path, "needs exactly one of exact, prefix, regex, present and accessList")
	}
}

// CheckMatchName says why s can't be the name of a header, parameter or cookie, or nil: it stands in HAProxy's
// configuration.
func CheckMatchName(s string) error {
	if s == "" {
		return fmt.Errorf("is required")
	}
	if len(s) > 64 || strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return fmt.Errorf("%q may hold only letters, digits, '-', '_' and '.', at most 64", clip(s))
	}
	return nil
}

// Same says that two matches take the same requests by the same words.
func (m *RouteMatch) Same(o *RouteMatch) bool {
	if m.Host != o.Host || m.Method != o.Method || m.AccessList != o.AccessList || m.Schedule != o.Schedule || m.Map != o.Map || (m.Path == nil) != (o.Path == nil) ||
		!slices.Equal(m.Headers, o.Headers) || !slices.Equal(m.Query, o.Query) || !slices.Equal(m.Cookies, o.Cookies) {
		return false
	}
	if m.Path == nil {
		return true
	}
	return m.Path.Exact == o.Path.Exact && m.Path.Regex == o.Path.Regex &&
		strings.TrimRight(m.Path.Prefix, "/") == strings.TrimRight(o.Path.Prefix, "/") && (m.Path.Prefix == "") == (o.Path.Prefix == "")
}

// answers says that a host name of a route is one that the site answers to.
func (s *Site) answers(host string) bool {
	return slices.ContainsFunc(s.Hostnames, func(h string) bool {
		below, wild := strings.CutPrefix(h, "*")
		return h == host || h == "*" || wild && strings.HasSuffix(strings.TrimPrefix(host, "*"), below)
	})
}

func checkMethod(p *Problems, path, v string) {
	if v == "" || len(v) > 32 || strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		p.Add(path, "%q is no method, such as GET or POST", clip(v))
	}
}
