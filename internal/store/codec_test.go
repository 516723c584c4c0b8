package store

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"weir"
)

// What a damaged disk gives is an error, not a panic.
func FuzzStoredValues(f *testing.F) {
	body := bodyOf([]entry{{afterJSON: []byte(`{"kind":"Zone","metadata":{"name":"a"},"spec":{}}`)}})
	value, err := changeValue(header{Revision: 3, Author: "a"}, body)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	object, _ := objectValues(7, []byte(`{"kind":"Zone","metadata":{"name":"a"},"spec":{}}`))
	f.Add(object)
	f.Add(pack([]byte(strings.Repeat("long ", 1000))))
	f.Fuzz(func(_ *testing.T, value []byte) {
		if h, body, err := parseChangeValue(value); err == nil {
			_, _ = entriesOf(h.Revision, body)
		}
		if revision, _, packed, err := parseObjectValue(value); err == nil {
			_, _ = objectFrom(revision, packed)
		}
		_, _ = unpack(value)
	})
}

// TestBodiesAreJSON holds what is written by hand against what json.Marshal writes, and what is read of it.
func TestBodiesAreJSON(t *testing.T) {
	zone := &weir.Object{Kind: "Zone", Metadata: weir.Metadata{Name: "a", Labels: map[string]string{"a": "<&>\u2028\n"}}, Spec: &weir.Zone{}, Revision: 7}
	raw, err := canonical(zone)
	if err != nil {
		t.Fatal(err)
	}
	all := []entry{{after: zone, afterJSON: raw}, {before: zone, beforeJSON: raw}, {before: zone, beforeJSON: raw, after: zone, afterJSON: raw}, {}}
	for n := range len(all) + 1 {
		list := make([]bodyEntry, n)
		for i, e := range all[:n] {
			if list[i] = (bodyEntry{Before: e.beforeJSON, After: e.afterJSON}); e.before != nil {
				list[i].BeforeRevision = e.before.Revision
			}
		}
		want, err := json.Marshal(list)
		if got := appendBody(nil, all[:n]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s, want %s, %v", got, want, err)
		}
	}
}
