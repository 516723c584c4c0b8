package agent

import (
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
