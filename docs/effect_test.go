package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"weir"
	"weir/internal/compile"
	"weir/internal/haproxy"
	"weir/internal/plan"
)

// versions are the HAProxy versions that the reference speaks of, newest first.
var versions = []haproxy.Version{{Major: 3, Minor: 4}, {Major: 3, Minor: 2}}

// kindEffects are the changes of one kind, as testdata/effects.yaml holds them.
type kindEffects struct {
	Kind string `yaml:"kind"`
	// Base is the object that the changes are made to.
	Base string `yaml:"base"`
	// Untold says why no load balancer is told of the kind; its fields have no cases then.
	Untold string `yaml:"untold"`
	// New is an object to be made, and deleted again.
	New *struct {
		When     string `yaml:"when"`
		Manifest string `yaml:"manifest"`
	} `yaml:"new"`
	Fields map[string]fieldEffects `yaml:"fields"`
}

type fieldEffects struct {
	// Says stands for a comment that the field does not have in the source.
	Says string `yaml:"says"`
	// Made fields are the control plane's own.
	Made  bool         `yaml:"made"`
	Cases []changeCase `yaml:"cases"`
}

// changeCase is one change of a field.
type changeCase struct {
	When    string         `yaml:"when"`
	Object  string         `yaml:"object"`
	Set     map[string]any `yaml:"set"`
	Refused string         `yaml:"refused"`
	// Renew gives a certificate another chain and key.
	Renew bool `yaml:"renew"`
}

