package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Audit appends to a file of JSON lines, each of which holds the hash of the one before, on across rotations,
// restarts and crashes. Many goroutines may use it; one process at a time may have it open.
type Audit struct {
	path     string
	maxBytes int64
	keep     int
	now      func() time.Time
	lock     *os.File

	syncMu sync.Mutex // held by the one who syncs for all that wait; taken before mu

	mu      sync.Mutex // guards what follows
	file    *os.File   // nil after a write failed: the next one opens and repairs
	size    int64
	first   int64       // the Seq of the file's first record, or of the next one
	last    AuditRecord // its Seq and Hash are the chain's head
	durable int64       // the last Seq known to be on disk
}

// OpenAudit opens the audit file at path, made 0600 if absent in a folder made 0700, and goes on with its chain.
// A file that would grow over maxBytes is renamed to path.<its first sequence number>; of those, keep are kept.
func OpenAudit(path string, maxBytes int64, keep int, now func() time.Time) (*Audit, error) {
	if maxBytes < 1024 || keep < 1 {
		return nil, fmt.Errorf("open audit file %s: a file must hold at least 1024 bytes and one old file be kept", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open audit file: %w", err)
	}
	lock, err := lockAudit(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open audit file %s: %w", path, err)
	}
	a := &Audit{path: path, maxBytes: maxBytes, keep: keep, now: now, lock: lock}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// lockAudit holds a file of its own, because the audit file itself is renamed.
func lockAudit(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another server uses this folder; stop that one, or choose another folder (%s: %w)", path, err)
	}
	return f, nil
}

// Append writes one entry and returns when it is on disk. Entries that wait together cost one sync.
func (a *Audit) Append(e AuditEntry) error {
	seq, err := a.write(e)
	if err == nil {
		err = a.sync(seq)
	}
	if err != nil {
		return fmt.Errorf("write audit file %s: %w", a.path, err)
	}
	return nil
}

// Head gives the sequence number and hash of the last record. Kept elsewhere, it lets somebody find out later
// that the end of the file was cut off, which the file alone can't show.
func (a *Audit) Head() (seq int64, hash string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last.Seq, a.last.Hash
}

// Close ends the use of the file; Append fails from then on.
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.leave()
	if a.lock != nil {
		err = errors.Join(err, a.lock.Close())
		a.lock = nil
	}
	return err
}

func (a *Audit) write(e AuditEntry) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lock == nil {
		return 0, fs.ErrClosed
	}
	if a.file == nil {
		if err := a.open(); err != nil {
			return 0, err
		}
	}
	if err := a.add(e.clean()); err != nil {
		return 0, err
	}
	return a.last.Seq, nil
}

// add puts a record behind the last one; on an error the file is left, and whatever of the line got into it
// is dealt with when it is opened again.
func (a *Audit) add(e AuditEntry) error {
	r := AuditRecord{Seq: a.last.Seq + 1, Prev: a.last.Hash, Time: a.now().UTC(), AuditEntry: e}
	line, err := r.encode()
	if err != nil {
		return err
	}
	if a.size > 0 && a.size+int64(len(line)) > a.maxBytes {
		if err := a.rotate(); err != nil {
			return errors.Join(err, a.leave())
		}
	}
	n, err := a.file.Write(line)
	a.size += int64(n)
	if err != nil {
		return errors.Join(err, a.leave())
	}
	a.last = r
	return nil
}

// leave syncs and closes the file, if it is open.
func (a *Audit) leave() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Sync()
	if err == nil {
		a.durable = a.last.Seq
	}
	err = errors.Join(err, a.file.Close())
	a.file = nil
	return err
}

// sync waits until record seq is on disk. Who comes while another syncs finds, mostly, its own work done.
func (a *Audit) sync(seq int64) error {
	a.syncMu.Lock()
	defer a.syncMu.Unlock()
	a.mu.Lock()
	f, upto, done := a.file, a.last.Seq, a.durable >= seq
	a.mu.Unlock()
	if done {
		return nil
	}
	err := error(fs.ErrClosed)
	if f != nil {
		err = f.Sync() // without the lock, so that others write meanwhile
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.durable = max(a.durable, upto)
	}
	if a.durable >= seq { // by this sync, or by the one with which the file was left meanwhile
		return nil
	}
	return err
}

// rotate sets the full file aside under the number of its first record, so that names sort by age and no
// other file is touched, and removes the oldest.
func (a *Audit) rotate() error {
	if err := a.leave(); err != nil {
		return err
	}
	if err := os.Rename(a.path, freeName(a.path, a.first)); err != nil {
		return err
	}
	if err := a.open(); err != nil {
		return err
	}
	old, err := rotated(a.path)
	if err != nil {
		return err
	}
	for _, path := range old[:max(0, len(old)-a.keep)] {
		_ = os.Remove(path) // tried again at the next rotation; no reason to lose a record
	}
	return nil
}

// freeName never lets a rename replace records, whatever somebody did to the files' numbers.
func freeName(path string, first int64) string {
	for ; ; first++ {
		name := fmt.Sprintf("%s.%020d", path, first)
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name
		}
	}
}

// AuditFiles gives the files that belong to the audit file at path, the oldest first, as VerifyAudit wants them.
func AuditFiles(path string) ([]string, error) {
	files, err := rotated(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err == nil {
		files = append(files, path)
	}
	return files, nil
}

func rotated(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("list audit files: %w", err)
	}
	var files []string
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		if ok && len(number) == 20 && strings.Trim(number, "0123456789") == "" {
			files = append(files, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}
