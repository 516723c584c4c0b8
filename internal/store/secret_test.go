package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

func secret(name, data string) *weir.Object {
	return &weir.Object{Kind: "Secret", Metadata: weir.Metadata{Name: name}, Spec: &weir.Secret{Data: data}}
}

func issuer(name, key string) *weir.Object {
	i := &weir.Issuer{Type: weir.IssuerACME, Key: key, ACME: &weir.ACME{Directory: "https://ca.example/dir"}}
	i.Normalize()
	return &weir.Object{Kind: "Issuer", Metadata: weir.Metadata{Name: name}, Spec: i}
}

func secretByRef(name string, ref *weir.SealedRef) *weir.Object {
	return &weir.Object{Kind: "Secret", Metadata: weir.Metadata{Name: name}, Spec: &weir.Secret{DataRef: ref}}
}

func dataRef(t testing.TB, s *Store, name string) *weir.SealedRef {
	t.Helper()
	o := s.View().Get(weir.Ref{Kind: "Secret", Name: name})
	if o == nil {
		t.Fatalf("there is no secret %s", name)
	}
	spec := o.Spec.(*weir.Secret)
	if spec.Data != "" || spec.DataRef == nil {
		t.Fatalf("secret %s is kept with its data, or without a reference", name)
	}
	return spec.DataRef
}

func opens(t testing.TB, s *Store, name string, generation int64, want string) {
	t.Helper()
	got, err := s.Secret(t.Context(), weir.Ref{Kind: "Secret", Name: name}, generation)
	if err != nil || got.Text() != want {
		t.Errorf("generation %d of %s is not what it was: %v", generation, name, err)
	}
}

func TestASecretIsSealedAndItsReferenceKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, puts(secret("a", "first value"), secret("b", "b's value"))...)
	first := dataRef(t, s, "a")
	opens(t, s, "a", first.Generation, "first value")
	if r := apply(t, s, puts(secret("a", "first value"))...); len(r.Change.Objects) != 0 {
		t.Error("the same secret again is a change")
	}
	if r := apply(t, s, puts(secretByRef("a", first))...); len(r.Change.Objects) != 0 {
		t.Error("the exported object again is a change")
	}
	apply(t, s, puts(secret("a", "second value"))...)
	second := dataRef(t, s, "a")
	if *second == *first {
		t.Error("another value has the same reference")
	}
	opens(t, s, "a", first.Generation, "first value")
	opens(t, s, "a", second.Generation, "second value")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openIn(t, dir)
	opens(t, s, "a", second.Generation, "second value")
	apply(t, s, puts(secretByRef("a", first))...) // back to an older generation
	opens(t, s, "a", dataRef(t, s, "a").Generation, "first value")
	b := dataRef(t, s, "b")
	for name, o := range map[string]*weir.Object{
		"another object's":     secretByRef("a", b),
		"a future generation":  secretByRef("a", &weir.SealedRef{Generation: 77, Fingerprint: first.Fingerprint}),
		"a wrong fingerprint":  secretByRef("a", &weir.SealedRef{Generation: second.Generation, Fingerprint: first.Fingerprint}),
		"a new object's":       secretByRef("c", first),
		"a negative one":       secretByRef("a", &weir.SealedRef{Generation: -1, Fingerprint: first.Fingerprint}),
		"an invented one, new": secretByRef("d", &weir.SealedRef{Generation: 1, Fingerprint: "fp1:x"}),
	} {
		_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(o)})
		if weir.KindOf(err) != weir.Invalid || !strings.Contains(err.Error(), "spec.dataRef") {
			t.Errorf("a reference to %s: %v", name, err)
		}
	}
	_, err = s.Secret(t.Context(), weir.Ref{Kind: "Secret", Name: "a"}, 99)
	wantKind(t, err, weir.NotFound)
}

