package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// maxPrivateFile bounds what is read of a key file, a key or a certificate chain.
const maxPrivateFile = 1 << 20

// WriteFile puts data at path so that after a crash the file is the old one or the new one, whole: written
// beside with exactly mode, synced, renamed, and the folder synced. A symbolic link at path is replaced.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return place(path, mode, whole(data), os.Rename)
}

// WriteFileFrom is WriteFile for what somebody writes piece by piece.
func WriteFileFrom(path string, mode fs.FileMode, write func(w io.Writer) error) error {
	return place(path, mode, write, os.Rename)
}

// WriteFiles is WriteFile for several files, by their paths: all are whole after a crash, each the old one or
// the new one, and when it returns without an error all are the new ones. It waits for the disk less often: all are
// written before the first is synced, so that file systems with a journal bring them to disk together.
func WriteFiles(files map[string][]byte, mode fs.FileMode) error {
	for some := range slices.Chunk(slices.Collect(maps.Keys(files)), filesAtOnce) {
		if err := writeSome(some, files, mode); err != nil {
			return err
		}
	}
	return syncDirs(maps.Keys(files))
}

// SyncFiles returns once files that are there are on disk, under their names. One that is gone is passed over.
func SyncFiles(paths ...string) error {
	err := sideBySide(len(paths), func(i int) error {
		f, err := os.Open(paths[i])
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	return errors.Join(err, syncDirs(slices.Values(paths)))
}

// filesAtOnce bounds how many files are open at a time.
const filesAtOnce = 256

func writeSome(paths []string, files map[string][]byte, mode fs.FileMode) (err error) {
	beside := make([]*os.File, len(paths))
	defer func() {
		for _, f := range beside {
			if f != nil && err != nil {
				_ = f.Close()
				_ = os.Remove(f.Name())
			}
		}
	}()
	for i, path := range paths {
		if beside[i], err = createBeside(path, mode, whole(files[path])); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	if err = sideBySide(len(paths), func(i int) error { return beside[i].Sync() }); err != nil {
		return fmt.Errorf("write files: %w", err)
	}
	for i, path := range paths {
		if err = errors.Join(beside[i].Close(), os.Rename(beside[i].Name(), path)); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		beside[i] = nil
	}
	return nil
}

// sideBySide does things that wait for the disk, and gives what failed.
func sideBySide(n int, do func(i int) error) error {
	const workers = 16
	errs := make([]error, n)
	var all sync.WaitGroup
	for w := range min(workers, n) {
		all.Go(func() {
			for i := w; i < n; i += workers {
				errs[i] = do(i)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func syncDirs(paths iter.Seq[string]) error {
	dirs := map[string]bool{}
	for path := range paths {
		dirs[filepath.Dir(path)] = true
	}
	var errs []error
	for dir := range dirs {
		errs = append(errs, syncDir(dir))
	}
	return errors.Join(errs...)
}

// CreateFile is WriteFile for a path that must not exist yet; the error wraps fs.ErrExist if it does.
func CreateFile(path string, data []byte, mode fs.FileMode) error {
	return place(path, mode, whole(data), func(temp, path string) error {
		// A hard link, unlike a rename, never replaces.
		if err := os.Link(temp, path); err != nil {
			return err
		}
		return os.Remove(temp)
	})
}

// RemoveHalves removes from folders what WriteFile and its like had beside a file when their process was killed, which
// may hold a key. Nobody may be writing there.
func RemoveHalves(dirs ...string) error {
	var errs []error
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove half files: %w", err))
		}
		for _, e := range entries {
			if name := e.Name(); e.Type().IsRegular() && name[0] == '.' && (strings.Contains(name, ".tmp-") || strings.HasSuffix(name, ".new")) {
				errs = append(errs, os.Remove(filepath.Join(dir, name)))
			}
		}
	}
	return errors.Join(errs...)
}

func place(path string, mode fs.FileMode, write func(w io.Writer) error, move func(temp, path string) error) error {
	if err := renamed(path, mode, write, move); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// renamed puts a file that is on disk in its place; that it is there is not yet.
func renamed(path string, mode fs.FileMode, write func(w io.Writer) error, move func(temp, path string) error) error {
	f, err := createBeside(path, mode, write)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = errors.Join(f.Sync(), f.Close()); err == nil {
		err = move(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func whole(data []byte) func(w io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// createBeside makes a file for what is to be at path, in the same folder, and leaves it open.
func createBeside(path string, mode fs.FileMode, write func(w io.Writer) error) (*os.File, error) {
	// The leading dot keeps HAProxy and others that read whole folders from seeing it.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return nil, err
	}
	if err = f.Chmod(mode); err == nil {
		err = write(f)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadPrivateFile reads a file of at most 1 MiB that only its owner may read or write, and refuses any other.
func ReadPrivateFile(path string) ([]byte, error) {
	f, err := openPrivate(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxPrivateFile+1))
	if err != nil {
		return nil, fmt.Errorf("read private file: %w", err)
	}
	if len(data) > maxPrivateFile {
		return nil, fmt.Errorf("read private file %s: it is larger than %d bytes", path, maxPrivateFile)
	}
	return data, nil
}

// ReadPrivatePart reads so many bytes from a place in a file that ReadPrivateFile would take.
func ReadPrivatePart(path string, offset int64, length int) ([]byte, error) {
	f, err := openPrivate(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data := make([]byte, min(length, maxPrivateFile))
	if _, err := f.ReadAt(data, offset); err != nil {
		return nil, fmt.Errorf("read private file: %w", err)
	}
	return data, nil
}

// openPrivate opens a file that only its owner may read or write, and refuses any other.
func openPrivate(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read private file: %w", err)
	}
	// Asked of the open file, so that it can't be exchanged between the question and the reading.
	info, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("read private file: %w", err)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("read private file %s: it is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		err = fmt.Errorf("read private file %s: mode %04o lets others than its owner at it; run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
