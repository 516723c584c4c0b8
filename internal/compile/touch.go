package compile

import (
	"fmt"
	"reflect"
	"slices"

	"weir"
)

// Touch is which part of a site's traffic a change has to do with, as far as its objects tell.
type Touch struct {
	Site string
	// New and Gone say that the site comes or goes with the change.
	New, Gone bool
	// Whole says that it is all of its traffic; else it is that of the paths, as people write them, and that which is
	// served in the zones.
	Whole        bool
	Paths, Zones []string
}

// Touches gives the sites whose traffic a change has to do with, by name.
func Touches(before, after *weir.Set, written []weir.Ref) []Touch {
	w := &touching{before: before, after: after, sites: map[string]*Touch{}, seen: map[weir.Ref]bool{}}
	for _, r := range written {
		w.object(r)
	}
	list := make([]Touch, 0, len(w.sites))
	for _, name := range sortedKeys(w.sites) {
		t := *w.sites[name]
		if t.New && t.Gone {
			continue // something names it that is not there
		}
		slices.Sort(t.Paths)
		slices.Sort(t.Zones)
		list = append(list, t)
	}
	return list
}

type touching struct {
	before, after *weir.Set
	choosers      choosers
	sites         map[string]*Touch
	seen          map[weir.Ref]bool
}

// both runs for the object as it was and as it is.
func (w *touching) both(r weir.Ref, take func(set *weir.Set, o *weir.Object)) {
	for _, set := range []*weir.Set{w.before, w.after} {
		if o := set.Get(r); o != nil {
			take(set, o)
		}
	}
}

func (w *touching) object(r weir.Ref) {
	if w.seen[r] {
		return
	}
	w.seen[r] = true
	switch r.Kind {
	case "Site":
		w.siteItself(r)
	case "Route":
		w.both(r, func(_ *weir.Set, o *weir.Object) {
			route := o.Spec.(*weir.Route)
			w.paths(route.Site, pathWords(&route.Match, "a Route of others"))
		})
	case "Split":
		w.both(r, func(set *weir.Set, o *weir.Object) {
			split := o.Spec.(*weir.Split)
			w.backend(set, split.Site, split.Backend, nil)
		})
	case "Server":
		w.both(r, func(set *weir.Set, o *weir.Object) { w.server(set, o) })
	case "Override":
		w.both(r, func(_ *weir.Set, o *weir.Object) { w.override(o.Spec.(*weir.Override)) })
	case "ZoneShift":
		w.both(r, w.shift)
	case "Pool":
		w.both(r, w.pool)
	case "Partner":
		w.both(r, func(set *weir.Set, o *weir.Object) { w.partner(set, o.Metadata.Name) })
	case "EgressRule":
		w.both(r, func(set *weir.Set, o *weir.Object) { w.partner(set, o.Spec.(*weir.EgressRule).Partner) })
	case "IPAddress", "Certificate", "ErrorPage", "AccessList", "Map", "RateLimit", "Logic", "Schedule":
		for _, set := range []*weir.Set{w.before, w.after} {
			for _, kind := range [...]string{"Logic", "RateLimit", "Pool", "Route", "ZoneShift", "Split", "Partner", "EgressRule"} {
				for from := range set.ReferrersOf(kind, r) {
					w.object(from)
				}
			}
			for site := range set.ReferrersOf("Site", r) {
				w.touch(site.Name).Whole = true
			}
		}
	}
}

// touch gives what is known of a site so far.
func (w *touching) touch(site string) *Touch {
	t := w.sites[site]
	if t == nil {
		ref := weir.Ref{Kind: "Site", Name: site}
		t = &Touch{Site: site, New: w.before.Get(ref) == nil, Gone: w.after.Get(ref) == nil}
		w.sites[site] = t
	}
	return t
}

func (w *touching) paths(site string, words ...string) {
	t := w.touch(site)
	for _, word := range words {
		if !slices.Contains(t.Paths, word) {
			t.Paths = append(t.Paths, word)
		}
	}
}

func (w *touching) server(set *weir.Set, o *weir.Object) {
	w.choosers.of(set).Selects(o, func(pool *weir.Object) { w.object(pool.Ref()) })
}

func (w *touching) override(o *weir.Override) {
	if o.Pool != "" {
		w.object(weir.Ref{Kind: "Pool", Name: o.Pool})
		return
	}
	w.both(weir.Ref{Kind: "Server", Name: o.Server}, w.server)
	for _, set := range []*weir.Set{w.before, w.after} {
		for _, pool := range w.choosers.of(set).members[o.Server] {
			w.object(pool.Ref())
		}
	}
}

func (w *touching) shift(set *weir.Set, o *weir.Object) {
	spec := o.Spec.(*weir.ZoneShift)
	for site := range set.All("Site") {
		if spec.Shifts(o.Metadata.Role, site) {
			w.zones(site.Metadata.Name, spec.Zone)
		}
	}
}

