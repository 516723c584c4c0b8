package api

import (
	"slices"
	"strings"

	"weir"
)

// handle is something that people look for an object by, in small letters.
type handle struct{ name, text string }

// handlesOf gives what an object is found by.
func handlesOf(o *weir.Object) []handle {
	list := []handle{{"name", strings.ToLower(o.Metadata.Name)}}
	add := func(name string, texts ...string) {
		for _, t := range texts {
			if t != "" {
				list = append(list, handle{name, strings.ToLower(t)})
			}
		}
	}
	for key, value := range o.Metadata.Labels {
		add("label", key+"="+value)
	}
	switch spec := o.Spec.(type) {
	case *weir.Site:
		add("hostname", spec.Hostnames...)
		for _, l := range spec.Listeners {
			add("port", ":"+l.Port.String())
		}
	case *weir.IPAddress:
		add("address", spec.Address.String())
	case *weir.Server:
		add("address", spec.Address.String())
		add("cluster", spec.Clusters...)
		for _, port := range spec.Ports {
			add("port", ":"+port.String())
		}
	case *weir.Pool:
		for _, m := range spec.Members {
			add("member", m.Name)
			if m.Address.IsValid() {
				add("address", m.Address.String())
			}
		}
	case *weir.Partner:
		for i := range spec.Endpoints {
			e := &spec.Endpoints[i]
			add("hostname", e.Host)
			for _, a := range append(slices.Clone(e.Addresses), e.Resolved...) {
				add("address", a.String())
			}
		}
	case *weir.Certificate:
		add("hostname", spec.Names...)
		if spec.Info != nil {
			add("hostname", spec.Info.Names...)
			add("fingerprint", spec.Info.SHA256)
			add("serial", spec.Info.Serial)
		}
	}
	return list
}

// wordList holds what the objects of a kind are found by, in the order of their names.
type wordList struct {
	stamp *weir.Stamp
	list  []handled
}

// handled is an object with what it is found by.
type handled struct {
	object  *weir.Object
	handles []handle
}

// handles gives what the objects of a kind are found by, which is worked out once for as long as they are the same.
func (p *picture) handles(kind string) (list []handled) {
	p.work(func() {
		w := p.words[kind]
		if stamp := p.view.Stamp(kind); w == nil || w.stamp != stamp {
			var old []handled // of objects that are the same still, what they are found by is
			if w != nil {
				old = w.list
			}
			w = &wordList{stamp: stamp, list: make([]handled, 0, p.view.Len(kind))}
			for o := range p.view.All(kind) {
				for len(old) > 0 && old[0].object.Metadata.Name < o.Metadata.Name {
					old = old[1:]
				}
				if len(old) > 0 && old[0].object == o {
					w.list = append(w.list, old[0])
				} else {
					w.list = append(w.list, handled{o, handlesOf(o)})
				}
			}
			p.words[kind] = w
		}
		list = w.list
	})
	return list
}

// contain says whether text, in small letters, is in something that an object is found by.
func (h *handled) contain(text string) bool {
	return slices.ContainsFunc(h.handles, func(one handle) bool { return strings.Contains(one.text, text) })
}
