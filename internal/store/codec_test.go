package store

import (
	"strings"
	"testing"
)

// What a damaged disk gives is an error, not a panic.
func FuzzStoredValues(f *testing.F) {
	body, err := bodyOf([]entry{{afterJSON: []byte(`{"kind":"Zone","metadata":{"name":"a"},"spec":{}}`)}})
	if err != nil {
		f.Fatal(err)
	}
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
