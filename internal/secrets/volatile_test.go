package secrets

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestVolatileFilesStayInMemory(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "keys")
	for _, text := range []string{"first", "second"} {
		if err := WriteVolatile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPrivateFile(path); err != nil || string(got) != text {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left beside: %v, %v", files, err)
	}
}

func TestVolatileFilesAreNotWrittenElsewhere(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"/proc", "/sys"} {
		if err := CheckVolatile(dir); !errors.Is(err, ErrOnDisk) {
			t.Errorf("%s: %v", dir, err)
		}
		if err := WriteVolatile(filepath.Join(dir, "keys"), nil); !errors.Is(err, ErrOnDisk) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := CheckVolatile(filepath.Join(t.TempDir(), "absent")); err == nil || errors.Is(err, ErrOnDisk) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
