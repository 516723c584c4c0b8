package tickets

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// A ticket is decrypted everywhere for all of the generation after its own, and nowhere after that.
func TestATicketLivesForTheGenerationAfterItsOwn(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	a, z := b.me("a"), b.me("z")
	s := b.work(State{Group: group}, a, z)
	issued := b.keys(a, s)[1].Digest()
	for age := range 4 {
		have := b.keys(z, s).Digests()
		if got := slices.Contains(have[:], issued); got != (age <= 1) {
			t.Errorf("%d rotations later: decrypted %t", age, got)
		}
		s = b.rotate(s, a, z)
	}
}

// All members derive the same keys; another group, secret, epoch, generation or seed gives others.
func TestDerivedKeysAreOfOneGroupEpochAndGeneration(t *testing.T) {
	t.Parallel()
	b := newBed(t, 2)
	a, z := b.me("a"), b.me("z")
	s := b.rotate(b.work(State{Group: group}, a, z), a, z)
	held := b.opened(a, s)
	all := []Keys{b.keys(a, s)}
	if all[0].Digests() != b.keys(z, s).Digests() {
		t.Error("two members derive different keys")
	}
	derive := func(group string, held []Secret, seeds []Seed) {
		t.Helper()
		k, err := Derive(group, held, seeds)
		b.must(err)
		all = append(all, k)
	}
	derive("core", held, s.Seeds)
	other, err := newSecret(group, 1, hide(bytes.Repeat([]byte{7}, randomSize)))
	b.must(err)
	derive(group, []Secret{other}, s.Seeds)
	later := slices.Clone(s.Seeds)
	for i := range later {
		later[i].Epoch++
	}
	next := held[0]
	next.Epoch++
	derive(group, []Secret{next}, later)
	for i := range later {
		later[i] = s.Seeds[i]
		later[i].Generation += 10
	}
	derive(group, held, later)
	for i := range later {
		later[i] = s.Seeds[i]
		later[i].bytes = hide(bytes.Repeat([]byte{byte(i)}, randomSize))
	}
	derive(group, held, later)
	names := map[string]bool{}
	for _, keys := range all {
		for _, k := range keys {
			names[string(k.view()[:16])] = true
		}
	}
	if len(names) != 3*len(all) {
		t.Errorf("%d keys have %d names", 3*len(all), len(names))
	}
}

func TestDeriveTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := newBed(t, 3)
	a := b.me("a")
	s := b.work(State{Group: group}, a)
	var lack *LackError
	if _, err := Derive(group, nil, s.Seeds); !errors.As(err, &lack) || !slices.Equal(lack.Epochs, []int64{1}) {
		t.Errorf("%v", err)
	}
	gap := slices.Clone(s.Seeds)
	gap[2].Generation++
	for _, seeds := range [][]Seed{nil, s.Seeds[:2], gap} {
		if _, err := Derive(group, b.opened(a, s), seeds); err == nil {
			t.Errorf("keys of %d seeds", len(seeds))
		}
	}
}

func TestFileOfKeys(t *testing.T) {
	t.Parallel()
	b := newBed(t, 4)
	keys, err := Alone(b.random)
	b.must(err)
	again, err := ParseFile(keys.File())
	if err != nil || again.Digests() != keys.Digests() {
		t.Errorf("%v", err)
	}
	if other, err := Alone(b.random); err != nil || other.Digests() == keys.Digests() {
		t.Errorf("two that are alone have the same keys, %v", err)
	}
	if _, err := Alone(strings.NewReader("too short")); err == nil {
		t.Error("keys of no chance")
	}
	text := string(keys.File())
	for _, bad := range []string{"", text[1:], text[:len(text)-1], text + "\n", text + text[:109], strings.Repeat("A", 64) + text[108:], strings.Replace(text, "\n", "\r\n", 1)} {
		if _, err := ParseFile([]byte(bad)); err == nil || len(bad) > 8 && strings.Contains(err.Error(), bad[:8]) {
			t.Errorf("a file of %d bytes: %v", len(bad), err)
		}
	}
}

// However far a HAProxy is behind, and whatever it had, the pushes lead to the wish; the fewest that do; and on the
// way none has it encrypt with a key that the others don't know, if they knew the one before.
func TestPushes(t *testing.T) {
	t.Parallel()
	b := newBed(t, 5)
	a := b.me("a")
	s := b.work(State{Group: group}, a)
	past := []Keys{b.keys(a, s)}
	for range 6 {
		s = b.rotate(s, a)
		past = append(past, b.keys(a, s))
	}
	alone, err := Alone(b.random)
	b.must(err)
	for now, want := range past {
		wish := want.Digests()
		for then, from := range append(slices.Clone(past), alone) {
			have := from.Digests()
			push, ahead := Pushes(have, want)
			behind := now - then
			switch {
			case then == len(past):
				behind = 3
			case behind == -1, behind == -2:
				if !ahead || push != nil {
					t.Errorf("%d ahead: %d pushes", -behind, len(push))
				}
				continue
			case behind < 0: // as after a restore: nothing in common
				behind = 3
			}
			if ahead || len(push) != min(behind, 3) {
				t.Errorf("%d behind: %d pushes, ahead %t", behind, len(push), ahead)
			}
			for _, k := range push {
				before := knows(wish, have)
				have = pushed(have, k)
				if before && !knows(wish, have) {
					t.Errorf("%d behind: encrypts with what the others don't know", behind)
				}
			}
			if have != wish {
				t.Errorf("%d behind: does not arrive", behind)
			}
		}
	}
}

func TestGenerationOfAHAProxy(t *testing.T) {
	t.Parallel()
	b := newBed(t, 6)
	a := b.me("a")
	old := b.work(State{Group: group}, a)
	s := b.rotate(old, a)
	if got := Generation(b.keys(a, s).Digests(), b.keys(a, s), s.Seeds); got != s.Generation() {
		t.Errorf("generation %d, want %d", got, s.Generation())
	}
	if got := Generation(b.keys(a, old).Digests(), b.keys(a, s), s.Seeds); got != old.Generation() {
		t.Errorf("generation %d, want %d", got, old.Generation())
	}
	alone, err := Alone(b.random)
	b.must(err)
	if got := Generation(alone.Digests(), b.keys(a, s), s.Seeds); got != 0 {
		t.Errorf("keys of its own are generation %d", got)
	}
}