// partner touches the calls to it, which may go by any way out.
func (w *touching) partner(set *weir.Set, name string) {
	for site := range set.All("Site") {
		if site.Spec.(*weir.Site).Egress != nil {
			w.paths(site.Metadata.Name, "calls to "+name)
		}
	}
}

func (w *touching) zones(site string, zones ...string) {
	t := w.touch(site)
	for _, zone := range zones {
		if !slices.Contains(t.Zones, zone) {
			t.Zones = append(t.Zones, zone)
		}
	}
}

// pool follows the sites that have it in a backend, or elsewhere.
func (w *touching) pool(set *weir.Set, o *weir.Object) {
	name := o.Metadata.Name
	for ref := range set.ReferrersOf("Site", o.Ref()) {
		site := weir.Find[weir.Site](set, "Site", ref.Name)
		if site == nil {
			continue
		}
		in := false
		for _, backend := range sortedKeys(site.Backends) {
			var zones []string
			for zone, pool := range site.Backends[backend].Pools() {
				if pool == name {
					zones, in = append(zones, zone), true
				}
			}
			if len(zones) > 0 {
				w.backend(set, ref.Name, backend, zones)
			}
		}
		if !in {
			w.touch(ref.Name).Whole = true // the fallback
		}
	}
}

// backend touches what is sent to a backend of a site, in some zones; nil, and "", stand for all of them.
func (w *touching) backend(set *weir.Set, name, backend string, zones []string) {
	site := weir.Find[weir.Site](set, "Site", name)
	switch {
	case site == nil:
	case backend != "" && backend != "default":
		w.paths(name, pathsOf(site, backend)...)
	case zones == nil || slices.Contains(zones, ""):
		w.touch(name).Whole = true
	default:
		w.zones(name, zones...)
	}
}

// siteItself compares a site with what it was.
func (w *touching) siteItself(r weir.Ref) {
	old, now := weir.Find[weir.Site](w.before, r.Kind, r.Name), weir.Find[weir.Site](w.after, r.Kind, r.Name)
	if old == nil || now == nil {
		if old != now {
			w.touch(r.Name).Whole = true
		}
		return
	}
	a, b := *old, *now
	a.Routes, b.Routes, a.Backends, b.Backends = nil, nil, nil, nil
	if !reflect.DeepEqual(a, b) {
		w.touch(r.Name).Whole = true
	}
	for _, site := range []*weir.Site{old, now} {
		set := w.before
		if site == now {
			set = w.after
		}
		for _, name := range sortedKeys(site.Backends) {
			was, is := old.Backends[name], now.Backends[name]
			if reflect.DeepEqual(was, is) {
				continue
			}
			var zones []string
			for zone := range site.Backends[name].Pools() {
				if was.Zones[zone] != is.Zones[zone] {
					zones = append(zones, zone)
				}
			}
			switch oneForAll := was.Zones == nil || is.Zones == nil; {
			case oneForAll:
				zones = nil
			case len(zones) == 0:
				continue // the other side has more
			}
			w.backend(set, r.Name, name, zones)
		}
	}
	w.routes(r.Name, old.Routes, now.Routes)
}

// routes finds those that only one of two lists has.
func (w *touching) routes(site string, old, now []weir.SiteRoute) {
	differ := 0
	for _, lists := range [][2][]weir.SiteRoute{{old, now}, {now, old}} {
		for i := range lists[0] {
			if !slices.ContainsFunc(lists[1], func(r weir.SiteRoute) bool { return reflect.DeepEqual(r, lists[0][i]) }) {
				differ++
				w.paths(site, pathWords(&lists[0][i].Match, fmt.Sprintf("routes[%d]", i)))
			}
		}
	}
	if differ == 0 && !reflect.DeepEqual(old, now) && len(old)+len(now) > 0 {
		w.touch(site).Whole = true // the same in another order
	}
}

// pathsOf gives the paths of the routes that lead to a backend.
func pathsOf(site *weir.Site, backend string) (words []string) {
	for i := range site.Routes {
		if site.Routes[i].Does().Backend == backend {
			words = append(words, pathWords(&site.Routes[i].Match, fmt.Sprintf("routes[%d]", i)))
		}
	}
	if len(words) == 0 {
		if words = []string{"backend " + backend}; site.Egress != nil {
			words = []string{"calls to " + backend}
		}
	}
	return words
}

// pathWords writes the path of a match; instead stands for one without.
func pathWords(m *weir.RouteMatch, instead string) string {
	switch p := m.Path; {
	case p == nil:
		return instead
	case p.Exact != "":
		return p.Exact
	case p.Prefix != "":
		return p.Prefix
	default:
		return "~" + p.Regex
	}
}
