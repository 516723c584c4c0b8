package link

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// together gives keys from one number to before another, as they come.
func together(from, to int, generation int64) (list []wireSecret) {
	for n := from; n < to; n++ {
		data := fmt.Appendf(nil, "CANARY-%d-%d\n%s", n, generation, strings.Repeat("k", n%7*100))
		list = append(list, wireSecret{ID: fmt.Sprintf("certificate/c%d", n), Generation: generation, Fingerprint: "f", Data: data})
	}
	return list
}

func refsOf(list []wireSecret) map[string]weir.SealedRef {
	refs := map[string]weir.SealedRef{}
	for _, s := range list {
		name, _ := s.name()
		refs[name] = weir.SealedRef{Generation: s.Generation, Fingerprint: s.Fingerprint}
	}
	return refs
}

func newKeys(t *testing.T, dir string) *keyFolder {
	t.Helper()
	k, damaged, err := openKeys(dir)
	if err := errors.Join(damaged, err); err != nil {
		t.Fatal(err)
	}
	return k
}

// holds fails the test unless just these keys are there, in files that are nobody else's to read.
func holds(t *testing.T, k *keyFolder, want []wireSecret) {
	t.Helper()
	for _, s := range want {
		name, _ := s.name()
		if got, err := k.get(name, refsOf([]wireSecret{s})[name]); err != nil || !bytes.Equal(got.Bytes(), s.Data) {
			t.Fatalf("%s: %v", s.ID, err)
		}
	}
	if lacks := k.lacks(refsOf(want)); len(lacks) > 0 {
		t.Fatalf("lacks %v", lacks)
	}
	canaries := 0
	for _, text := range keyFiles(t, k) {
		canaries += strings.Count(text, "CANARY-")
	}
	if canaries != len(want) {
		t.Fatalf("%d keys are on disk, not %d", canaries, len(want))
	}
}

func keyFiles(t *testing.T, k *keyFolder) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		info, _ := e.Info()
		raw, err := os.ReadFile(filepath.Join(k.dir, e.Name()))
		if err != nil || info.Mode() != 0o600 {
			t.Fatal(info.Mode(), err)
		}
		files[e.Name()] = string(raw)
	}
	return files
}

