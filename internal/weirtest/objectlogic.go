package weirtest

import (
	"fmt"
	"maps"
	"slices"

	"weir"
)

// logic is one that answers nothing but paths that nobody asks for.
func (w *world) logic(role string) *weir.Logic {
	l := &weir.Logic{
		Parameters: map[string]weir.LogicParameter{"n": {Type: weir.ParameterInt, Default: new(weir.LogicText("1"))}},
		Text:       fmt.Sprintf("http-request set-header X-Logic \"%d ${n}\" unless FALSE or { path /logic }\n", w.rng.IntN(3)),
	}
	if w.some(3) {
		l.Text += "http-response set-header X-Who ${zone}\n"
	}
	if name := w.anyName("AccessList", role); name != "" && w.some(2) {
		l.Text += "http-request deny if { path /logic } !{ client in " + name + " }\n"
	}
	if name := w.anyName("Map", role); name != "" && w.some(2) {
		l.Text += "http-request return status 200 content-type text/plain lf-string %[path,map(" + name + ")] if { path_beg /logic/ } { path,map(" + name + ") -m found }\n"
	}
	if name := w.anyName("AccessList", role); name != "" && w.some(2) {
		l.Parameters["who"] = weir.LogicParameter{Type: weir.ParameterAccessList, Default: &weir.LogicValue{AccessList: name}}
		l.Text += "http-request deny if { path /logic } { client in ${who} }\n"
	}
	if name := w.anyName("Map", role); name != "" && w.some(2) {
		l.Parameters["words"] = weir.LogicParameter{Type: weir.ParameterMap, Default: &weir.LogicValue{Map: name}}
		l.Text += "http-request set-header X-Word %[path,map(${words})] if { path_beg /logic/ }\n"
	}
	return l
}

// logics are those that a site or pool names.
func (w *world) logics(role string) (list []weir.LogicUse) {
	if !w.Logic || w.some(2) {
		return nil
	}
	for range 1 + w.rng.IntN(2) {
		o := w.any("Logic", role)
		if o == nil {
			continue
		}
		use := weir.LogicUse{Name: o.Metadata.Name, With: map[string]weir.LogicValue{}}
		if w.some(3) {
			use.With["n"] = weir.LogicText(fmt.Sprint(w.rng.IntN(3)))
		}
		parameters := o.Spec.(*weir.Logic).Parameters
		for _, name := range slices.Sorted(maps.Keys(parameters)) {
			is := parameters[name]
			switch v := (weir.LogicValue{AccessList: w.anyName("AccessList", role)}); {
			case is.Type == weir.ParameterAccessList && v.AccessList != "" && w.some(2):
				use.With[name] = v
			case is.Type == weir.ParameterMap && w.some(2):
				if v := (weir.LogicValue{Map: w.anyName("Map", role)}); v.Map != "" {
					use.With[name] = v
				}
			}
		}
		list = append(list, use)
	}
	return list
}
