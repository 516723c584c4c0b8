// Package docs holds the tests of the documents: what they say is generated, run, or compared with what is so.
package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir"
)

var update = flag.Bool("update", false, "write the generated documents anew")

// TestReferenceIsGenerated holds reference.md against the types, their comments and the planner. A field without a
// change in testdata/effects.yaml fails, and so does a change of a field that is gone.
func TestReferenceIsGenerated(t *testing.T) {
	r := &reference{t: t, fleet: newFleet(t), docs: fieldDocs(t), facts: map[string]map[string]fieldFacts{}}
	r.write()
	generated(t, "reference.md", r.out.Bytes())
	facts, err := json.MarshalIndent(r.facts, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	generated(t, "../internal/api/fieldfacts.json", append(facts, '\n'))
}

// fieldFacts are what the API tells of a field besides its shape, by kind and path.
type fieldFacts struct {
	Default  string `json:"default,omitempty"`
	Changing string `json:"changing,omitempty"`
}

// fact notes a row of the reference for the API.
func (r *reference) fact(kind string, f field, cells []string) {
	facts := fieldFacts{Default: f.fallback, Changing: cells[0]}
	if cells[1] != cells[0] {
		facts.Changing = fmt.Sprintf("HAProxy 3.4: %s; 3.2: %s", cells[0], cells[1])
	}
	facts.Changing = strings.ReplaceAll(facts.Changing, "**", "")
	if facts.Changing == "–" || strings.HasPrefix(facts.Changing, "see below") {
		facts.Changing = ""
	}
	if r.facts[kind] == nil {
		r.facts[kind] = map[string]fieldFacts{}
	}
	if facts != (fieldFacts{}) {
		r.facts[kind][f.path] = facts
	}
}

// generated holds a file against what it must be, or writes it with -update.
func generated(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what the code says now; look at the difference of: go test ./docs -run %s -update", file, t.Name())
	}
}

type reference struct {
	t     *testing.T
	fleet *fleet
	docs  map[string]string
	facts map[string]map[string]fieldFacts
	out   bytes.Buffer
}

func (r *reference) line(format string, args ...any) { fmt.Fprintf(&r.out, format+"\n", args...) }

const referenceHead = `# Reference of the objects

Generated from the types and the planner by ` + "`go test ./docs -run TestReferenceIsGenerated -update`" + `; not to be edited.

Every object is a mapping of ` + "`kind`, `metadata` and `spec`" + `; the control plane adds ` + "`status` and `revision`" + ` when it is read.
Unknown fields and duplicate keys are refused.
[architecture.md](architecture.md) shows an example of each kind, [cli.md](cli.md) the commands.

*Default* is what the field gets when it is left out; for fields below others, when those are there.
The last two columns say what a change of the field takes on a load balancer that runs HAProxy 3.4 or 3.2, as the planner answers for the change made to a fleet of examples:

- **run time**: commands on HAProxy's run-time socket, no reload;
- **reload**: one hitless reload of each load balancer concerned, which ` + "`weir plan`" + ` names with its reasons;
- nothing: HAProxy is not told.

What is not in use by a group, as a Pool that no Site names, is nowhere in HAProxy, so making, changing and deleting it takes nothing.`

func (r *reference) write() {
	r.line("%s", referenceHead)
	list := readEffects(r.t)
	r.line("\nContents: [every object](#every-object)%s.", r.contents())
	seen := map[string]bool{}
	for _, e := range list {
		seen[e.Kind] = true
		if e.Kind == "Metadata" {
			r.line("\n## Every object\n\nThe fields of `metadata`; the changes are made to a Pool.\n")
			r.table(e, fieldsOf(reflect.TypeFor[weir.Metadata](), r.docs, ""))
			continue
		}
		k, ok := weir.KindByName(e.Kind)
		if !ok || k.ReadOnly {
			r.t.Errorf("effects.yaml: %s is no kind that people write", e.Kind)
			continue
		}
		r.kind(k, e)
	}
	for _, k := range weir.Kinds() {
		if k.ReadOnly {
			r.line("\n## %s\n\n%s Made by Weir itself and only read, as `weir history` does.", k.Name, k.Doc)
		} else if !seen[k.Name] {
			r.t.Errorf("effects.yaml has nothing of kind %s", k.Name)
		}
	}
}

func (r *reference) contents() string {
	var b strings.Builder
	for _, k := range weir.Kinds() {
		fmt.Fprintf(&b, " · [%s](#%s)", k.Name, strings.ToLower(k.Name))
	}
	return b.String()
}