func readEffects(t *testing.T) []kindEffects {
	t.Helper()
	file, err := os.Open("testdata/effects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list []kindEffects
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// fleet is the base of all changes.
type fleet struct {
	t   *testing.T
	set *weir.Set
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	text, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	list, err := weir.Decode("testdata/base.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"www", "www2", "client", "authority", "authority2", "early"} {
		c := certificate(t, int64(i))
		if strings.HasPrefix(name, "authority") {
			c.KeyRef = nil
		}
		list = append(list, &weir.Object{Kind: "Certificate", Metadata: weir.Metadata{Name: name, Role: "web"}, Spec: c})
	}
	has := weir.Order{Role: "web", Hostname: "auto.example.com", KeyType: "ecdsa-256", Issuer: "inside"}
	list = append(list, orderedCertificate(t, has, 97))
	f := &fleet{t: t, set: weir.NewSet(list...)}
	f.obeys("the base", weir.NewSet(), f.set, list)
	// What Site/auto would have ordered after its changes has come already.
	fromOther, ofOther := has, has
	fromOther.Issuer, ofOther.KeyType = "public", "rsa-2048"
	f.set.Put(orderedCertificate(t, fromOther, 96))
	f.set.Put(orderedCertificate(t, ofOther, 95))
	return f
}

// orderedCertificate is a certificate that was ordered for a site with certificates: auto, and has come.
func orderedCertificate(t *testing.T, order weir.Order, serial int64) *weir.Object {
	o, pair := order.Certificate(), certificate(t, serial)
	spec := o.Spec.(*weir.Certificate)
	spec.Chain, spec.KeyRef, spec.Info = pair.Chain, pair.KeyRef, pair.Info
	return o
}

func (f *fleet) obeys(what string, before, after *weir.Set, written []*weir.Object) {
	f.t.Helper()
	if problems := check(before, after, written); len(problems) > 0 {
		f.t.Fatalf("%s: %v", what, problems)
	}
}

func check(before, after *weir.Set, written []*weir.Object) []weir.Problem {
	var refs []weir.Ref
	for _, o := range written {
		refs = append(refs, o.Ref())
	}
	return weir.Check(before, after, refs)
}

// effects tells, for each version, what bringing lb1 from one set to another takes.
func effects(t *testing.T, before, after *weir.Set) []string {
	t.Helper()
	var list []string
	for _, v := range versions {
		p := plan.Diff(rendered(t, before, v), rendered(t, after, v))
		switch {
		case p.Empty():
			list = append(list, "nothing")
		case len(p.Reload) > 0:
			list = append(list, "**reload**")
			inWords(t, p.Reload)
		default:
			list = append(list, "run time")
		}
	}
	return list
}

// inWords lets no reason of a change that the reference speaks of quote HAProxy's file, and none lack a why.
func inWords(t *testing.T, reasons []plan.Reason) {
	t.Helper()
	for _, r := range reasons {
		if strings.ContainsAny(r.Text, "“") || !strings.Contains(r.Text, ": HAProxy ") {
			t.Errorf("a reason to reload that not everybody can read: %s", r)
		}
	}
}

// rendered is what lb1 is told, by an agent that is root.
func rendered(t *testing.T, set *weir.Set, v haproxy.Version) haproxy.Config {
	t.Helper()
	node, problems, err := compile.Node(set, "lb1")
	problems = slices.DeleteFunc(problems, func(p weir.Problem) bool { return strings.Contains(p.Message, "HTTP/3 is left out") }) // where it has a namespace
	problems = slices.DeleteFunc(problems, func(p weir.Problem) bool { return strings.Contains(p.Message, " was revoked;") })
	if err != nil || len(problems) > 0 {
		t.Fatalf("compile: %v %v", problems, err)
	}
	node, _ = node.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	tuning := node.Tuning
	tuning.Normalize()
	return haproxy.Render(node, haproxy.Env{Version: v, User: tuning.User, Group: tuning.Group})
}

// try makes a change and tells its effects by version; a change that must be refused has none.
func (f *fleet) try(base string, c changeCase) ([]string, error) {
	if c.Object != "" {
		base = c.Object
	}
	kind, name, _ := strings.Cut(base, "/")
	before := f.set.Get(weir.Ref{Kind: kind, Name: name})
	if before == nil {
		return nil, fmt.Errorf("there is no %s in base.yaml", base)
	}
	after, err := changed(f.t, before, c)
	if err != nil {
		return nil, err
	}
	set := f.set.Copy()
	set.Put(after)
	problems := check(f.set, set, []*weir.Object{after})
	switch {
	case c.Refused != "" && len(problems) == 0:
		return nil, fmt.Errorf("%s: is not refused", base)
	case c.Refused != "":
		return nil, nil
	case len(problems) > 0:
		return nil, fmt.Errorf("%s: %v", base, problems)
	}
	return effects(f.t, f.set, set), nil
}

// changed gives an object with the change made, decoded like any other.
func changed(t *testing.T, o *weir.Object, c changeCase) (*weir.Object, error) {
	if c.Renew {
		renewed := o.Clone()
		renewed.Spec = certificate(t, 99)
		return renewed, nil
	}
	spec, err := json.Marshal(o.Spec)
	if err != nil {
		return nil, err
	}
	metadata, err := json.Marshal(o.Metadata)
	if err != nil {
		return nil, err
	}
	parts := map[string]any{"kind": o.Kind}
	for name, raw := range map[string][]byte{"spec": spec, "metadata": metadata} {
		var part map[string]any
		if err := json.Unmarshal(raw, &part); err != nil {
			return nil, err
		}
		parts[name] = part
	}
	for path, value := range c.Set {
		root := "spec"
		if rest, meta := strings.CutPrefix(path, "metadata."); meta {
			root, path = "metadata", rest
		}
		if err := put(parts[root], path, value); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	raw, err := yaml.Marshal(parts)
	if err != nil {
		return nil, err
	}
	list, err := weir.Decode("changed", raw)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// put sets a value at a path such as "listeners[0].tls.alpn"; nil takes it away.
func put(root any, path string, value any) error {
	words := strings.Split(path, ".")
	for i, word := range words {
		name, rest, _ := strings.Cut(word, "[")
		m, ok := root.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is below something that has no fields", word)
		}
		last := i == len(words)-1
		switch {
		case last && value == nil:
			delete(m, name)
			return nil
		case last:
			m[name] = value
			return nil
		case rest != "":
			list, _ := m[name].([]any)
			n, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
			if err != nil || n >= len(list) {
				return fmt.Errorf("%s has no such place", name)
			}
			root = list[n]
		default:
			if m[name] == nil {
				m[name] = map[string]any{}
			}
			root = m[name]
		}
	}
	return nil
}

// makeAndDelete tells the effects of a new object and of its deletion.
func (f *fleet) makeAndDelete(manifest string) (made, deleted []string) {
	f.t.Helper()
	list, err := weir.Decode("new", []byte(manifest))
	if err != nil {
		f.t.Fatal(err)
	}
	set := f.set.Copy()
	for _, o := range list {
		set.Put(o)
	}
	f.obeys("new object", f.set, set, list)
	f.obeys("deletion", set, f.set, list)
	return effects(f.t, f.set, set), effects(f.t, set, f.set)
}

// untold checks that a kind makes no difference to any load balancer.
func (f *fleet) untold(kind string) {
	f.t.Helper()
	without := weir.NewSet()
	for o := range f.set.Every() {
		if o.Kind != kind {
			without.Put(o)
		}
	}
	if got := effects(f.t, f.set, without); slices.ContainsFunc(got, func(e string) bool { return e != "nothing" }) {
		f.t.Errorf("load balancers are told of %s: %v", kind, got)
	}
}
