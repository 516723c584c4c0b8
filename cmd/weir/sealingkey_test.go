package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/secrets"
)

// The change of the sealing key as people see it, with a real server; no key is ever shown.
func TestSealingKeyCommands(t *testing.T) {
	at, dir := startServer(t)
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	for _, name := range []string{"WEIR_URL", "WEIR_CA", "WEIR_TOKEN", "WEIR_CONTEXT"} {
		t.Setenv(name, "")
	}
	sh := shell{t}
	sh.run(0, "login", at.URL, "--ca", at.CAHash, "--name", "prod", "--token-file", at.TokenFile)
	file := filepath.Join(dir, "sealing.key")
	old, err := secrets.OpenKeyring(file)
	if err != nil {
		t.Fatal(err)
	}
	sh.says(sh.run(0, "server", "sealing-key", "status"), old.CurrentID()+" seals since", "everything is sealed with it")
	sh.says(sh.run(2, "server", "sealing-key", "rotate"), "--data-dir or --sealing-key-file")
	told := sh.run(0, "server", "sealing-key", "rotate", "--data-dir", dir)
	sh.says(told, "is the first key in "+file, "before it was "+old.CurrentID())
	told += sh.run(0, "server", "sealing-key", "status", "--wait", "--data-dir", dir)
	sh.says(told, "everything is sealed with it", "servers need no longer: "+old.CurrentID())
	sh.says(sh.run(2, "server", "sealing-key", "retire", "--data-dir", dir), "--keep FILE, or --destroy")
	kept := filepath.Join(home, "old.key")
	told += sh.run(0, "server", "sealing-key", "retire", "--data-dir", dir, "--keep", kept)
	sh.says(told, old.CurrentID()+" dropped from "+file, "backups made before")
	sh.says(sh.run(0, "server", "sealing-key", "retire", "--data-dir", dir, "--destroy"), "Nothing to do")
	if ring, err := secrets.OpenKeyring(kept); err != nil || ring.CurrentID() != old.CurrentID() {
		t.Errorf("%v, %v", ring, err)
	}
	for _, path := range []string{file, kept} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && strings.Contains(told, line) {
				t.Error("a key is shown")
			}
		}
	}
}
