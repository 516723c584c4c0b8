package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/compile"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// TestHostileValuesNeverReachHAProxy puts hostile texts into every text field of a set of objects. What the rules
// let through must give a configuration with the lines of an innocent one, and one that HAProxy accepts.
func TestHostileValuesNeverReachHAProxy(t *testing.T) {
	t.Parallel()
	plain := weirtest.RandomObjects(1, weirtest.Options{Plain: true, Sealed: true})
	var objects []*weir.Object
	for _, kind := range weir.Kinds() {
		if kind.Name == "Certificate" {
			continue // what its text holds is looked at by the store
		}
		for o := range plain.All(kind.Name) {
			objects = append(objects, o)
		}
	}
	rounds, passed, refused := 1500, 0, 0
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 200_000
	}
	known := directives(t, plain)
	var kept []*weir.Set
	i := 0
	for text := range weirtest.Mutants(2, rounds, "www", "/a/b", "www.example.com", "10.0.0.1", "X-Tenant", "200-299", "text/html") {
		target := objects[i%len(objects)]
		i++
		mutant, ok := infect(target, i/len(objects), text)
		if !ok {
			continue
		}
		list, err := weir.Decode("mutant", []byte(toJSON(mutant)))
		if err != nil || len(list) != 1 {
			refused++
			continue
		}
		after := plain.Copy()
		after.Put(list[0])
		if len(weir.Check(plain, after, []weir.Ref{list[0].Ref()})) > 0 {
			refused++
			continue
		}
		passed++
		for line := range directives(t, after) {
			if !known[line] {
				t.Fatalf("%s with %q makes a directive of its own: %q", target.Ref(), text, line)
			}
		}
		if passed%25 == 1 {
			kept = append(kept, after)
		}
	}
	if passed < rounds/100 || refused < rounds/100 {
		t.Fatalf("%d were refused and %d passed: that shows nothing", refused, passed)
	}
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for _, set := range kept {
			accepted(t, h, set)
		}
	})
}

// infect gives an object with its nth text field changed.
func infect(o *weir.Object, n int, text string) (any, bool) {
	var raw any
	if err := json.Unmarshal([]byte(toJSON(o)), &raw); err != nil {
		return nil, false
	}
	var places []func()
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		switch v := v.(type) {
		case string:
			places = append(places, func() { set(text) })
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key], func(to any) { v[key] = to })
				places = append(places, func() { v[text] = v[key]; delete(v, key) })
			}
		case []any:
			for i := range v {
				walk(v[i], func(to any) { v[i] = to })
			}
		}
	}
	walk(raw, func(any) {})
	if len(places) == 0 {
		return nil, false
	}
	places[(n*7+len(text))%len(places)]()
	return raw, true
}

// directives are the shapes of all lines of all load balancers: the first words, as far as they are Weir's own.
func directives(t *testing.T, set *weir.Set) map[string]bool {
	t.Helper()
	shapes := map[string]bool{}
	for o := range set.All("LoadBalancer") {
		for _, version := range []haproxy.Version{{Major: 3, Minor: 4}, {Major: 3, Minor: 2}} {
			config := rendered(t, set, o.Metadata.Name, version)
			for _, f := range config.Files() {
				for line := range strings.Lines(f.Content) {
					words := strings.Fields(line)
					switch {
					case len(words) == 0 || strings.Contains(f.Path, ".ca.pem"):
					case f.Path != haproxy.ConfigFile && !strings.HasSuffix(f.Path, ".list"):
						// A map's line is a key and a value, and nothing begins a comment.
						shapes[fmt.Sprintf("a map's line of %d words, comment %t", len(words), words[0][0] == '#')] = true
					case f.Path != haproxy.ConfigFile:
						shapes["a list's line"] = true
					case len(words) > 1 && (words[0] == "http-request" || words[0] == "tcp-request"):
						shapes[words[0]+" "+words[1]] = true
					default:
						shapes[words[0]] = true
					}
					if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }); i >= 0 {
						t.Fatalf("%s holds a control character: %q", f.Path, line)
					}
				}
			}
		}
	}
	return shapes
}

func rendered(t *testing.T, set *weir.Set, name string, version haproxy.Version) haproxy.Config {
	t.Helper()
	node, _, err := compile.Node(set, name)
	if err != nil {
		t.Fatal(err)
	}
	node, _ = node.At(time.Now())
	return haproxy.Render(node, haproxy.Env{Version: version})
}

// accepted lets HAProxy read the configurations of a set.
func accepted(t *testing.T, h weirtest.HAProxy, set *weir.Set) {
	t.Helper()
	version, err := haproxy.ParseVersion(h.Version)
	if err != nil {
		t.Fatal(err)
	}
	for o := range set.All("LoadBalancer") {
		dir := weirtest.TempDir(t)
		config := rendered(t, set, o.Metadata.Name, version)
		for _, c := range config.Certs {
			if !c.Authority {
				put(t, filepath.Join(dir, c.Path), c.Chain.String()+weirtest.CertificateKey(c.Chain.String()))
			}
		}
		placeholder := newAuthority(t, "ca").issue("weir.invalid")
		put(t, filepath.Join(dir, haproxy.PlaceholderCert), placeholder.chain+placeholder.key)
		put(t, filepath.Join(dir, haproxy.StateFile), "")
		for _, f := range config.Files() {
			put(t, filepath.Join(dir, f.Path), f.Content)
		}
		// A regex is for HAProxy's own library to judge: a bad one is refused then, and quarantined.
		if err := hapctl.Check(t.Context(), h.Path, dir, haproxy.ConfigFile); err != nil && !strings.Contains(err.Error(), "regex") {
			t.Errorf("%s: %v", o.Ref(), err)
		}
		return // one load balancer of a set is enough: the others have the same text
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
