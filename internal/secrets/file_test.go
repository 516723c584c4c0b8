package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a b")
	for i, mode := range []fs.FileMode{0o600, 0o644, 0o400, 0o600} {
		want := fmt.Sprint("text ", i)
		if err := WriteFile(path, []byte(want), mode); err != nil {
			t.Fatal(err)
		}
		got, _ := os.ReadFile(path)
		info, _ := os.Stat(path)
		if string(got) != want || info.Mode() != mode {
			t.Errorf("%q, %v", got, info.Mode())
		}
	}
	if err := CreateFile(path, nil, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created over a file: %v", err)
	}
	if err := CreateFile(path+"2", []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written into no folder: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "folder"), nil, 0o600); err == nil {
		t.Error("written over a folder")
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 3 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWriteFileIsWholeToReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	one, two := bytes.Repeat([]byte("1"), 8192), bytes.Repeat([]byte("2"), 8192)
	if err := WriteFile(path, one, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, data := range [][]byte{one, two} {
		wg.Go(func() {
			for range 50 {
				if err := WriteFile(path, data, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, one) && !bytes.Equal(got, two) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}
	})
	wg.Wait()
}

func TestRemoveHalves(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kept", ".hidden", ".key.tmp-123", ".haproxy.cfg.new", "x.new"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".folder.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := RemoveHalves(dir, filepath.Join(dir, "none")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := ".folder.new .hidden kept x.new"; err != nil || strings.Join(names, " ") != want {
		t.Errorf("%v %v, want %s", names, err, want)
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	for i := range 40 {
		files[filepath.Join(dir, fmt.Sprint(i))] = fmt.Appendf(nil, "text %d", i)
	}
	if err := WriteFiles(files, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		if got, err := ReadPrivateFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != len(files) {
		t.Errorf("%d files, %v", len(left), err)
	}
	files[filepath.Join(dir, "none", "x")] = nil
	if err := WriteFiles(files, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written into no folder: %v", err)
	}
}
