package agent

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"syscall"

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

// create is replace for a file that is mostly not there yet, and that nobody is told of before: it is written where it will
// be. What a crash cuts off is found when it is compared with what it should be, as before each start of HAProxy.
func create(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return replace(path, string(content))
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path) // a half would only take room
	}
	return err
}

// successor puts contents at paths of one folder one after the other, whole at any moment as replace does: each file that was
// displaced is written over for the next one. To make a hundred files and to remove a hundred costs four times as much.
type successor struct{ spare string }

func newSuccessor(dir string) successor { return successor{filepath.Join(dir, ".displaced.new")} }

func (s successor) put(path string, content []byte) error {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return create(path, content)
	}
	f := openSpare(s.spare, 0)
	if f == nil {
		if err := s.end(); err != nil {
			return err
		}
		var err error
		if f, err = os.OpenFile(s.spare, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	_, err := f.Write(content)
	if err == nil {
		err = f.Truncate(int64(len(content))) // it may have been longer
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if unix.Renameat2(unix.AT_FDCWD, s.spare, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) != nil {
		return os.Rename(s.spare, path) // the file system can't
	}
	return nil
}

// end removes what was displaced last.
func (s successor) end() error {
	if err := os.Remove(s.spare); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
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
	f := openSpare(path, spareSize)
	spare := f != nil
	if !spare {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		var err error
		if f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
	}
	size, err := writeParts(f, parts)
	if err == nil && spare {
		err = f.Truncate(int64(size)) // it may have been longer
	}
	return errors.Join(err, f.Close())
}

func writeParts(f *os.File, parts []string) (size int, err error) {
	if len(parts) == 1 {
		return f.WriteString(parts[0])
	}
	w := bufio.NewWriterSize(f, writeSize)
	for _, part := range parts {
		size += len(part)
		if _, err := w.WriteString(part); err != nil {
			return size, err
		}
	}
	return size, w.Flush()
}

// openSpare opens a file that was displaced to be written over, or gives nil. Whoever has opened it while it was at its
// place, as a HAProxy that somebody else reloads, must read it to its end: the kernel gives a lease to write only on a
// file that nobody else has open (fcntl(2), F_SETLEASE), and by the name that it has now nobody comes to it.
// It gives nil for one that is shorter than least, too.
func openSpare(path string, least int64) *os.File {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 || info.Size() < least || !mineAlone(info) {
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

// mineAlone says that a file is this account's, and has one name.
func mineAlone(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && stat.Nlink == 1
}
