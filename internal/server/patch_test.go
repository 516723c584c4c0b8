package server

import (
	"testing"
	"unsafe"

	"weir/internal/ir"
)

// What is replaced leaves its ID to its successor, so that parts of it which others remember are in memory once.
func TestPatchKeepsIDs(t *testing.T) {
	t.Parallel()
	of := func(ids ...string) (list []*ir.Resource) {
		for _, id := range ids {
			list = append(list, &ir.Resource{ID: string([]byte(id))})
		}
		return list
	}
	old, put := of("a", "b", "d"), of("b", "c")
	list := patch(old, put, []string{"a"})
	if len(list) != 3 || list[0] != put[0] || list[1] != put[1] || list[2] != old[2] {
		t.Fatalf("%v", list)
	}
	if unsafe.StringData(list[0].ID) != unsafe.StringData(old[1].ID) || list[0].ID != "b" || list[1].ID != "c" {
		t.Error("the ID of what was replaced is in memory twice")
	}
}
