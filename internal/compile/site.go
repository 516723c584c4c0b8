package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/internal/ir"
)

// site adds a site to the node, or tells why it can't be served at all.
func (b *builder) site(name string) {
	ref := weir.Ref{Kind: "Site", Name: name}
	spec := weir.Find[weir.Site](b.set, ref.Kind, name)
	s := ir.Site{Name: name, Mode: spec.Mode}
	for _, a := range spec.Addresses {
		if b.served[a] {
			s.Addresses = append(s.Addresses, a)
		}
	}
	slices.Sort(s.Addresses)
	if len(s.Addresses) == 0 {
		return // its addresses have been told about
	}
	b.listeners(ref, spec, &s)
	b.hostnames(ref, spec, &s)
	if len(s.Listeners) == 0 {
		b.problems.add(ref, "spec.listeners", "none of the listeners can be served; the site is left out")
		return
	}
	if spec.Mode != "tcp" && len(s.Hostnames) == 0 {
		b.problems.add(ref, "spec.hostnames", "none of the host names is the site's; the site is left out")
		return
	}
	b.backends(ref, spec, &s)
	serves := slices.ContainsFunc(s.Listeners, func(l ir.Listener) bool { return l.RedirectTo == 0 })
	if spec.Egress != nil {
		s.Egress = slices.Sorted(slices.Values(spec.Egress.Environments))
		s.ClientAuthority = b.clientAuthority(ref, spec.Egress.ClientAuthority)
	} else if serves && !hasBackend(s.Backends, "default") {
		b.problems.add(ref, "spec.backends.default", "has no pool that can be used; the site is left out")
		return
	}
	s.Logic = b.siteLogic(ref, spec, &s)
	s.ErrorPages = b.pages(ref, spec.ErrorPages)
	s.Log = spec.Log
	s.Maintenance = b.maintenance(ref, "spec.maintenance", spec.Maintenance, "the site")
	s.Routing = b.routing(ref, spec)
	s.RateLimits = b.rateLimits(ref, spec)
	b.node.Sites = append(b.node.Sites, s)
}

// listeners takes those whose port speaks what the site wants and that have a certificate to show.
func (b *builder) listeners(ref weir.Ref, spec *weir.Site, s *ir.Site) {
	var secure []weir.Port
	for i, l := range spec.Listeners {
		path := fmt.Sprintf("spec.listeners[%d]", i)
		mode := spec.PortMode(l)
		if other, ok := b.modes[l.Port]; ok && other.mode != mode {
			b.problems.add(ref, path+".port", "port %d speaks %s, as %s asks, and can't speak %s too; the listener is left out", l.Port, other.mode, other.ref, mode)
			continue
		}
		out := ir.Listener{Port: l.Port, Mode: mode}
		if l.TLS != nil {
			tls, ok := b.tls(ref, path+".tls.certificates", spec, l)
			if !ok {
				b.problems.add(ref, path+".tls.certificates", "none can be shown; the listener is left out")
				continue
			}
			out.TLS = tls
			secure = append(secure, l.Port)
		}
		if _, ok := b.modes[l.Port]; !ok {
			b.modes[l.Port] = portHolder{mode, ref}
		}
		s.Listeners = append(s.Listeners, out)
	}
	target := weir.Port(0)
	if len(secure) > 0 {
		target = slices.Min(secure)
	}
	if slices.Contains(secure, 443) {
		target = 443
	}
	redirects := map[weir.Port]bool{}
	for _, l := range spec.Listeners {
		redirects[l.Port] = l.Redirect != ""
	}
	s.Listeners = slices.DeleteFunc(s.Listeners, func(l ir.Listener) bool {
		if redirects[l.Port] && target == 0 {
			b.problems.add(ref, "spec.listeners", "port %d has no listener with tls left to send clients to; it is left out", l.Port)
		}
		return redirects[l.Port] && target == 0
	})
	for i := range s.Listeners {
		if redirects[s.Listeners[i].Port] {
			s.Listeners[i].RedirectTo = target
		}
	}
	slices.SortFunc(s.Listeners, func(x, y ir.Listener) int { return int(x.Port) - int(y.Port) })
}

// tls gives what load balancers are told of a listener's TLS; ok is false when there is no certificate for it, and none
// to come.
func (b *builder) tls(ref weir.Ref, path string, spec *weir.Site, l weir.Listener) (out *weir.ListenerTLS, ok bool) {
	tls := *l.TLS
	tls.Issuer, tls.KeyTypes = "", nil
	if l.TLS.Certificates.Auto() {
		tls.Certificates = b.ordered(ref, spec, l)
		return &tls, true
	}
	tls.Certificates = b.certificates(ref, path, l.TLS.Certificates)
	return &tls, len(tls.Certificates) > 0 || b.pending(l.TLS.Certificates)
}

