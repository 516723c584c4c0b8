package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"weir"
	"weir/internal/weirtest"
)

var bodies = []string{
	seed, twoPools, "kind: [", "[]", "{}", "null", "- kind: Zone", `{"kind":"List","items":[{"kind":"Zone","metadata":{"name":"a"}}]}`,
	`{"kind":"ErrorPage","metadata":{"name":"a","role":"web"},"spec":{"body":"\ud83d\ude00\/\u0000\u2028"}}`,
	`{"kind":"Pool","metadata":{"name":"a","role":"web"},"spec":{"queue":{"timeout":"1m"},"selector":{"role":"web"},"port":8080}}`,
	`{"kind":"Site","metadata":{"name":"a","role":"web"},"spec":{"hostnames":["a.example"],"addresses":["vip1"],"listeners":[{"port":80}],"backends":{"default":{"az1":"web"}}}}`,
	"a: &a [*a]", "kind: Token\nmetadata: {name: t-owner}\nspec: {subject: owner}",
}

// TestMutatedBodies sends a fixed choice of broken bodies through everything: each gets a result or a problem of
// the client's, and a dry run stays dry.
func TestMutatedBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revision := w.store.Revision()
	taken := 0
	for text := range weirtest.Mutants(1, 1500, bodies...) {
		for _, kind := range []string{"application/yaml", "application/json"} {
			req := bodyRequest(text, kind)
			req.Header.Set("Authorization", "Bearer "+w.tokens["admin"])
			rec := newRecorder()
			w.handler.ServeHTTP(rec, req)
			a := answer{rec.Result(), rec.Body.Bytes()}
			switch {
			case rec.Code == 200:
				read[applyText](t, a)
				taken++
			case rec.Code >= 400 && rec.Code < 500:
				a.problem(t)
			default:
				t.Errorf("status %d: %s\nfor %q", rec.Code, rec.Body, text)
			}
		}
	}
	if w.store.Revision() != revision {
		t.Error("a dry run wrote")
	}
	if taken < 10 {
		t.Errorf("only %d bodies were good: the mutants are too wild to show anything", taken)
	}
}

func bodyRequest(text, kind string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/api/v1/apply?dryRun=true&plan=true", strings.NewReader(text))
	req.Header.Set("Content-Type", kind)
	return req
}

func decodeBody(text, kind string) ([]*weir.Object, error) {
	c := &call{h: &Handler{large: make(chan struct{}, 1)}, w: &recorder{ResponseWriter: newRecorder()}, r: bodyRequest(text, kind)}
	return c.manifest(maxManifestBody, manifestWithin)
}

// FuzzApplyBody reads bodies: what is refused is the client's fault and says so, and what is taken means the same
// when it is written as JSON and sent again.
func FuzzApplyBody(f *testing.F) {
	for _, text := range bodies {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, asJSON bool) {
		kind := "application/yaml"
		if asJSON {
			kind = "application/json"
		}
		list, err := decodeBody(text, kind)
		if err != nil {
			if p := problemOf(err, "x"); p.Status < 400 || p.Status > 499 || p.Detail == "" {
				t.Errorf("%+v", p)
			}
			return
		}
		for _, o := range list {
			raw, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			again, err := decodeBody(string(raw), "application/json")
			if err != nil {
				t.Fatalf("%v\nin %s", err, raw)
			}
			if second, _ := json.Marshal(again[0]); string(second) != string(raw) {
				t.Errorf("sent %s\nread %s", raw, second)
			}
		}
	})
}

// TestJSONIsReadOneWay holds what is read fast against what the YAML reader makes of the same.
func TestJSONIsReadOneWay(t *testing.T) {
	page := func(body string) string {
		return `{"kind":"ErrorPage","metadata":{"name":"a","role":"web"},"spec":{"body":` + body + `}}`
	}
	fast := 0
	for _, text := range []string{
		page(`"a\nb\t\"\\\/ä€😀"`), page(`"\u00e9\ud83d\ude00\u2028\u0085"`), page(`"\ud83d"`), page("\"a\u0085b\""), page(`"\u0000"`), page(`"a\r\nb"`), page(`12`),
		"{\"kind\":\"List\",\n\"items\":[" + page(`"a\n"`) + ",\n" + page(`null`) + ",{}]}", `[` + page(`"a"`) + `,` + page(`"\n"`) + `]`, `[]`, `{}`, `"text"`, `{"kind":"List","items":{}}`,
		`{"kind":"ErrorPage","kind":"Pool"}`, `{"kind":"Zone","metadata":{"name":"a\n"}}`,
	} {
		want, wantErr := weir.Decode("body", yamlStrings([]byte(text)))
		got, ok, err := weir.DecodeJSON("body", []byte(text))
		if !ok {
			continue
		}
		fast++
		if !reflect.DeepEqual(got, want) || fmt.Sprintf("%+v", err) != fmt.Sprintf("%+v", wantErr) {
			t.Errorf("%s:\n%+v, %v\nwant %+v, %v", text, got, err, want, wantErr)
		}
	}
	if fast < 10 {
		t.Errorf("%d texts were read fast", fast)
	}
}
