package api

import (
	"fmt"
	"sync"

	"weir"
	"weir/internal/compile"
)

// mostWarned bounds the warnings of one answer.
const mostWarned = 100

// warnings tells of names that can't be proven to whom their certificates are ordered from, and of host names without a
// certificate: of the sites that a change writes, and of those that show a certificate that it writes; of zones that a shift
// would overload; of applications without a way out. What the caller may not see is left out.
func (c *call) warnings(res result) (list []weir.Problem) {
	var sites []string
	seen := map[string]bool{}
	note := func(ref weir.Ref) {
		if ref.Kind == "Site" && !seen[ref.Name] {
			seen[ref.Name], sites = true, append(sites, ref.Name)
		}
	}
	orders := sync.OnceValue(res.After.Orders)
	for _, o := range res.Change.Objects {
		note(o.Ref)
		if o.Kind == "Certificate" {
			for from := range res.After.ReferrersOf("Site", o.Ref) {
				note(from)
			}
			for _, from := range orders()[o.Name].Sites {
				note(from)
			}
		}
	}
	list = append(orphaned(res), c.unproven(res)...)
	list = append(list, c.shifted(res)...)
	list = append(list, c.wayless(res)...)
	for _, name := range sites {
		if !c.sees(res.After, "Site/"+name) {
			continue
		}
		for _, gap := range compile.SiteGaps(res.After, name, c.h.opts.Clock()) {
			if len(list) >= mostWarned {
				return list
			}
			list = append(list, weir.Problem{Object: "Site/" + name, Path: gap.Path, Message: gap.Words(res.After)})
		}
	}
	return list
}

// shifted tells of zones that would carry too much while a ZoneShift holds that a change writes, and of what it does not move.
func (c *call) shifted(res result) (list []weir.Problem) {
	for _, changed := range res.Change.Objects {
		shift := weir.Find[weir.ZoneShift](res.After, changed.Kind, changed.Name)
		if shift == nil || !c.sees(res.After, changed.Ref.String()) {
			continue
		}
		now := c.h.opts.Clock()
		if _, until := shift.Window(res.After); !now.Before(until) {
			path := "spec.expiresAt"
			if shift.Schedule != "" {
				path = "spec.schedule"
			}
			list = append(list, weir.Problem{Object: changed.Ref.String(), Path: path, Message: "is over: the shift moves nothing; give it a later moment"})
			continue
		}
		for _, text := range compile.Leave(res.After, changed.Name, now).Words(shift.Zone) {
			if len(list) < mostWarned {
				list = append(list, weir.Problem{Object: changed.Ref.String(), Path: "spec.zone", Message: text})
			}
		}
	}
	return list
}

// wayless tells of applications that have no way out: of those that a change writes, and of those whose last it takes.
func (c *call) wayless(res result) (list []weir.Problem) {
	written, sites := map[weir.Ref]bool{}, false
	for _, changed := range res.Change.Objects {
		written[changed.Ref] = true
		sites = sites || changed.Kind == "Site"
	}
	for o := range res.After.All("EgressClient") {
		environment := o.Spec.(*weir.EgressClient).Environment
		if !written[o.Ref()] && (!sites || weir.NoWayOut(res.Before, environment) != "") {
			continue
		}
		why := weir.NoWayOut(res.After, environment)
		if why == "" || !c.sees(res.After, o.Ref().String()) {
			continue
		}
		if len(list) == mostWarned {
			break
		}
		list = append(list, weir.Problem{Object: o.Ref().String(), Path: "spec.environment", Message: why})
	}
	return list
}

// orphaned tells of discovery sources that go, and whose servers stay.
func orphaned(res result) (list []weir.Problem) {
	for _, changed := range res.Change.Objects {
		if changed.Kind != "DiscoverySource" || res.After.Get(changed.Ref) != nil {
			continue
		}
		n := 0
		for o := range res.After.All("Server") {
			if o.Metadata.ManagedBy == weir.ManagedByDiscovery+changed.Name {
				n++
			}
		}
		if n > 0 && len(list) < mostWarned {
			list = append(list, weir.Problem{Object: changed.Ref.String(), Message: fmt.Sprintf("its %s, and nobody keeps that up to date: delete what is of no use, or take it over with an empty metadata.managedBy; a source of the same name goes on with it", stay(n))})
		}
	}
	return list
}

func stay(n int) string {
	if n == 1 {
		return "1 server stays as it is"
	}
	return fmt.Sprintf("%d servers stay as they are", n)
}

// unproven tells of the names that a change has certificates ordered for, where no load balancer could answer the
// authority: the order would come to nothing after minutes.
func (c *call) unproven(res result) (list []weir.Problem) {
	provers := sync.OnceValue(func() *compile.Provers { return compile.NewProvers(res.After) })
	note := func(ref weir.Ref, path, issuer, name string) {
		if text := provers().Lacks(issuer, name); text != "" && len(list) < mostWarned {
			list = append(list, weir.Problem{Object: ref.String(), Path: path, Message: text})
		}
	}
	for _, changed := range res.Change.Objects {
		o := res.After.Get(changed.Ref)
		if o == nil || !c.sees(res.After, changed.Ref.String()) {
			continue
		}
		switch spec := o.Spec.(type) {
		case *weir.Certificate:
			for i, name := range spec.Names {
				if spec.Issuer != "" {
					note(changed.Ref, fmt.Sprintf("spec.names[%d]", i), spec.Issuer, name)
				}
			}
		case *weir.Site:
			told := map[string]bool{} // of a name with a certificate for each type of key
			for i, l := range spec.Listeners {
				for _, order := range spec.Orders(o.Metadata.Role, l) {
					if !told[order.Hostname] {
						told[order.Hostname] = true
						note(changed.Ref, fmt.Sprintf("spec.listeners[%d].tls.certificates", i), order.Issuer, order.Hostname)
					}
				}
			}
		}
	}
	return list
}
