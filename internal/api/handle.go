package api

import (
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

// contains says whether text, in small letters, is in something that an object is found by.
func contains(o *weir.Object, text string) bool {
	for _, f := range handlesOf(o) {
		if strings.Contains(f.text, text) {
			return true
		}
	}
	return false
}
