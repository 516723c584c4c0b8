package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/ir"
)

// siteOf finds a site among those of a group, nil when the group does not have it.
func siteOf(node *ir.Node, name string) *ir.Site {
	at, ok := slices.BinarySearchFunc(node.Sites, name, func(s ir.Site, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return nil
	}
	return &node.Sites[at]
}

// certified says whether each host name of a site with TLS has a certificate; ok is false for other objects.
func (v *view) certified() (c weir.Condition, ok bool) {
	if v.ref.Kind != "Site" {
		return c, false
	}
	set, now := v.store.View(), v.clock()
	c = weir.Condition{Type: weir.Certified, Status: "True", Reason: "Covered"}
	var texts []string
	shown := map[string]bool{}
	for _, name := range sortedNames(v.groups) {
		g := v.groups[name]
		s := siteOf(&g.node, v.ref.Name)
		if s == nil || s.Mode != "http" || len(s.Hostnames) == 0 {
			continue
		}
		for _, l := range s.Listeners {
			if l.TLS != nil {
				ok = true
				for _, certificate := range l.TLS.Certificates {
					shown[certificate] = true
				}
			}
		}
		for _, gap := range compile.Gaps(set, &g.node, s, now) {
			if text := gap.Words(set); !slices.Contains(texts, text) {
				texts, c.Status, c.Reason = append(texts, text), "False", gap.Reason()
			}
		}
	}
	if c.Message = strings.Join(texts, ". "); len(texts) == 0 {
		c.Message = "each host name has a certificate" + firstToEnd(set, sortedNames(shown))
	}
	return c, ok
}

// firstToEnd says which of the certificates ends first, and when.
func firstToEnd(set *weir.Set, certificates []string) string {
	first, at := "", time.Time{}
	for _, name := range certificates {
		if c := weir.Find[weir.Certificate](set, "Certificate", name); c != nil && c.Info != nil && (first == "" || c.Info.NotAfter.Before(at)) {
			first, at = name, c.Info.NotAfter
		}
	}
	if first == "" {
		return ""
	}
	return fmt.Sprintf("; the first to end is Certificate/%s, at %s", first, at.UTC().Format("2006-01-02 15:04 UTC"))
}

// uncovered tells of a group's host names that have no certificate, on which of its load balancers.
func (f *fleet) uncovered(g *groupState, loadBalancers []string) (all []api.Outage) {
	set, now := f.store.View(), f.clock()
	for i := range g.node.Sites {
		for _, gap := range compile.Gaps(set, &g.node, &g.node.Sites[i], now) {
			all = append(all, api.Outage{Object: "Site/" + gap.Site, Reason: api.NotServingNoCertificate, Message: gap.Words(set), LoadBalancers: loadBalancers})
		}
	}
	return all
}