func TestKeysThatComeTogetherLieTogether(t *testing.T) {
	dir := t.TempDir()
	k := newKeys(t, dir)
	many, one := together(0, 2000, 1), together(2000, 2001, 1)
	for _, list := range [][]wireSecret{many, one, many} { // what comes again is the same
		if err := k.put(list); err != nil {
			t.Fatal(err)
		}
	}
	all := append(many, one...)
	holds(t, k, all)
	files := keyFiles(t, k)
	if len(files) < 3 || len(files) > 10 {
		t.Errorf("2,001 keys are %d files", len(files))
	}
	for name, text := range files {
		if len(text) > bundleSize+weir.MaxSecret || strings.Count(name, ".") != 2 {
			t.Errorf("%s is %d bytes long; an agent of the version before removes what has two dots in its name", name, len(text))
		}
	}
	k = newKeys(t, dir)
	holds(t, k, all)

	// One is renewed: its key is gone, and all the others are where they were.
	renewed := together(7, 8, 2)
	if err := k.put(renewed); err != nil {
		t.Fatal(err)
	}
	all[7] = renewed[0]
	asked := 0
	sweeping := func() error {
		asked++
		if len(keyFiles(t, k)) != len(files)+1 {
			t.Error("something is gone already")
		}
		return nil
	}
	for range 2 {
		if err := k.sweep(sweeping, refsOf(all)); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	holds(t, k, all)
	k = newKeys(t, dir)
	holds(t, k, all)

	// Few are left of all: they are files as if each had come by itself.
	all = append(all[3:5:5], all[1500:1503]...)
	if err := k.sweep(nil, refsOf(all)); err != nil {
		t.Fatal(err)
	}
	holds(t, k, all)
	for name := range keyFiles(t, k) {
		if isBundle(name) {
			t.Errorf("%s is there still", name)
		}
	}
	holds(t, newKeys(t, dir), all)
}

func TestDamagedBundleIsAskedForAgain(t *testing.T) {
	for what, damage := range map[string]func(b []byte) []byte{
		"empty":        func([]byte) []byte { return nil },
		"cut":          func(b []byte) []byte { return b[:len(b)-20] },
		"of a key":     func(b []byte) []byte { return bytes.Replace(b, []byte("CANARY-3-"), []byte("CANARY-X-"), 1) },
		"of a line":    func(b []byte) []byte { return bytes.Replace(b, []byte("c3.1."), []byte("c 3.1"), 1) },
		"of a length":  func(b []byte) []byte { return bytes.Replace(b, []byte(" 311 "), []byte(" 999999999999 "), 1) },
		"another form": func(b []byte) []byte { return append([]byte("weir keys 0\n"), b[len(bundleHead):]...) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			list := together(0, 20, 1)
			k := newKeys(t, dir)
			if err := k.put(list); err != nil {
				t.Fatal(err)
			}
			for name, text := range keyFiles(t, k) {
				if err := os.WriteFile(filepath.Join(k.dir, name), damage([]byte(text)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := k.get("c3", weir.SealedRef{Generation: 1, Fingerprint: "f"}); strings.Contains("empty, of a key, of a length", what) != errors.Is(err, fs.ErrNotExist) {
				t.Errorf("while an agent runs: %v", err)
			}
			k, damaged, err := openKeys(dir)
			if err != nil || (damaged == nil) != (what == "of a key") {
				t.Fatal(damaged, err)
			}
			lacks := k.lacks(refsOf(list))
			if n := len(lacks); n != 20 && (what != "of a key" || n != 1 || lacks[0] != "c3") {
				t.Fatalf("lacks %v", lacks)
			}
			if err := k.put(list); err != nil {
				t.Fatal(err)
			}
			if err := k.sweep(nil, refsOf(list)); err != nil {
				t.Fatal(err)
			}
			holds(t, k, list)
		})
	}
}

// TestKeysOverRandomWalks holds a folder against what should be in it, with agents that start anew at any time.
func TestKeysOverRandomWalks(t *testing.T) {
	for seed := range uint64(8) {
		random, dir := rand.New(rand.NewPCG(seed, 0)), t.TempDir()
		k, want := newKeys(t, dir), map[int]wireSecret{}
		for generation := range int64(12) {
			from, n := random.IntN(60), random.IntN(40)
			fresh := together(from, from+n, generation)
			if err := k.put(fresh); err != nil {
				t.Fatal(err)
			}
			for i, s := range fresh {
				want[from+i] = s
			}
			for name := range want {
				if random.IntN(4) == 0 {
					delete(want, name)
				}
			}
			if random.IntN(2) == 0 {
				k = newKeys(t, dir)
			}
			var list []wireSecret
			for _, s := range want {
				list = append(list, s)
			}
			if err := k.sweep(nil, refsOf(list)); err != nil {
				t.Fatal(err)
			}
			if random.IntN(2) == 0 {
				k = newKeys(t, dir)
			}
			holds(t, k, list)
		}
	}
}

// TestManyKeysComeAndGo is about an agent and what it is sent.
func TestManyKeysComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	var list []*ir.Resource
	for n := range 100 {
		list = append(list, cert(fmt.Sprintf("c%03d", n), 1))
	}
	w.set("edge", 1, list, "lb1")
	a := w.agent(dir)
	a.at(1)
	files := func(n int) func() error {
		return func() error {
			entries, err := os.ReadDir(filepath.Join(dir, "keys"))
			if err != nil || len(entries) != n {
				return fmt.Errorf("%d files, not %d: %v", len(entries), n, err)
			}
			return nil
		}
	}
	if err := files(1)(); err != nil {
		t.Error(err)
	}
	list[50] = cert("c050", 2)
	w.set("edge", 2, list, "lb1")
	a.at(2)
	if err := files(2)(); err != nil {
		t.Error(err)
	}
	w.set("edge", 3, list[48:52], "lb1")
	a.at(3)
	weirtest.Eventually(t, patience, files(4))
	a.stop()
	a = w.agent(dir)
	for n, generation := range map[int]int64{48: 1, 50: 2, 51: 1} {
		if _, err := a.Key(fmt.Sprintf("c%03d", n), weir.SealedRef{Generation: generation, Fingerprint: "f"}); err != nil {
			t.Error(err)
		}
	}
}
