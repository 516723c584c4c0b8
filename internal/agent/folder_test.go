package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// TestFilesAreMadeAnewBeforeAStart spoils the files as a loss of power can: they are not synced, since all that
// is wanted is in the journal.
func TestFilesAreMadeAnewBeforeAStart(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("www", 40)
		b.converge()
		b.serves("www")
		files := b.want.Files()
		spoil := func(f haproxy.File, i int) {
			path, text := b.folder.path(f.Path), f.Content[:len(f.Content)/2]
			switch i % 3 {
			case 0:
				text = ""
			case 1: // as long as it was, and other bytes
				text = string(make([]byte, len(f.Content)))
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for round, how := range []string{"an agent that goes on", "an agent that starts anew"} {
			ctx, cancel := context.WithTimeout(t.Context(), longWait)
			if err := b.process.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			for i, f := range files {
				spoil(f, i+round)
			}
			b.process, b.have = nil, haproxy.Config{}
			if round == 1 {
				b.folder.written = map[string]written{}
			}
			b.converge()
			for _, f := range files {
				if have, err := os.ReadFile(b.folder.path(f.Path)); err != nil || string(have) != f.Content {
					t.Errorf("%s: %s holds %q (%v)", how, f.Path, have, err)
				}
			}
			b.serves("www")
		}
	})
}

