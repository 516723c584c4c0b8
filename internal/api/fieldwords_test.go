package api

import (
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"weir"
	"weir/internal/weirtest"
)

// TestSchemasTellWhatFieldsReferTo holds what schemas say of names against what objects of all kinds refer to, and
// every row against the schemas.
func TestSchemasTellWhatFieldsReferTo(t *testing.T) {
	r := newRegistry()
	for _, rt := range routes() {
		rt.operation(r)
	}
	if lost := tellWords(r); len(lost) > 0 {
		t.Errorf("fieldwords.go has rows of fields that are not there: %s", strings.Join(lost, ", "))
	}
	told := 0
	for seed := range uint64(20) {
		for o := range weirtest.RandomObjects(seed, weirtest.Options{}).Every() {
			kinds := map[string][]string{} // by path: a name can be a key and a value at one place
			for _, ref := range o.References() {
				kinds[ref.Path] = append(kinds[ref.Path], ref.Kind)
			}
			for path, want := range kinds {
				if untold.MatchString(o.Kind + ":" + path) {
					continue
				}
				got := refersAt(r, r.Map()[o.Kind], pathKeys.FindAllString(path, -1))
				if got == "" && len(want) == 1 && want[0] == "Zone" {
					continue // the key of a map
				}
				told++
				if !strings.Contains(strings.Join(want, " "), got) || got == "" {
					t.Errorf("%s: the schema says that %s names a %q, and it names a %s: put it into fieldKinds", o.Ref(), path, got, strings.Join(want, " and a "))
				}
			}
		}
	}
	if told < 1000 {
		t.Errorf("only %d references were looked at", told)
	}
}

var (
	pathKeys = regexp.MustCompile(`[^.\[\]]+`)
	// untold are names inside texts, and those that are something else besides.
	untold = regexp.MustCompile(`^(Logic:spec\.text|Grant:spec\.subject|Map:.*|(Site|Pool):spec\.logic\[\d+\]\..*)$`)
)

// refersAt follows a path through schemas.
func refersAt(r huma.Registry, s *huma.Schema, keys []string) string {
	for s != nil && s.Ref != "" {
		s = r.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return ""
	}
	if len(keys) == 0 {
		found := ""
		eachText(s, func(text *huma.Schema) {
			if kind, ok := text.Extensions[refersTo].(string); ok {
				found = kind
			}
		})
		return found
	}
	for _, form := range s.OneOf {
		if found := refersAt(r, form, keys); found != "" {
			return found
		}
	}
	if s.Properties[keys[0]] != nil {
		return refersAt(r, s.Properties[keys[0]], keys[1:])
	}
	if s.Items != nil {
		return refersAt(r, s.Items, keys[1:])
	}
	values, _ := s.AdditionalProperties.(*huma.Schema)
	return refersAt(r, values, keys[1:])
}

// TestSchemasTellWords that are those of the rules, which name them where another is refused.
func TestSchemasTellWords(t *testing.T) {
	pool := `{"kind":"Pool","metadata":{"name":"a","role":"web"},"spec":{"members":[{"name":"a","address":"192.0.2.1","port":80}],"FIELD":"nonsense"}}`
	for path, words := range fieldWords {
		kind, field, _ := strings.Cut(path, ".")
		if kind != "PoolSpec" {
			continue
		}
		_, err := weir.Decode("test", []byte(strings.ReplaceAll(pool, "FIELD", field)))
		if want := "must be one of " + strings.Join(words, ", "); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: nonsense is answered by %v, want %q", path, err, want)
		}
	}
}
