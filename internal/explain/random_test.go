package explain_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/weirtest"
)

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

// some says yes once in n times.
func (w *world) some(n int) bool { return w.rng.IntN(n) == 0 }

// enrich gives the sites of a set routes of all kinds, as far as the rules take them.
func (w *world) enrich(set *weir.Set) {
	for _, o := range slices.Collect(set.All("AccessList")) {
		spec := *o.Spec.(*weir.AccessList)
		spec.Strings = &weir.ListStrings{
			Match: pick(w.rng, weir.MatchExact, weir.MatchPrefix, weir.MatchSuffix, weir.MatchContains), IgnoreCase: w.some(2),
			Entries: []string{pick(w.rng, "1", "A b", "x=y"), pick(w.rng, "12", "a", "q", "~!|"), pick(w.rng, "no", "a,b", "=")},
		}
		put := &weir.Object{Kind: "AccessList", Metadata: o.Metadata, Spec: &spec}
		if len(weir.Validate(put)) == 0 {
			set.Put(put)
		}
	}
	for name, window := range map[string][2]time.Duration{"was": {-2 * time.Hour, -time.Hour}, "is": {-time.Hour, time.Hour}, "comes": {time.Hour, 2 * time.Hour}} {
		put := &weir.Object{Kind: "Schedule", Metadata: weir.Metadata{Name: name}, Spec: &weir.Schedule{From: time.Now().Add(window[0]), Until: time.Now().Add(window[1]), Reason: "tests"}}
		if len(weir.Validate(put)) == 0 {
			set.Put(put)
		}
	}
	for _, o := range slices.Collect(set.All("Map")) {
		spec := &weir.Map{Match: o.Spec.(*weir.Map).Match}
		keys := map[string][]string{"exact": {"/x", "/m1", "/a/b"}, "prefix": {"/x/", "/m1", "/a", "/a/b"}, "regex": {"/x", "/m1.*", `/r1/[a-z]+\.(png|jpg)`}}[spec.Match]
		for _, i := range w.rng.Perm(len(keys)) {
			spec.Entries = append(spec.Entries, weir.MapEntry{Key: keys[i], Value: pick(w.rng, "default", "api", "static", "old")})
		}
		set.Put(&weir.Object{Kind: "Map", Metadata: o.Metadata, Spec: spec})
	}
	for _, o := range slices.Collect(set.All("Site")) {
		spec := *o.Spec.(*weir.Site)
		if spec.Mode != "http" {
			continue
		}
		if spec.Maintenance = nil; w.some(6) {
			spec.Maintenance = &weir.SiteMaintenance{Page: w.name(set, "ErrorPage"), Except: w.name(set, "AccessList"), Status: 410, Schedule: pick(w.rng, "", "was", "is", "comes")}
			o = &weir.Object{Kind: "Site", Metadata: o.Metadata, Spec: &spec}
			set.Put(o)
		}
		if spec.Egress != nil {
			continue // its calls go by rules
		}
		for range w.rng.IntN(14) {
			with := spec
			with.Routes = append(slices.Clone(spec.Routes), w.siteRoute(&spec, set))
			put := &weir.Object{Kind: "Site", Metadata: o.Metadata, Spec: &with}
			if len(weir.Validate(put)) > 0 {
				continue
			}
			if after := weirtest.Apply(set, []weir.Write{{Put: put}}); len(weir.Check(set, after, []weir.Ref{o.Ref()})) == 0 {
				spec = with
				set.Put(put)
			}
		}
		w.split(o, set)
	}
}

// split divides a backend of a site, if the rules take that.
func (w *world) split(site *weir.Object, set *weir.Set) {
	spec := &weir.Split{Site: site.Metadata.Name, Sticky: pick(w.rng, "", weir.StickyCookie, weir.StickySource), Schedule: pick(w.rng, "", "", "was", "is")}
	names := slices.Sorted(maps.Keys(site.Spec.(*weir.Site).Backends))
	for _, i := range w.rng.Perm(len(names)) {
		spec.Legs = append(spec.Legs, weir.SplitLeg{Backend: names[i], Weight: pick(w.rng, 0, 10, 500, 1000)})
	}
	if len(spec.Legs) < 2 || w.some(3) {
		return
	}
	spec.Backend = spec.Legs[0].Backend
	if w.some(2) {
		spec.Steps = []weir.SplitStep{{At: time.Now().Add(pick(w.rng, -time.Hour, time.Hour)), Weights: map[string]int{spec.Legs[1].Backend: 700}}}
	}
	put := &weir.Object{Kind: "Split", Metadata: weir.Metadata{Name: "split-" + site.Metadata.Name, Role: site.Metadata.Role}, Spec: spec}
	if len(weir.Validate(put)) > 0 {
		return
	}
	if after := weirtest.Apply(set, []weir.Write{{Put: put}}); len(weir.Check(set, after, []weir.Ref{put.Ref()})) == 0 {
		set.Put(put)
	}
}

var prefixes = []string{"/", "/a", "/a/", "/a/b", "/api", "/api/v1/", "/static", "/a%2Fb", "/~ann"}

