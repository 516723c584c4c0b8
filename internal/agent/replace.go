package agent

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// spareSize is from what size on, in bytes, a file that was displaced is kept and written over for the next text:
// pages that are there cost a fifth of new ones, and a large configuration is written for each change.
const spareSize = 256 << 10

// writeSize is how much of a file is written at once, in bytes.
const writeSize = 128 << 10

// replace puts a text, given in pieces, at path, whole at any moment, for everybody who opens it from then on; it is not synced.
func replace(path string, parts ...string) error {
	dir, base := filepath.Split(path)
	beside := dir + "." + base + ".new"
	err := writeBeside(beside, parts)
	if err == nil {
		err = exchange(beside, path)
	}
	if err != nil {
		_ = os.Remove(beside) // a half would only take room
	}
	return err
}

// exchange puts the file beside in the place of the one at path, and removes that or keeps it as a spare. A file that
// is renamed over another is written out to the disk by some file systems then and there, which costs a large one
// milliseconds and helps nobody who does not sync.
func exchange(beside, path string) error {
	if unix.Renameat2(unix.AT_FDCWD, beside, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) != nil {
		return os.Rename(beside, path) // there is none yet, or the file system can't
	}
	if info, err := os.Lstat(beside); err == nil && info.Mode().IsRegular() && info.Size() >= spareSize {
		return nil
	}
	return os.Remove(beside)
}

// writeBeside writes the pieces to a file that nobody has open.
func writeBeside(path string, parts []string) error {
	f := openSpare(path)
	if f == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		var err error
		if f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	w := bufio.NewWriterSize(f, writeSize)
	size, err := 0, error(nil)
	for _, part := range parts {
		size += len(part)
		if _, err = w.WriteString(part); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Truncate(int64(size)) // a spare may have been longer
	}
	return errors.Join(err, f.Close())
}

// openSpare opens a file that was displaced to be written over, or gives nil. Whoever has opened it while it was at its
// place, as a HAProxy that somebody else reloads, must read it to its end: the kernel gives a lease to write only on a
// file that nobody else has open (fcntl(2), F_SETLEASE), and by the name that it has now nobody comes to it.
func openSpare(path string) *os.File {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || info.Size() < spareSize {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		_ = f.Close() // nothing was written
		return nil
	}
	return f
}
