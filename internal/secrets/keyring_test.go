package secrets

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestParseKeyring(t *testing.T) {
	a, b := newKey(), newKey()
	for _, text := range []string{a + "\n" + b, a + "," + b, "# note\n  " + a + "\r\n\n#\n" + b + "\n", keyHeader + a + "\t" + b} {
		ring, err := ParseKeyring(text)
		if err != nil || len(ring.keys) != 2 {
			t.Errorf("%q: %v, %v", text, ring, err)
			continue
		}
		if one, _ := ParseKeyring(a); one.CurrentID() != ring.CurrentID() {
			t.Error("the first key is not the current one")
		}
	}
	for _, text := range []string{
		"", "# only a note", canary, a[:40], a + "\n" + a, base64.StdEncoding.EncodeToString(make([]byte, 32)),
		base64.StdEncoding.EncodeToString([]byte(canary)),
	} {
		_, err := ParseKeyring(text)
		if err == nil {
			t.Errorf("%q was taken", text)
		} else if len(text) > 20 && strings.Contains(err.Error(), text[:20]) || shows(err.Error()) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestKeyringPrintsIDsOnly(t *testing.T) {
	text := newKey()
	raw, _ := base64.StdEncoding.DecodeString(text)
	ring, err := ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct{ ring *Keyring }
	for _, v := range []any{ring, *ring, ring.keys, holder{ring}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, text) || strings.Contains(got, fmt.Sprintf("%x", raw)) || strings.Contains(got, strings.Trim(fmt.Sprint(raw), "[]")) {
				t.Errorf("%s of %T shows the key: %s", verb, v, got)
			}
		}
	}
	if ring.String() != "keyring("+ring.CurrentID()+")" {
		t.Error(ring.String())
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "sealing.key")
	if _, err := OpenKeyring(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	ring, err := OpenOrCreateKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	again, err := OpenOrCreateKeyring(path)
	if err != nil || again.CurrentID() != ring.CurrentID() {
		t.Errorf("another key the second time: %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenOrCreateKeyring(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if _, err := OpenKeyring(filepath.Dir(path)); err == nil {
		t.Error("a folder was taken for a key file")
	}
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealing.key")
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			if ring, err := OpenOrCreateKeyring(path); err != nil {
				t.Error(err)
			} else {
				ids[i] = ring.CurrentID()
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("different keys: %v", ids)
		}
	}
}

func TestRotateKeyring(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealing.key")
	old, err := OpenOrCreateKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	s := mustSeal(t, old, canary)
	print := old.Fingerprint("Certificate", "www", []byte(canary))
	ring, err := RotateKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	if ring.CurrentID() == old.CurrentID() || len(ring.keys) != 2 {
		t.Fatalf("%v after %v", ring, old)
	}
	if !ring.SameSecret(print, "Certificate", "www", []byte(canary)) {
		t.Error("a rotated key makes the secret look changed")
	}
	if got, err := ring.Open("Certificate", "www", 3, s); err != nil || got.Text() != canary {
		t.Errorf("%v, %v", got, err)
	}
	moved, changed, err := ring.Reseal("Certificate", "www", 3, s)
	if err != nil || !changed || moved.KeyID() != ring.CurrentID() {
		t.Errorf("%v, %v, %v", moved, changed, err)
	}
	if _, changed, err := ring.Reseal("Certificate", "www", 3, moved); err != nil || changed {
		t.Errorf("resealed again: %v, %v", changed, err)
	}
	if _, _, err := ring.Reseal("Certificate", "www", 4, s); !errors.Is(err, ErrNotAuthentic) {
		t.Errorf("resealed for another generation: %v", err)
	}
	if _, err := old.Open("Certificate", "www", 3, moved); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("opened by the old ring: %v", err)
	}
}
