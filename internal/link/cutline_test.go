package link

import (
	"reflect"
	"testing"

	"weir"
	"weir/internal/ir"
)

// FuzzCutPut holds the fast reader against the one of all JSON: what it reads is the same.
func FuzzCutPut(f *testing.F) {
	c := ir.Certificate{Name: "www", Chain: weir.NewChain("-----BEGIN\n\n-----END CERTIFICATE-----\nrest\n"), Key: &weir.SealedRef{Generation: 1, Fingerprint: "f"}}
	f.Add(string(appendPut(nil, []*ir.Resource{
		{ID: "certificate/www", Certificate: &c}, {ID: "map/x", Body: []byte(`{"a":"\\\"}","b":[{"c":1}]}`)}, {ID: "page/x", Body: []byte(`{}`)},
	})))
	for _, text := range []string{
		`{"put":[{"id":"map/x","body":{"a":"\\"}}]}`, `{"put":[{"id":"map/x","body":{"a":"}"}}]}`, `{"put":[{"id":"map/x","body":{"a":1}},{"id":"map/x","body":{}}]}`,
		`{"put":[]}`, `{"put":[{"id":"map/x","body":1}]}`, `{"put":[{"id":"map/x","body":{a}}]}`, `{"put":[{"id":"map/x","body":{"a":"`, `{"put":[{"id":"map/x","body":{}}],"rev":1}`,
		`{"put":[{"id":"map/x","body":{}}]} `, `{"put":[{"id":"certificate/x","body":{"name":1}}]}`, `{"put":[{"id":"certificate/x","body":{"name":"x","chain":"c","z":2}}]}`,
		`{"put":[{"id":"a\u0062","body":{}}]}`, `{"put":[{"id":"map/x","body":{}},]}`, `{"put":[{"id":"map/x","body":}}]}`, `{"put":[{"id":"map/x","body":{"a":[}]}}]}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fast, ok := cutPut([]byte(text))
		if !ok {
			return
		}
		slow, err := decodeSlowly([]byte(text))
		if err != nil {
			t.Fatalf("%q was read, and is no message: %v", text, err)
		}
		for id, r := range fast.read {
			if again := ir.NewResource(id, r.JSON()); !reflect.DeepEqual(again, r) {
				t.Errorf("%q: %s was read as %+v, not %+v", text, id, r, again)
			}
		}
		if fast.read = nil; !reflect.DeepEqual(fast, slow) {
			t.Errorf("%q was read as %+v, not %+v", text, fast, slow)
		}
	})
}
