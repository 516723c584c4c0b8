package explain

import (
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// connection is what is decided before anything of the request is read.
func (w *walk) connection() bool {
	return w.port() && w.vip() && w.client() && w.handshake()
}

func (w *walk) port() bool {
	object := ""
	for _, b := range w.node.Tuning.Ports {
		if b.Port == w.q.Port {
			w.mode, object = b.Mode, w.tuning()
		}
	}
	for i := range w.node.Sites {
		for _, l := range w.node.Sites[i].Listeners {
			if l.Port == w.q.Port && w.mode == "" {
				w.mode, object = l.Mode, "Site/"+w.node.Sites[i].Name
			}
		}
	}
	if w.mode == "" {
		w.step("port", "LoadBalancerGroup/"+w.node.Group.Name, "", "nothing listens at port %d: the connection is refused", w.q.Port)
		return w.close()
	}
	w.step("port", object, "", "port %d speaks %s", w.q.Port, w.mode)
	return true
}

// tuning is the object that the group's settings come from.
func (w *walk) tuning() string {
	if name := w.node.Tuning.Name; name != "" {
		return "Tuning/" + name
	}
	return "LoadBalancerGroup/" + w.node.Group.Name
}

func (w *walk) vip() bool {
	i := slices.IndexFunc(w.node.Addresses, func(a ir.Address) bool { return a.Name == w.q.Address })
	if i < 0 {
		w.step("address", "LoadBalancerGroup/"+w.node.Group.Name, "ranges", "the address belongs to no IPAddress of the group: the connection is closed")
		return w.close()
	}
	w.address = &w.node.Addresses[i]
	home := "has no home zone"
	if z := w.address.HomeZone; z != "" {
		home = "is at home in zone " + z
	}
	w.step("address", "IPAddress/"+w.address.Name, "", "%s %s", w.address.Address, home)
	return true
}

// client says whom the load balancer takes the client for.
func (w *walk) client() bool {
	w.trusted = within(w.node.Group.ForwardedFor, w.q.From)
	object, field := "LoadBalancerGroup/"+w.node.Group.Name, "trustedProxies"
	if len(w.node.Group.ForwardedFor) == 0 {
		object, field = "", ""
	}
	switch {
	case !w.http():
		w.step("client", "", "", "%s", w.q.From)
	case w.trusted:
		w.step("client", object, field, "%s is believed what it says of others, and added to X-Forwarded-For", w.q.From)
	default:
		w.step("client", object, field, "%s, which alone X-Forwarded-For will say", w.q.From)
	}
	return true
}

// http says that requests are looked at, and not connections.
func (w *walk) http() bool { return w.mode == weir.PortHTTP || w.mode == weir.PortHTTPS }

// handshake finds the certificate that a client with TLS is shown.
func (w *walk) handshake() bool {
	if w.mode != weir.PortHTTPS && w.mode != weir.PortTLSTCP {
		return true
	}
	strict := w.node.Tuning.StrictSNI == nil || *w.node.Tuning.StrictSNI
	if w.q.Name == "" {
		if strict {
			w.step("tls", w.tuning(), "strictSNI", "the client asks for no name: the handshake is refused")
			return w.close()
		}
		w.step("tls", w.tuning(), "strictSNI", "the client asks for no name, and is shown some certificate")
		return true
	}
	shown, known := w.shown(w.q.Name)
	switch {
	case known && shown != "":
		w.step("tls", shown, "", "is shown for the name %s", w.q.Name)
	case known:
		w.step("tls", "", "", "a certificate for the name %s is there", w.q.Name)
	case strict:
		w.step("tls", w.tuning(), "strictSNI", "no certificate is for the name %s at this port: the handshake is refused", w.q.Name)
		return w.close()
	default:
		w.step("tls", w.tuning(), "strictSNI", "no certificate is for the name %s at this port: the client is shown one that it should not trust", w.q.Name)
	}
	if w.mode == weir.PortHTTPS {
		w.named, _ = w.lookup(strings.ToLower(w.q.Name))
	}
	return true
}

// shown gives the certificate that a name is shown, as an object, where that is one alone.
func (w *walk) shown(name string) (object string, known bool) {
	name = strings.ToLower(name)
	_, parent, _ := strings.Cut(name, ".")
	is := func(n string) bool { return n == name || parent != "" && n == "*."+parent }
	several := false
	for i := range w.node.Sites {
		s := &w.node.Sites[i]
		for _, l := range s.Listeners {
			if l.Port != w.q.Port || l.TLS == nil {
				continue
			}
			for _, c := range w.node.Certificates {
				if c.Key == nil || !slices.Contains(l.TLS.Certificates, c.Name) {
					continue
				}
				names := s.Hostnames
				if s.Mode == "tcp" || slices.Contains(names, "*") {
					names = append(slices.Clone(names), c.Names...)
				}
				if !slices.ContainsFunc(names, is) {
					continue
				}
				several = several || known && object != "Certificate/"+c.Name
				object, known = "Certificate/"+c.Name, true
			}
		}
	}
	if several {
		object = ""
	}
	return object, known
}
