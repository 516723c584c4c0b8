package docs

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir"
)

// examples are the folders of deploy/examples, relative to the root.
func examples(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../deploy/examples/*")
	if err != nil || len(found) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], "../")
	}
	return found
}

// manifestsIn decodes all manifests of a folder.
func manifestsIn(t *testing.T, dir string) []*weir.Object {
	t.Helper()
	files, err := filepath.Glob("../" + dir + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no manifests: %v", dir, err)
	}
	var list []*weir.Object
	for _, file := range files {
		file = strings.TrimPrefix(file, "../")
		objects, err := weir.Decode(file, []byte(read(t, file)))
		if err != nil {
			t.Error(err)
		}
		list = append(list, objects...)
	}
	return list
}

// TestExamplesOfEdges holds each example by itself, and all of them together, against the rules, and asks for a README
// that people find and that shows how to apply it. None has an object of another's, or of the demo's, so that they can be
// tried side by side.
func TestExamplesOfEdges(t *testing.T) {
	t.Parallel()
	all, err := weir.Decode("demo", []byte(strings.ReplaceAll(read(t, "cmd/weir/demo/objects.yaml"), "BASE", "127.77")))
	if err != nil {
		t.Fatal(err)
	}
	of := map[weir.Ref]string{{Kind: "Certificate", Name: "www"}: "the demo"}
	for _, o := range all {
		of[o.Ref()] = "the demo"
	}
	all = nil
	for _, dir := range examples(t) {
		list := manifestsIn(t, dir)
		for _, p := range check(weir.NewSet(), weir.NewSet(list...), list) {
			t.Errorf("%s: %s", dir, p)
		}
		for _, o := range list {
			if other, is := of[o.Ref()]; is {
				t.Errorf("%s: %s is one of %s, too", dir, o.Ref(), other)
			}
			of[o.Ref()] = dir
		}
		all = append(all, list...)
		readme := dir + "/README.md"
		if !strings.Contains(read(t, "README.md"), "("+readme+")") {
			t.Errorf("README.md does not lead to %s", readme)
		}
		applied := func(b block) bool { return b.lang == "sh" && strings.Contains(b.text, "weir apply -f "+dir+" ") }
		if !slices.ContainsFunc(blocksOf(t, readme), applied) {
			t.Errorf("%s does not show weir apply -f %s", readme, dir)
		}
	}
	for _, p := range check(weir.NewSet(), weir.NewSet(all...), all) {
		t.Errorf("all examples together: %s", p)
	}
}
