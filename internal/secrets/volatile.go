package secrets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The kernel's numbers of file systems that are in memory only (statfs(2)).
const (
	tmpfsMagic = 0x01021994
	ramfsMagic = 0x858458f6
)

// ErrOnDisk is the kind of error for a folder whose files could come to lie on a disk.
var ErrOnDisk = errors.New("the folder is not in memory")

// CheckVolatile says whether what is written to a folder stays in memory, as on tmpfs and ramfs; the error wraps
// ErrOnDisk when it does not. What the machine swaps out is the machine's.
func CheckVolatile(dir string) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return fmt.Errorf("look where %s lies: %w", dir, err)
	}
	// On some machines the number is signed and has 32 bits.
	if kind := uint32(s.Type); kind != tmpfsMagic && kind != ramfsMagic { //nolint:gosec // cut on purpose
		return fmt.Errorf("%s: %w (tmpfs or ramfs); name a folder below /run or /dev/shm", dir, ErrOnDisk)
	}
	return nil
}

// WriteVolatile puts data at path, 0600, in a folder that must be in memory. It is written beside and renamed, so that
// a reader sees the file of before or this one, whole.
func WriteVolatile(path string, data []byte) error {
	if err := CheckVolatile(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return place(path, 0o600, whole(data), os.Rename)
}
