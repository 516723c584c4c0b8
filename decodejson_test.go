package weir

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// jsonTexts are JSON as programs write it, and as they should not.
var jsonTexts = []string{
	`{"kind":"Pool","metadata":{"name":"web","labels":{"a":"b"}},"spec":{"members":[{"name":"a","port":80}],"on":true,"off":false,"none":null}}`,
	"{\r\n\t\"kind\": \"Pool\",\n\n  \"spec\": [1, -2, 3.5, 1e9,\n 0]\n}\n",
	`[{"a":"x"},{"a":"y"},[]]`, `{}`, `[[[[[[]]]]]]`, ` [ ] `,
	`{"a":1,"a":2,"<<":{"b":1},"":"","null":"null","true":"true","1":"1","~":"~"}`,
	`{"a":"\u0041\n\t\"\\\/\b\f\r \ud83d\ude00 \u2028 ä €"}`,
	`{"a":"\ud83d"}`, `{"a":"\ude00\ud83d"}`, "{\"a\":\"\u00a0\u0085\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\ufffd\"}",
	`{"a":1}{"b":2}`, `{"a":1} x`, `{"a":1,}`, `{"a":01}`, `{a: b}`, "---\n{}", `{"a":&x 1}`, `{"a":.5}`, "# c\n{}", "\ufeff{}", `"text"`, `12`, `null`, ``,
}

func init() {
	deep := ""
	for range 3 * jsonDepth {
		deep = `{"a":` + deep
	}
	jsonTexts = append(jsonTexts, deep+"1")
}

// checkJSON holds what readJSON makes of a text against what the YAML reader makes of it.
func checkJSON(t *testing.T, text string) {
	t.Helper()
	got, ok := readJSON([]byte(text))
	if !ok {
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return // that YAML can't be made of it is no fault of JSON
	}
	sameNode(t, text, got, doc.Content[0])
}

func sameNode(t *testing.T, text string, got, want *yaml.Node) {
	t.Helper()
	quoted := got.Style & (yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle)
	wasQuoted := want.Style & (yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle)
	number := (got.Tag == "!!int" || got.Tag == "!!float") && (want.Tag == "!!int" || want.Tag == "!!float" || want.Tag == "!!str") && quoted == 0
	if got.Kind != want.Kind || got.Tag != want.Tag && !number || got.Value != want.Value || got.Line != want.Line || quoted != wasQuoted || len(got.Content) != len(want.Content) {
		t.Fatalf("%q: is %s %q (%v) on line %d, in YAML %s %q (%v) on line %d", text, got.Tag, got.Value, quoted, got.Line, want.Tag, want.Value, wasQuoted, want.Line)
	}
	for i := range got.Content {
		sameNode(t, text, got.Content[i], want.Content[i])
	}
}

func TestJSONIsReadAsYAMLIs(t *testing.T) {
	t.Parallel()
	read := 0
	for _, text := range jsonTexts {
		checkJSON(t, text)
		if _, ok := readJSON([]byte(text)); ok {
			read++
		}
	}
	if read != 8 {
		t.Errorf("%d of the texts were read as JSON, want the first 8", read)
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add(text)
	}
	f.Fuzz(checkJSON)
}

func BenchmarkDecodeJSON(b *testing.B) {
	text := []byte(`{"kind":"Server","metadata":{"name":"s000001","role":"web"},"spec":{"address":"10.0.0.1","zone":"az1","clusters":["p0001"],"ports":{"http":8080},"weight":7}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode("", text); err != nil {
			b.Fatal(err)
		}
	}
}