// siteRoute is a route of a site, of any kind.
func (w *world) siteRoute(s *weir.Site, set *weir.Set) weir.SiteRoute {
	m := weir.RouteMatch{}
	switch w.rng.IntN(8) {
	case 0:
		m.Path = &weir.PathMatch{Exact: pick(w.rng, "/a", "/a/b", "/x.html", "/api/v1/x", "/%7Eann", "/")}
	case 1, 2, 3:
		m.Path = &weir.PathMatch{Prefix: pick(w.rng, prefixes...)}
	case 4:
		m.Path = &weir.PathMatch{Regex: pick(w.rng, `/r[0-9]+`, `/.*\.png`, `/(a|api)/[^/]+`, `(?i)/X\.html`, `/a/b`)}
	case 5:
		m.AccessList = w.name(set, "AccessList")
	case 6:
		return weir.SiteRoute{Match: weir.RouteMatch{Map: w.name(set, "Map")}}
	}
	if w.some(2) {
		w.conditions(&m, s, set)
	}
	return weir.SiteRoute{Match: m, Action: w.action(&m, s, set)}
}

func (w *world) name(set *weir.Set, kind string) string {
	list := slices.Collect(set.All(kind))
	if len(list) == 0 {
		return ""
	}
	return pick(w.rng, list...).Metadata.Name
}

func (w *world) conditions(m *weir.RouteMatch, s *weir.Site, set *weir.Set) {
	for range 1 + w.rng.IntN(2) {
		switch w.rng.IntN(7) {
		case 6:
			m.Schedule = pick(w.rng, "was", "is", "comes")
		case 0:
			m.Method = pick(w.rng, "GET", "POST", "DELETE", "PURGE-IT")
		case 1:
			m.Host = pick(w.rng, s.Hostnames...)
			if parent, wild := strings.CutPrefix(m.Host, "*."); wild && w.some(2) {
				m.Host = "b." + parent
			}
		case 2:
			m.Headers = []weir.ValueMatch{w.value("x-a", set), w.value(pick(w.rng, "x-b", "x-forwarded-for", "x-forwarded-proto", "forwarded"), set)}[:1+w.rng.IntN(2)]
		case 3:
			m.Query = []weir.ValueMatch{w.value("q", set)}
		case 4:
			m.Cookies = []weir.ValueMatch{w.value("c", set)}
		case 5:
			m.AccessList = w.name(set, "AccessList")
		}
	}
}

var values = []string{"1", "12", "a b", "a", "x=y", "`~!|", "127.", "https", `"q"`, "a,b", "é"}

func (w *world) value(name string, set *weir.Set) weir.ValueMatch {
	v := weir.ValueMatch{Name: name}
	switch w.rng.IntN(6) {
	case 0:
		v.Exact = pick(w.rng, values...)
	case 1:
		v.Prefix = pick(w.rng, values...)
	case 2:
		v.Regex = pick(w.rng, `[0-9]+`, `.`, `a.*`, `(?i)A\x20B`, `[^a]*`, `..`)
	case 3:
		v.Present = true
	default:
		v.AccessList = w.name(set, "AccessList")
	}
	return v
}

func (w *world) action(m *weir.RouteMatch, s *weir.Site, set *weir.Set) *weir.RouteAction {
	backend := pick(w.rng, slices.Sorted(maps.Keys(s.Backends))...)
	path := func() (prefix, whole string) {
		if w.some(2) && m.Path != nil && m.Path.Prefix != "" {
			return pick(w.rng, "/", "/to/", "/new"), ""
		}
		return "", pick(w.rng, "/", "/whole", "/a%2Fb")
	}
	switch w.rng.IntN(10) {
	case 0:
		return &weir.RouteAction{Deny: pick(w.rng, weir.DenyStatuses...)}
	case 1, 9:
		return &weir.RouteAction{Page: &weir.PageAnswer{Name: w.name(set, "ErrorPage"), Status: pick(w.rng, weir.DenyStatuses...)}}
	case 2, 3:
		to := &weir.Redirect{Code: pick(w.rng, weir.RedirectCodes...), Scheme: pick(w.rng, "", "http", "https"), Host: pick(w.rng, "", "", "other.example", "other.example:81")}
		if w.some(2) {
			to.Prefix, to.Path = path()
		}
		return &weir.RouteAction{Redirect: to}
	case 4:
		a := &weir.RouteAction{Backend: backend, Rewrite: &weir.Rewrite{}}
		a.Rewrite.Prefix, a.Rewrite.Path = path()
		return a
	case 5:
		return &weir.RouteAction{
			Backend:         backend,
			RequestHeaders:  &weir.HeaderChanges{Set: map[string]string{"x-a": "set"}, Add: map[string]string{"x-c": "added 100% $"}, Remove: []string{"x-b"}},
			ResponseHeaders: &weir.HeaderChanges{Set: map[string]string{"x-marked": "a; b"}},
		}
	case 6:
		if w.some(4) {
			return &weir.RouteAction{Tarpit: true}
		}
	}
	return &weir.RouteAction{Backend: backend}
}
