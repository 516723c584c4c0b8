package weirtest

import (
	"fmt"

	"weir"
)

// logic is one that answers nothing but paths that nobody asks for.
func (w *world) logic(role string) *weir.Logic {
	l := &weir.Logic{
		Parameters: map[string]weir.LogicParameter{"n": {Type: weir.ParameterInt, Default: new(weir.LogicValue("1"))}},
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
	return l
}

// logics are those that a site or pool names.
func (w *world) logics(role string) (list []weir.LogicUse) {
	if !w.Logic || w.some(2) {
		return nil
	}
	for range 1 + w.rng.IntN(2) {
		if name := w.anyName("Logic", role); name != "" {
			use := weir.LogicUse{Name: name}
			if w.some(3) {
				use.With = map[string]weir.LogicValue{"n": weir.LogicValue(fmt.Sprint(w.rng.IntN(3)))}
			}
			list = append(list, use)
		}
	}
	return list
}
