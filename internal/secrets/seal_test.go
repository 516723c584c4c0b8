package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func testRing(t *testing.T) *Keyring {
	t.Helper()
	ring, err := ParseKeyring(newKey())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func mustSeal(t *testing.T, ring *Keyring, plaintext string) Sealed {
	t.Helper()
	s, err := ring.Seal("Certificate", "www", 3, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealOpens(t *testing.T) {
	ring := testRing(t)
	for _, text := range []string{"", "x", strings.Repeat(canary, 1000), strings.Repeat("k", MaxPlaintext)} {
		got, err := ring.Open("Certificate", "www", 3, mustSeal(t, ring, text))
		if err != nil || got.Text() != text {
			t.Errorf("%d bytes: %d bytes back, %v", len(text), got.Len(), err)
		}
	}
	if _, err := ring.Seal("Certificate", "www", 3, make([]byte, MaxPlaintext+1)); err == nil {
		t.Error("a plaintext over the limit was sealed")
	}
}

func TestSealRefusesSubjects(t *testing.T) {
	ring := testRing(t)
	long := strings.Repeat("n", 256)
	for _, c := range []struct {
		kind, name string
		gen        int64
	}{{"", "n", 1}, {"k", "", 1}, {"k", "n", -1}, {long, "n", 1}, {"k", long, 1}} {
		if _, err := ring.Seal(c.kind, c.name, c.gen, nil); err == nil {
			t.Errorf("sealed for %q %q %d", c.kind, c.name, c.gen)
		}
	}
}

func TestOpenRefusesWhatWasMoved(t *testing.T) {
	ring := testRing(t)
	s := mustSeal(t, ring, canary)
	for _, c := range []struct {
		kind, name string
		gen        int64
	}{
		{"Secret", "www", 3},
		{"Certificate", "www2", 3},
		{"Certificate", "www", 2},
		{"Certificate", "www", 4},
		{"Certificatew", "ww", 3}, // the same letters, split elsewhere
	} {
		_, err := ring.Open(c.kind, c.name, c.gen, s)
		if !errors.Is(err, ErrNotAuthentic) || shows(err.Error()) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := ring.Open("Certificate", "www", 3, Sealed{}); !errors.Is(err, ErrNotAuthentic) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := testRing(t).Open("Certificate", "www", 3, s); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("another ring: %v", err)
	}
}

func TestOpenRefusesEveryChangedBit(t *testing.T) {
	ring := testRing(t)
	bin, err := mustSeal(t, ring, canary).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(bin, []byte(canary)) {
		t.Fatal("the plaintext is in the sealed form")
	}
	for i := range len(bin) * 8 {
		bad := bytes.Clone(bin)
		bad[i/8] ^= 1 << (i % 8)
		var s Sealed
		if s.UnmarshalBinary(bad) != nil {
			continue
		}
		if _, err := ring.Open("Certificate", "www", 3, s); err == nil {
			t.Fatalf("bit %d may be changed", i)
		}
	}
	for n := range len(bin) {
		var s Sealed
		if s.UnmarshalBinary(bin[:n]) != nil {
			continue
		}
		if _, err := ring.Open("Certificate", "www", 3, s); err == nil {
			t.Fatalf("may be cut to %d bytes", n)
		}
	}
}

func TestSealedForms(t *testing.T) {
	ring := testRing(t)
	s := mustSeal(t, ring, canary)
	j, err := json.Marshal(map[string]Sealed{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(j), `{"s":"weir-sealed-v1.`+ring.CurrentID()+".") {
		t.Errorf("JSON %s", j)
	}
	var back map[string]Sealed
	if err := json.Unmarshal(j, &back); err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Open("Certificate", "www", 3, back["s"]); err != nil || got.Text() != canary {
		t.Errorf("%q, %v", got.Text(), err)
	}
	if s.KeyID() != ring.CurrentID() || s.String() != fmt.Sprintf("sealed(key %s, %d bytes)", ring.CurrentID(), len(canary)) {
		t.Errorf("prints as %s", s)
	}
	if (Sealed{}).String() != "sealed(nothing)" {
		t.Error("the zero value prints as ", Sealed{})
	}
	if _, err := json.Marshal(Sealed{}); err == nil {
		t.Error("nothing has a JSON form")
	}
	text, _ := s.MarshalText()
	id := ring.CurrentID()
	for _, bad := range []string{
		"", "weir-sealed-v1.", "weir-sealed-v2" + string(text[14:]), string(text) + "\n", string(text) + "=",
		strings.Replace(string(text), id, "zz"+id[2:], 1), strings.Replace(string(text), id, id[2:], 1),
		string(text[:40]) + "\n" + string(text[40:]), strings.Repeat("x", 2<<20),
	} {
		if err := new(Sealed).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%.60q was read", bad)
		}
	}
}

func TestSealingsDiffer(t *testing.T) {
	ring := testRing(t)
	var mu sync.Mutex
	seen := map[[saltBytes]byte]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				s, err := ring.Seal("Secret", "a", 1, []byte(canary))
				if err == nil {
					_, err = ring.Open("Secret", "a", 1, s)
				}
				mu.Lock()
				if seen[s.salt] || err != nil {
					t.Errorf("a salt came twice, or: %v", err)
				}
				seen[s.salt] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestFingerprint(t *testing.T) {
	a, b := testRing(t), testRing(t)
	base := a.Fingerprint("Secret", "x", []byte(canary))
	if base != a.Fingerprint("Secret", "x", []byte(canary)) {
		t.Error("not stable")
	}
	for what, other := range map[string]string{
		"value": a.Fingerprint("Secret", "x", []byte(canary+"2")),
		"name":  a.Fingerprint("Secret", "y", []byte(canary)),
		"kind":  a.Fingerprint("Token", "x", []byte(canary)),
		"split": a.Fingerprint("Secretx", "", []byte(canary)),
		"key":   b.Fingerprint("Secret", "x", []byte(canary)),
	} {
		if _, sum, _ := strings.Cut(base, a.CurrentID()); strings.HasSuffix(other, sum) {
			t.Errorf("does not depend on the %s", what)
		}
	}
	if !a.SameSecret(base, "Secret", "x", []byte(canary)) || a.SameSecret(base, "Secret", "x", nil) ||
		b.SameSecret(base, "Secret", "x", []byte(canary)) || a.SameSecret("", "Secret", "x", []byte(canary)) {
		t.Error("SameSecret is wrong")
	}
}

func FuzzSealedText(f *testing.F) {
	ring, _ := ParseKeyring(newKey())
	s, _ := ring.Seal("Secret", "a", 1, []byte(canary))
	text, _ := s.MarshalText()
	bin, _ := s.MarshalBinary()
	f.Add(text)
	f.Add(bin)
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Sealed
		if s.UnmarshalText(data) == nil {
			if again, err := s.MarshalText(); err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%q came back as %q, %v", data, again, err)
			}
		}
		if s.UnmarshalBinary(data) == nil {
			if again, err := s.MarshalBinary(); err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%x came back as %x, %v", data, again, err)
			}
			_, _ = ring.Open("Secret", "a", 1, s)
		}
	})
}