// ordered gives those of the certificates that a listener has ordered which have come. In the place of one that has not
// stands what was ordered for its host name before, from another issuer or with another key, as far as that is there.
// The others are on their way, as the site's condition says, and nothing is broken: the port is listened at meanwhile.
func (b *builder) ordered(ref weir.Ref, spec *weir.Site, l weir.Listener) (shown []string) {
	orders := spec.Orders(b.set.Get(ref).Metadata.Role, l)
	found := map[string]bool{} // host names for which there is one
	show := func(order weir.Order, list []string) {
		for _, name := range list {
			found[order.Hostname] = true
			if !slices.Contains(shown, name) {
				shown = append(shown, name)
			}
		}
	}
	for _, order := range orders {
		if name := order.Name(); b.has(name) {
			show(order, []string{name})
		} else {
			show(order, b.before(order, true))
		}
	}
	for _, order := range orders {
		if !found[order.Hostname] {
			show(order, b.before(order, false))
		}
	}
	return shown
}

// has says that a certificate that was ordered has come and can be shown.
func (b *builder) has(name string) bool {
	o := b.set.Get(weir.Ref{Kind: "Certificate", Name: name})
	if o == nil {
		return false
	}
	_, own := weir.OrderOf(o)
	return own && b.unusable(name, true) == ""
}

// before gives what was ordered for the same role and host name and can be shown: of the same kind of key, since of two
// of one kind HAProxy would show either, or of any.
func (b *builder) before(order weir.Order, alike bool) (list []string) {
	if b.orders == nil {
		b.orders = map[[2]string][]string{}
		for o := range b.set.All("Certificate") {
			if spec := o.Spec.(*weir.Certificate); o.Metadata.ManagedBy == weir.ManagedByWeir && len(spec.Names) == 1 {
				key := [2]string{o.Metadata.Role, spec.Names[0]}
				b.orders[key] = append(b.orders[key], o.Metadata.Name)
			}
		}
	}
	kind := func(keyType string) string { kind, _, _ := strings.Cut(keyType, "-"); return kind }
	for _, name := range b.orders[[2]string{order.Role, order.Hostname}] {
		spec := weir.Find[weir.Certificate](b.set, "Certificate", name)
		if b.has(name) && (!alike || kind(spec.KeyType) == kind(order.KeyType)) {
			list = append(list, name)
		}
	}
	return list
}

func (b *builder) certificates(ref weir.Ref, path string, list []string) []string {
	var good []string
	for i, name := range list {
		if why := b.unusable(name, true); why != "" {
			b.problems.add(ref, fmt.Sprintf("%s[%d]", path, i), "%s; it is not shown", why)
			continue
		}
		good = append(good, name)
	}
	return good
}

// pending says that one of the certificates is still to come, or was revoked and is to be replaced: the port is listened
// at meanwhile, so that nothing but the certificate is missing, and clients of its names are refused by TLS.
func (b *builder) pending(list []string) bool {
	return slices.ContainsFunc(list, func(name string) bool {
		c := weir.Find[weir.Certificate](b.set, "Certificate", name)
		return c != nil && (c.Issuer != "" || c.Revoked != nil)
	})
}

// unusable says why a certificate can't be used, empty when it can.
func (b *builder) unusable(name string, key bool) string {
	c := weir.Find[weir.Certificate](b.set, "Certificate", name)
	switch {
	case c == nil:
		return "Certificate/" + name + " does not exist"
	case key && c.Revoked != nil:
		return "Certificate/" + name + " was revoked"
	case key && c.Pending():
		return "Certificate/" + name + " has still to be issued by Issuer/" + c.Issuer
	case key && c.KeyRef == nil:
		return "Certificate/" + name + " has no sealed key"
	}
	return ""
}

// hostnames takes those that no site before it has.
func (b *builder) hostnames(ref weir.Ref, spec *weir.Site, s *ir.Site) {
	claim := func(path, key, what string) bool {
		if other, ok := b.claims[key]; ok && other != ref {
			b.problems.add(ref, path, "%s belongs to %s in group %s; it is left out here", what, other, b.ref.Name)
			return false
		}
		b.claims[key] = ref
		return true
	}
	every := func() bool {
		free := true
		for _, a := range s.Addresses {
			for _, l := range s.Listeners {
				free = claim("spec.listeners", a+" "+strconv.Itoa(int(l.Port)), fmt.Sprintf("everything at IPAddress/%s, port %d,", a, l.Port)) && free
			}
		}
		return free
	}
	if spec.Mode == "tcp" {
		if !every() {
			s.Listeners = nil
		}
		return
	}
	for i, h := range spec.Hostnames {
		if h == "*" && !every() || h != "*" && !claim(fmt.Sprintf("spec.hostnames[%d]", i), "host "+h, strconv.Quote(h)) {
			continue
		}
		s.Hostnames = append(s.Hostnames, h)
	}
	slices.Sort(s.Hostnames)
}

