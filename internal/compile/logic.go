package compile

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// siteLogic gives what of a site's logic can be done, and adds the backends that it sends requests to.
func (b *builder) siteLogic(ref weir.Ref, spec *weir.Site, s *ir.Site) []weir.LogicUse {
	return b.uses(ref, func(path string, use weir.LogicUse, program *weir.LogicProgram) bool {
		for _, name := range program.Backends() {
			if hasBackend(s.Backends, name) {
				continue
			}
			backend, ok := b.backend(ref, spec, name)
			if !ok {
				b.problems.add(ref, path, "Logic/%s sends requests to the backend %q, which has no pool that can be used; the logic is left out", use.Name, name)
				return false
			}
			s.Backends = append(s.Backends, backend)
			slices.SortFunc(s.Backends, func(x, y ir.Backend) int { return strings.Compare(x.Name, y.Name) })
		}
		return true
	})
}

func (b *builder) poolLogic(name string) []weir.LogicUse {
	return b.uses(weir.Ref{Kind: "Pool", Name: name}, func(string, weir.LogicUse, *weir.LogicProgram) bool { return true })
}

// uses gives the logic that a site or pool names, as far as it is there and can be read with the values given.
func (b *builder) uses(ref weir.Ref, takes func(path string, use weir.LogicUse, program *weir.LogicProgram) bool) (list []weir.LogicUse) {
	uses, context := weir.LogicOf(b.set.Get(ref))
	for i, use := range uses {
		path := fmt.Sprintf("spec.logic[%d]", i)
		l := weir.Find[weir.Logic](b.set, "Logic", use.Name)
		if l == nil {
			b.problems.add(ref, path, "Logic/%s does not exist; nothing is done of it", use.Name)
			continue
		}
		program, problems := l.Bind(use.With, context)
		if len(problems) > 0 {
			b.problems.add(ref, path, "Logic/%s can't be read: %s; nothing is done of it", use.Name, problems[0].Message)
			continue
		}
		b.lacking(ref, path, use)
		if takes(path, use, program) {
			list = append(list, use)
		}
	}
	return list
}

// lacking tells of what the values of a use name that is not there.
func (b *builder) lacking(ref weir.Ref, path string, use weir.LogicUse) {
	for _, name := range sortedKeys(use.With) {
		for kind, named := range map[string]string{"AccessList": use.With[name].AccessList, "Map": use.With[name].Map} {
			if named != "" && !b.exists(kind, named) {
				b.problems.add(ref, path+".with."+name, "%s/%s does not exist; nothing is found in it", kind, named)
			}
		}
	}
}

// logic gives a Logic without what is for people alone, and marks the lists and maps that it looks up.
func (b *builder) logic(name string, lists, used map[string]bool) ir.Logic {
	object := b.set.Get(weir.Ref{Kind: "Logic", Name: name})
	l := ir.Logic{Name: name, Logic: *object.Spec.(*weir.Logic)}
	l.Description = ""
	if len(l.Parameters) > 0 {
		plain := make(map[string]weir.LogicParameter, len(l.Parameters))
		for name, is := range l.Parameters {
			is.Description = ""
			plain[name] = is
		}
		l.Parameters = plain
	}
	for _, r := range object.Spec.References() {
		switch {
		case !b.exists(r.Kind, r.Name):
			b.problems.add(object.Ref(), r.Path, "%s does not exist; nothing is found in it", r.Ref)
		case r.Kind == "AccessList":
			mark(lists, r.Name)
		case r.Kind == "Map":
			mark(used, r.Name)
		}
	}
	return l
}

// markLogic marks the Logics that are used, and the lists and maps that their values name.
func (b *builder) markLogic(logics, lists, used map[string]bool, uses []weir.LogicUse) {
	for _, use := range uses {
		mark(logics, use.Name)
		for _, v := range use.With {
			if b.exists("AccessList", v.AccessList) {
				mark(lists, v.AccessList)
			}
			if b.exists("Map", v.Map) {
				mark(used, v.Map)
			}
		}
	}
}