// A deleted object's secret comes back by undo, and by nothing else: its fingerprint is no secret.
func TestADeletedSecretComesBackByUndoOnly(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(secret("a", "the value"))...)
	ref := dataRef(t, s, "a")
	gone := apply(t, s, weir.Write{Delete: weir.Ref{Kind: "Secret", Name: "a"}})
	_, err := s.Apply(t.Context(), Request{Author: "thief", Writes: puts(secretByRef("a", ref))})
	wantKind(t, err, weir.Invalid, "undo the deletion")
	if _, err := s.Undo(t.Context(), gone.Revision, Request{Author: "tester"}); err != nil {
		t.Fatal(err)
	}
	opens(t, s, "a", dataRef(t, s, "a").Generation, "the value")
}

func TestWithoutAKeyringSecretsAreRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t, func(o *Options) { o.Keyring = nil })
	_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(secret("a", "plain-canary"))})
	wantKind(t, err, weir.Invalid, "no sealing key")
	if strings.Contains(err.Error(), "plain-canary") {
		t.Error("the refusal repeats the secret")
	}
}

// Many secrets at once take the way of large changes, and are there from the first moment.
func TestSecretsOfALargeChange(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var list []weir.Write
	for i := range 600 {
		list = append(list, weir.Write{Put: secret(fmt.Sprintf("s%d", i), fmt.Sprint("value ", i))})
	}
	apply(t, s, list...)
	opens(t, s, "s123", dataRef(t, s, "s123").Generation, "value 123")
	apply(t, s, puts(secret("s7", "other"))...)
	apply(t, s, puts(secretByRef("s7", &weir.SealedRef{Generation: 1, Fingerprint: s.opts.Keyring.Fingerprint("Secret", "s7", []byte("value 7"))}))...)
	waitMaterialized(t, s)
	opens(t, s, "s123", 1, "value 123")
	opens(t, s, "s7", dataRef(t, s, "s7").Generation, "value 7")
	if r := apply(t, s, list...); len(r.Change.Objects) != 0 {
		t.Errorf("the same 600 secrets again change %d objects", len(r.Change.Objects))
	}
	if n := countKeys(t, s, prefixStaged); n != 0 {
		t.Errorf("%d chunks of secrets are left where they were staged", n)
	}

	// All of them changed and taken back, before and after what was staged has found its place.
	for i := range list {
		list[i].Put = secret(fmt.Sprintf("s%d", i), fmt.Sprint("newer ", i))
	}
	changed := apply(t, s, list...)
	for range 2 {
		r, err := s.Undo(t.Context(), changed.Revision, Request{Author: "tester"})
		if err != nil || len(r.Change.Objects) != 600 {
			t.Fatalf("undo of 600 secrets: %v", err)
		}
		opens(t, s, "s99", dataRef(t, s, "s99").Generation, "value 99")
		if changed, err = s.Undo(t.Context(), r.Revision, Request{Author: "tester"}); err != nil {
			t.Fatal(err)
		}
		opens(t, s, "s99", dataRef(t, s, "s99").Generation, "newer 99")
		waitMaterialized(t, s)
	}
}

// A secret that is taken up again while idle ones are removed is either there for good or refused.
func TestTakingUpASecretWhileTidying(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	apply(t, s, puts(secret("a", "one"))...)
	apply(t, s, puts(secret("a", "two"))...)
	one := &weir.SealedRef{Generation: 1, Fingerprint: s.opts.Keyring.Fingerprint("Secret", "a", []byte("one"))}
	looked := s.opts.Check
	s.opts.Check = func(_, _ *weir.Set, _ []weir.Ref) []weir.Problem {
		s.opts.Check = looked
		// The evaluation has seen generation 1; now it goes, as if its changes had grown old just then.
		if done, err := s.deleteSecrets(t.Context(), 2, map[sealedName]bool{{weir.Ref{Kind: "Secret", Name: "a"}, 1}: true}); !done || err != nil {
			t.Error(done, err)
		}
		return nil
	}
	_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(secretByRef("a", one))})
	wantKind(t, err, weir.Invalid, "generation 1 of this object's secret is not kept")
	opens(t, s, "a", dataRef(t, s, "a").Generation, "two")
}

func TestAnotherKeyringIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, puts(secret("a", "one"))...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := secrets.OpenOrCreateKeyring(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = tryOpen(t, dir, func(o *Options) { o.Keyring = other }); !errors.Is(err, secrets.ErrKeyUnknown) {
		t.Errorf("with another key the store opens: %v", err)
	}
	openIn(t, dir)
}

func TestPrepareCompletesAndRefuses(t *testing.T) {
	t.Parallel()
	s := newStore(t, func(o *Options) {
		o.Prepare = func(obj *weir.Object) []weir.Problem {
			spec, ok := obj.Spec.(*weir.Secret)
			if !ok {
				return nil
			}
			if spec.Data == "weak" {
				return []weir.Problem{{Object: obj.Ref().String(), Path: "spec.data", Message: "is too easy to guess"}}
			}
			obj.Metadata.Labels = map[string]string{"looked": "at"}
			return nil
		}
	})
	r := apply(t, s, puts(secret("a", "strong"))...)
	if r.After.Get(weir.Ref{Kind: "Secret", Name: "a"}).Metadata.Labels["looked"] != "at" {
		t.Error("what Prepare completes is lost")
	}
	_, err := s.Apply(t.Context(), Request{Author: "tester", Writes: puts(secret("a", "weak"))})
	wantKind(t, err, weir.Invalid, "spec.data: is too easy to guess")
}

// What was given as a secret is in no file of the data directory and in nothing that the store says.
func TestNoSecretShowsAnywhere(t *testing.T) {
	t.Parallel()
	const canary = "canary-7e1f9a52c0d84b63"
	dir := t.TempDir()
	var log weirtest.Buffer
	s, err := tryOpen(t, dir, debugTo(&log))
	if err != nil {
		t.Fatal(err)
	}
	key, chain := selfSigned(t, "www.example.com")
	keyLine := strings.Split(key, "\n")[1]
	var said strings.Builder
	say := func(v any) {
		raw, _ := json.Marshal(v)
		fmt.Fprintf(&said, "%s %+v\n", raw, v)
	}
	for _, writes := range [][]weir.Write{
		puts(secret("a", canary+"-1"), certificate("www", chain, key), issuer("public", canary+"-5")),
		puts(secret("a", canary+"-2")),
		puts(secret("a", canary+"-3"), zone("bad", -1)),
		puts(certificate("swapped", key, chain)),
		puts(certificate("twice", chain+key, key)),
		puts(secret("Bad-Name", canary+"-4")),
		puts(&weir.Object{Kind: "Secret", Metadata: weir.Metadata{Name: "long"}, Spec: &weir.Secret{Data: canary + strings.Repeat("x", weir.MaxSecret)}}),
	} {
		for _, dry := range []bool{true, false} {
			r, err := s.Apply(t.Context(), Request{Author: "tester", Writes: writes, DryRun: dry})
			fmt.Fprintln(&said, err)
			if r != nil {
				say(r.Change)
				for o := range r.After.Every() {
					say(o)
					say(o.Spec)
				}
			}
		}
	}
	changes, err := s.Changes(t.Context(), Filter{})
	if err != nil || len(changes) != 2 {
		t.Fatalf("changes: %d, %v", len(changes), err)
	}
	for _, name := range []string{"order/www", "issuer/public"} {
		if err := s.SetPlatform(t.Context(), name, []byte(canary+"-6"), 0); err != nil {
			t.Fatal(err)
		}
	}
	say(changes)
	for ev, err := range s.Watch(t.Context(), 0) {
		say(ev)
		for _, o := range ev.Change.Objects {
			say(o.After)
		}
		if err != nil || ev.Revision == s.Revision() {
			break
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{canary, keyLine} {
		if strings.Contains(said.String(), word) {
			t.Error("the store says a secret")
		}
		if strings.Contains(log.String(), word) {
			t.Error("the log holds a secret")
		}
		if file := fileWith(t, dir, word); file != "" {
			t.Errorf("%s holds a secret", file)
		}
	}
	// The search itself finds what is not sealed.
	if fileWith(t, dir, "www.example.com") == "" {
		t.Error("the search does not even find what is public")
	}
}

func fileWith(t *testing.T, dir, word string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), word) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