func TestFolderLeavesAloneWhatIsAsWanted(t *testing.T) {
	f, err := openFolder(weirtest.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{derived, durable} {
		write := func(content string) os.FileInfo {
			t.Helper()
			if err := f.write("maps/a.map", []byte(content), keep); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(f.path("maps/a.map"))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != 0o600 {
				t.Errorf("mode %s", info.Mode())
			}
			return info
		}
		one := write("a 1\n")
		if again := write("a 1\n"); !os.SameFile(one, again) {
			t.Error("an unchanged file was written again")
		}
		f.doubt()
		if again := write("a 1\n"); !os.SameFile(one, again) {
			t.Error("after a start, an unchanged file was written again")
		}
		if two := write("a 2\n"); os.SameFile(one, two) {
			t.Error("a file was changed in place: whoever reads it could see half of it")
		}
		if err := os.Remove(f.path("maps/a.map")); err != nil {
			t.Fatal(err)
		}
		f.doubt()
		write("a 2\n")
	}
	entries, err := os.ReadDir(f.path("maps"))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// TestKeysStayPrivate: a certificate's file that somebody has opened to others, or put elsewhere behind a link, is made
// anew once it is looked at.
func TestKeysStayPrivate(t *testing.T) {
	f, err := openFolder(weirtest.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(weirtest.TempDir(t), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("a chain\na key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	certs := []haproxy.Cert{{Path: "certs/a.pem", Chain: weir.NewChain("a chain\n"), Digest: "1"}}
	path := f.path("certs/a.pem")
	for what, change := range map[string]func() error{
		"read by others": func() error { return os.Chmod(path, 0o644) },
		"a link":         func() error { return errors.Join(os.Remove(path), os.Symlink(elsewhere, path)) },
	} {
		f.doubt()
		if err := errors.Join(f.saveCerts(certs, oneKey), change()); err != nil {
			t.Fatal(err)
		}
		f.doubt()
		if err := f.saveCerts(certs, oneKey); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", what, info, err)
		}
		if entries, err := os.ReadDir(f.path("certs")); err != nil || len(entries) != 1 {
			t.Errorf("%s: left behind: %v %v", what, entries, err)
		}
	}
	if have, err := os.ReadFile(elsewhere); err != nil || string(have) != "a chain\na key\n" {
		t.Errorf("what the link led to: %q, %v", have, err)
	}
}

func TestSweepRemovesWhatCameBetween(t *testing.T) {
	f, err := openFolder(weirtest.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	c := haproxy.Config{Maps: []haproxy.Map{{Path: "maps/a.map"}}}
	for _, stray := range []string{"maps/b.map", "maps/b.map", "certs/c.pem"} {
		for _, name := range []string{"maps/a.map", stray} {
			if err := f.write(name, nil, derived); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := f.sweep(c); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(f.path(stray)); err == nil {
			t.Errorf("%s is still there", stray)
		}
		if _, err := os.Stat(f.path("maps/a.map")); err != nil {
			t.Error(err)
		}
	}
}

func TestFolderThatSomebodyRemovedIsMadeAnew(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("www", 40)
		b.converge()
		placed := b.staging.path(haproxy.PlaceholderCert)
		for i, spoil := range []func() error{
			func() error { return os.RemoveAll(b.staging.dir) },
			func() error { return os.RemoveAll(b.staging.path("maps")) },
			func() error { return os.RemoveAll(b.folder.path("maps")) },
			func() error { b.staging.doubt(); return os.WriteFile(placed, []byte("no certificate"), 0o600) },
		} {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			name := "site" + string(rune('a'+i))
			b.site(name, byte(41+i))
			b.converge()
			b.serves(name)
			if err := b.engine.check(t.Context(), b.want); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

// The key of a certificate that has not changed is not asked for again, until the files are in doubt.
func TestFolderAsksForKeysOnce(t *testing.T) {
	f, err := openFolder(weirtest.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	keys := func(string, weir.Chain, string) (secrets.Secret, error) {
		asked++
		return secrets.NewSecret([]byte("key\n")), nil
	}
	c := haproxy.Config{Certs: []haproxy.Cert{{Path: "certs/www.pem", Chain: weir.NewChain("chain\n"), Digest: "1"}}}
	for _, want := range []int{1, 1, 2, 3} {
		switch want {
		case 2:
			c.Certs[0].Digest = "2"
		case 3:
			f.doubt()
		}
		if err := f.save(c, keys); err != nil || asked != want {
			t.Errorf("asked %d times, %v; want %d", asked, err, want)
		}
	}
	if text, err := os.ReadFile(f.path("certs/www.pem")); err != nil || string(text) != "chain\nkey\n" {
		t.Errorf("%q %v", text, err)
	}
}

// A file in the place of one of the agent's folders goes, when the agent begins and later.
func TestFileInThePlaceOfAFolder(t *testing.T) {
	dir := filepath.Join(weirtest.TempDir(t), "check")
	if err := os.WriteFile(dir, []byte("nobody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := haproxy.Config{Sections: []haproxy.Section{{Kind: "global"}}}
	for _, name := range []string{"maps", ""} {
		if err := os.RemoveAll(f.path(name)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f.doubt()
		if err := f.save(c, nil); err != nil {
			t.Errorf("with a file at %q: %v", name, err)
		}
		if info, err := os.Stat(f.path("")); err != nil || !info.IsDir() {
			t.Errorf("%v %v", info, err)
		}
	}
}

// TestForeignConfigurationComesLast: a HAProxy that somebody else starts may begin at any moment, and must find all that its
// configuration names.
func TestForeignConfigurationComesLast(t *testing.T) {
	t.Parallel()
	dir := weirtest.TempDir(t)
	f, err := openFolder(filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	f.config, f.displace = filepath.Join(dir, "haproxy.cfg"), func() error { return nil }
	if err := os.WriteFile(f.config, []byte("found"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := haproxy.Config{Maps: []haproxy.Map{{Path: "maps/a.map"}, {Path: "maps/b.map"}}}
	keep := f.path("maps/b.map/keep")
	if err := os.MkdirAll(keep, 0o700); err != nil { // so that it can't be written
		t.Fatal(err)
	}
	if err := f.save(c, nil); err == nil {
		t.Error("a map that can't be written is no error")
	}
	if text, err := os.ReadFile(f.config); err != nil || string(text) != "found" {
		t.Errorf("in place is %q (%v), while a map is missing", text, err)
	}
	if err := os.RemoveAll(f.path("maps/b.map")); err != nil {
		t.Fatal(err)
	}
	if err := f.save(c, nil); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(f.config); err != nil || string(text) == "found" {
		t.Errorf("in place is %q (%v)", text, err)
	}
}
