package main

import (
	"maps"
	"slices"

	"weir"
)

func logicCells(_ *facts, o *object) []cell {
	l := o.Spec.(*weir.Logic)
	raw := cell{}
	if l.Raw {
		raw = cell{text: "raw", tone: warning}
	}
	return append(words(l.Description, brief(slices.Sorted(maps.Keys(l.Parameters)), 4)), raw, programmed(o))
}