func (r *reference) kind(k weir.Kind, e kindEffects) {
	r.line("\n## %s\n\n%s", k.Name, k.Doc)
	who := "Written by an admin."
	if !k.Platform {
		who = fmt.Sprintf("Written by the %s of its role; without a role by an admin.", k.Write)
	}
	words := append([]string{k.Plural}, k.Short...)
	r.line("%s On the command line: `%s`.", who, strings.Join(words, "`, `"))
	fields := fieldsOf(reflect.TypeOf(k.New()), r.docs, "")
	withDefaults(k.New, fields)
	if e.Untold != "" {
		r.fleet.untold(k.Name)
		r.line("No load balancer is told of it: %s", lowerFirst(e.Untold))
	}
	if e.New != nil {
		made, deleted := r.fleet.makeAndDelete(e.New.Manifest)
		r.line("\n| | 3.4 | 3.2 |\n|---|---|---|")
		if e.New.When != "" {
			e.New.When = ", " + e.New.When
		}
		r.line("| a new one%s | %s |", e.New.When, strings.Join(made, " | "))
		r.line("| its deletion | %s |", strings.Join(deleted, " | "))
	}
	r.line("")
	r.table(e, fields)
	if k.Name == "DiscoverySource" {
		r.templates()
	}
}

// templates lists what the templates of a source may name.
func (r *reference) templates() {
	r.line("\nWhat `${…}` in `server` may name, by what the source is of; `label.*` is `label.` and any name, `*` any field that the instance has.\n\n| of | fields |\n|---|---|")
	for _, driver := range []string{"consul", "zookeeper", "dns", "dns srv", "kubernetes", "file", "url"} {
		fields := weir.SourceFields(driver)
		if len(fields) == 0 {
			r.t.Errorf("nothing is known of the driver %s", driver)
		}
		r.line("| `%s` | `%s` |", strings.Replace(driver, "dns srv", "dns` with `srv", 1), strings.Join(fields, "`, `"))
	}
}

func (r *reference) table(e kindEffects, fields []field) {
	r.line("| field | is | default | means | 3.4 | 3.2 |\n|---|---|---|---|---|---|")
	known := map[string]bool{}
	for _, f := range fields {
		known[f.path] = true
		effect, ok := e.Fields[f.path]
		if !ok {
			r.t.Errorf("%s: %s has no row in effects.yaml", e.Kind, f.path)
			continue
		}
		cells := r.cells(e, f, effect)
		r.fact(e.Kind, f, cells)
		r.line("| `%s` | %s | %s | %s | %s |", f.path, f.form, code(f.fallback), r.means(e.Kind, f, effect), strings.Join(cells, " | "))
	}
	for path := range e.Fields {
		if !known[path] {
			r.t.Errorf("effects.yaml: %s has no field %s", e.Kind, path)
		}
	}
}

// means is the comment of the field, or what stands for a missing one; both are one too many.
func (r *reference) means(kind string, f field, e fieldEffects) string {
	name := f.path[strings.LastIndex(f.path, ".")+1:]
	if first, rest, _ := strings.Cut(f.doc, " "); strings.EqualFold(first, name) {
		f.doc = code(name) + " " + rest // people write the field's name, not Go's
	}
	if f.doc != "" && e.Says != "" && kind != "Metadata" && !strings.Contains(e.Says, "not yet") {
		r.t.Errorf("%s: %s has a comment in the source; take its «says» out of effects.yaml", kind, f.path)
	}
	text := strings.TrimSpace(f.doc + " " + e.Says)
	if text == "" && !e.Made {
		r.t.Errorf("%s: %s has neither a comment nor a «says»", kind, f.path)
	}
	if e.Made && text == "" {
		text = code(name) + " is made by the control plane."
	}
	return cell(text)
}

// cells are the effects by version.
func (r *reference) cells(e kindEffects, f field, effect fieldEffects) []string {
	if e.Untold != "" || effect.Made || e.Kind == "Metadata" && f.path == "name" {
		return []string{"–", "–"}
	}
	if len(effect.Cases) == 0 && f.form != "fields" {
		r.t.Errorf("%s: %s has no change in effects.yaml", e.Kind, f.path)
	}
	parts := make([][]string, len(versions))
	for _, c := range effect.Cases {
		got, err := r.fleet.try(e.Base, c)
		if err != nil {
			r.t.Errorf("%s: %s: %v", e.Kind, f.path, err)
			continue
		}
		for i := range versions {
			switch {
			case c.Refused != "":
				parts[i] = append(parts[i], "refused "+c.Refused)
			case c.When != "":
				parts[i] = append(parts[i], c.When+": "+got[i])
			default:
				parts[i] = append(parts[i], got[i])
			}
		}
	}
	cells := make([]string, len(versions))
	for i, list := range parts {
		if len(list) == 0 {
			list = []string{"see below"}
		}
		cells[i] = cell(strings.Join(slices.Compact(list), "; "))
	}
	return cells
}

func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(text)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

func lowerFirst(text string) string { return strings.ToLower(text[:1]) + text[1:] }
