package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxPrivateFile bounds what is read of a key file, a key or a certificate chain.
const maxPrivateFile = 1 << 20

// WriteFile puts data at path so that after a crash the file is the old one or the new one, whole: written
// beside with exactly mode, synced, renamed, and the folder synced. A symbolic link at path is replaced.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return place(path, data, mode, os.Rename)
}

// WriteFiles is WriteFile for several files, by their paths: all are whole after a crash, each the old one or
// the new one, and when it returns without an error all are the new ones. It waits for the disk less often.
func WriteFiles(files map[string][]byte, mode fs.FileMode) error {
	const atOnce = 8
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	dirs := map[string]bool{}
	slots := make(chan struct{}, atOnce)
	for path, data := range files {
		dirs[filepath.Dir(path)] = true
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := renamed(path, data, mode, os.Rename); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for dir := range dirs {
		if err := syncDir(dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// CreateFile is WriteFile for a path that must not exist yet; the error wraps fs.ErrExist if it does.
func CreateFile(path string, data []byte, mode fs.FileMode) error {
	return place(path, data, mode, func(temp, path string) error {
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

func place(path string, data []byte, mode fs.FileMode, move func(temp, path string) error) error {
	if err := renamed(path, data, mode, move); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// renamed puts a file that is on disk in its place; that it is there is not yet.
func renamed(path string, data []byte, mode fs.FileMode, move func(temp, path string) error) (err error) {
	dir := filepath.Dir(path)
	// The leading dot keeps HAProxy and others that read whole folders from seeing it.
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := fill(f, data, mode); err != nil {
		return err
	}
	return move(f.Name(), path)
}

func fill(f *os.File, data []byte, mode fs.FileMode) error {
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
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
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read private file: %w", err)
	}
	defer func() { _ = f.Close() }()
	// Asked of the open file, so that it can't be exchanged between the question and the reading.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read private file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read private file %s: it is not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("read private file %s: mode %04o lets others than its owner at it; run: chmod 600 %s", path, perm, path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPrivateFile+1))
	if err != nil {
		return nil, fmt.Errorf("read private file: %w", err)
	}
	if len(data) > maxPrivateFile {
		return nil, fmt.Errorf("read private file %s: it is larger than %d bytes", path, maxPrivateFile)
	}
	return data, nil
}
