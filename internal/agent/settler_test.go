package agent

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/secrets"
)

// oneKey is a keySource that has just one.
func oneKey(string, weir.Chain, string) (secrets.Secret, error) {
	return secrets.NewSecret([]byte("a key\n")), nil
}

// TestSettlerForgetsWhatIsWrittenAnew: a file that was on disk is not, once something else is in it.
func TestSettlerForgetsWhatIsWrittenAnew(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		t.Helper()
		list := []haproxy.Cert{{Path: "certs/a.pem", Chain: weir.NewChain(text), Digest: text}, {Path: "certs/b.pem", Chain: weir.NewChain("b"), Digest: "b"}}
		if err := f.saveCerts(list, oneKey); err != nil {
			t.Fatal(err)
		}
	}
	safe := func() int {
		t.Helper()
		if err := f.settler.sync(); err != nil {
			t.Fatal(err)
		}
		return len(f.settler.safe)
	}
	if put("1"); len(f.settler.safe) != 0 || safe() != 2 {
		t.Errorf("%v", f.settler.safe)
	}
	if put("2"); len(f.settler.safe) != 1 || !f.settler.safe["b.pem"] || safe() != 2 {
		t.Errorf("%v", f.settler.safe)
	}
	if err := os.Remove(filepath.Join(f.dir, "certs/a.pem")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(f.dir, "certs/c.pem")); err != nil {
		t.Fatal(err)
	}
	safe()
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	if err := f.settler.sync(); err == nil {
		t.Error("what can't be looked at counts as being on disk")
	}
}

// TestKeyOfAFileThatWasCutOff: a certificate's file stands in for a key that is gone only when it is whole.
func TestKeyOfAFileThatWasCutOff(t *testing.T) {
	f, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	gone := func(string, weir.SealedRef) (secrets.Secret, error) { return secrets.Secret{}, fs.ErrNotExist }
	e := &engine{folder: f, key: gone}
	const chain, key = "a chain\n", "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"
	for text, whole := range map[string]bool{chain + key: true, chain + key[:40]: false, chain: false, key: false, "another" + chain + key: false} {
		if err := os.WriteFile(f.path("certs/a.pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		have, err := e.keys("a", weir.NewChain(chain), "certs/a.pem")
		if (err == nil) != whole || whole && string(have.Bytes()) != key {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestSettlerHoldsNobodyUp: what is written while files are brought to disk is not taken to be there.
func TestSettlerHoldsNobodyUp(t *testing.T) {
	s := newSettler(t.TempDir())
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := range 4 * settledAtOnce {
		names = append(names, fmt.Sprintf("c%d.pem", n))
		if err := os.WriteFile(filepath.Join(s.dir, names[n]), []byte("a"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() { done <- s.sync() }()
	last := names[:10]
	for err, pending := error(nil), true; pending; {
		select {
		case err = <-done:
			if pending = false; err != nil {
				t.Error(err)
			}
		default:
			for _, name := range last {
				s.wrote(filepath.Join(s.dir, name))
			}
		}
	}
	for _, name := range last {
		s.wrote(filepath.Join(s.dir, name))
	}
	if rest, err := s.unsafe(); err != nil || len(rest) != len(last) || len(s.busy) > 0 {
		t.Errorf("%d are left to be brought to disk, %v", len(rest), err)
	}
	if err := s.sync(); err != nil || len(s.safe) != len(names) {
		t.Errorf("%d are on disk, %v", len(s.safe), err)
	}
	s.mu.Lock()
	s.busy["c0.pem"] = s.rounds
	s.mu.Unlock()
	s.wrote(filepath.Join(s.dir, "c0.pem"))
	if s.safe["c0.pem"] || len(s.busy) > 0 {
		t.Error("what was written on the way there is taken to be there")
	}
}
