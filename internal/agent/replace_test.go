package agent

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// TestWhoReadsAFileReadsItToItsEnd: a large file that was displaced is written over, but not while somebody has it open.
func TestWhoReadsAFileReadsItToItsEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(weirtest.TempDir(t), "haproxy.cfg")
	text := func(mark string, lines int) []string {
		return []string{strings.Repeat(mark, 100) + "\n", strings.Repeat(mark+"\n", lines)}
	}
	put := func(parts []string) os.FileInfo {
		t.Helper()
		if err := replace(path, parts...); err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(path)
		if err != nil || string(have) != strings.Join(parts, "") {
			t.Fatalf("the file holds %d bytes, not what was written; %v", len(have), err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info.Mode(), err)
		}
		return info
	}
	first := put(text("a", spareSize))
	put(text("b", spareSize*2))
	if third := put(text("c", spareSize)); !os.SameFile(first, third) {
		t.Error("the file that was displaced is not written over")
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	put(text("d", spareSize))
	put(text("e", spareSize))
	put(text("f", spareSize))
	if read, err := io.ReadAll(reader); err != nil || string(read) != strings.Join(text("c", spareSize), "") {
		t.Errorf("who had the file open reads %d bytes of another text; %v", len(read), err)
	}
	small := []string{"short\n"}
	put(small)
	put(small)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) != 0 {
		t.Errorf("small files are not kept: %v, %v", left, err)
	}
}

// TestOneAfterTheOther: what is displaced is written over for the next, and nothing of it is left in the end; a file that
// somebody reads, or that has another name, stays as it is.
func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	dir := weirtest.TempDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	next := newSuccessor(dir)
	put := func(name, text string) {
		t.Helper()
		if err := next.put(at(name), []byte(text)); err != nil {
			t.Fatal(err)
		}
		have, err := os.ReadFile(at(name))
		if info, ierr := os.Lstat(at(name)); err != nil || ierr != nil || string(have) != text || info.Mode() != 0o600 {
			t.Fatalf("%s holds %q: %v", name, have, err)
		}
	}
	end := func() {
		t.Helper()
		left, err := filepath.Glob(at(".*"))
		if err := errors.Join(err, next.end()); err != nil {
			t.Fatal(err)
		}
		if still, _ := filepath.Glob(at(".*")); len(left) > 1 || len(still) > 0 {
			t.Errorf("beside the files are %q, in the end %q", left, still)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		put(name, "the first of "+name)
	}
	end()
	first, err := os.Stat(at("a"))
	if err != nil {
		t.Fatal(err)
	}
	put("a", "short")
	put("b", "the second, and longer")
	if second, err := os.Stat(at("b")); err != nil || !os.SameFile(first, second) {
		t.Errorf("what was displaced is not written over; %v", err)
	}
	end()
	reader, err := os.Open(at("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if err := errors.Join(os.Link(at("b"), at("kept")), os.Symlink("nowhere", at("d"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c", "d", "a"} {
		put(name, "the third of "+name)
	}
	if read, err := io.ReadAll(reader); err != nil || string(read) != "short" {
		t.Errorf("who had the file open reads %q; %v", read, err)
	}
	if kept, err := os.ReadFile(at("kept")); err != nil || string(kept) != "the second, and longer" {
		t.Errorf("the other name has %q; %v", kept, err)
	}
	end()
}