// backends takes the routes that can be followed, and the backends that they and the default need.
func (b *builder) backends(ref weir.Ref, spec *weir.Site, s *ir.Site) {
	known := map[string]ir.Backend{}
	for _, name := range sortedKeys(spec.Backends) {
		if backend, ok := b.backend(ref, spec, name); ok {
			known[name] = backend
		}
	}
	used := map[string]bool{}
	use := func(name string) bool {
		_, ok := known[name]
		used[name] = used[name] || ok
		return ok
	}
	use("default")
	routes, owners := weir.AllRoutes(b.set, ref.Name)
	for i, r := range routes {
		owner, path := owners[i], fmt.Sprintf("spec.routes[%d]", i)
		if owner != ref {
			path = "spec"
		}
		switch {
		case r.Match.Map != "":
			if !b.mapped(owner, path+".match.map", r.Match.Map, use) {
				continue
			}
		case b.lacksList(owner, path+".match", &r.Match):
			continue
		case r.Match.Schedule != "" && !b.exists("Schedule", r.Match.Schedule):
			b.problems.add(owner, path+".match.schedule", "Schedule/%s does not exist; the route is left out", r.Match.Schedule)
			continue
		case r.Does().Page != nil:
			// Without the page it is refused with the status and the site's own page.
			b.page(r.Does().Page.Name, owner, weir.Status3(r.Does().Page.Status))
		case r.Does().Backend != "" && !use(r.Does().Backend):
			b.problems.add(owner, path+".backend", "backend %q has no pool that can be used; the route is left out", r.Does().Backend)
			continue
		}
		s.Routes = append(s.Routes, r)
	}
	if spec.Egress == nil { // those of calls come when the services are known
		b.splits(ref, spec, use)
	}
	for _, name := range sortedKeys(known) {
		if used[name] {
			s.Backends = append(s.Backends, known[name])
		}
	}
}

// lacksList says that a match names an AccessList that is not there, and tells of it.
func (b *builder) lacksList(owner weir.Ref, path string, m *weir.RouteMatch) bool {
	for _, r := range m.Lists(strings.TrimPrefix(path, "spec.")) {
		if !b.exists("AccessList", r.Name) {
			b.problems.add(owner, r.Path, "AccessList/%s does not exist; the route is left out", r.Name)
			return true
		}
	}
	return false
}

// mapped uses every backend that a map names, and says whether there is the map.
func (b *builder) mapped(ref weir.Ref, path, name string, use func(string) bool) bool {
	m := weir.Find[weir.Map](b.set, "Map", name)
	if m == nil {
		b.problems.add(ref, path, "Map/%s does not exist; the route is left out", name)
		return false
	}
	ignored, first := 0, weir.MapEntry{}
	for _, e := range m.Entries {
		if use(e.Value) {
			continue
		}
		if ignored == 0 {
			first = e
		}
		ignored++
	}
	if ignored > 0 {
		b.problems.add(ref, path, "%d entries of Map/%s name no backend of the site and are ignored, such as %q: %.80q; add the backend, or correct the map", ignored, name, first.Key, first.Value)
	}
	return true
}

func (b *builder) backend(ref weir.Ref, spec *weir.Site, name string) (ir.Backend, bool) {
	out := ir.Backend{Name: name}
	some := false
	if spec.Backends[name].Zones != nil {
		out.Slots = make([]string, len(b.node.Group.Zones))
	}
	for zone, pool := range spec.Backends[name].Pools() {
		slot := b.node.Group.Slot(zone)
		if zone != "" && slot == 0 {
			continue // told with the zones
		}
		if !b.pool(pool) {
			b.problems.add(ref, "spec.backends."+name, "Pool/%s can't be used; it is left out", pool)
			continue
		}
		if p := weir.Find[weir.Pool](b.set, "Pool", pool); p.Mode != spec.PoolMode() {
			b.problems.add(ref, "spec.backends."+name, "Pool/%s has mode %s and is left out: the site needs %s", pool, p.Mode, spec.PoolMode())
			continue
		}
		some = true
		if zone == "" {
			out.Pool = pool
		} else {
			out.Slots[slot-1] = pool
		}
	}
	return out, some
}

// pool says whether a pool can be used: servers are never spoken to with less than what was asked for.
func (b *builder) pool(name string) bool {
	if known, ok := b.usable[name]; ok {
		return known
	}
	ref := weir.Ref{Kind: "Pool", Name: name}
	p := weir.Find[weir.Pool](b.set, ref.Kind, name)
	ok := p != nil
	if ok && p.TLS != nil {
		for _, need := range []struct {
			path, name string
			key        bool
		}{{"spec.tls.ca", p.TLS.CA, false}, {"spec.tls.clientCertificate", p.TLS.ClientCertificate, true}} {
			if need.name == "" {
				continue
			}
			if why := b.unusable(need.name, need.key); why != "" {
				b.problems.add(ref, need.path, "%s; the pool is left out", why)
				ok = false
			}
		}
	}
	b.usable[name] = ok
	return ok
}

func hasBackend(list []ir.Backend, name string) bool {
	return slices.ContainsFunc(list, func(b ir.Backend) bool { return b.Name == name })
}
