package link

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"weir/internal/secrets"
)

// journalFile holds the resources in an agent's folder: the lines of a snapshot, then those of every
// transaction since. It holds no keys.
const (
	journalFile = "resources.ndjson"
	lockFile    = "lock"
)

// journalSlack is how much a journal may grow beyond twice its content before it is written anew.
const journalSlack = 4 << 20

// journal keeps a replica on disk. A crash at any moment leaves it at the end of some transaction.
type journal struct {
	path string
	lock *folderLock
	f    *os.File // nil until the first snapshot
	size int64    // of whole transactions
	base int64    // what the file was when written anew
}

// openJournal reads what an agent's folder holds. What does not belong to a whole transaction is cut off; found
// says if anything was, for the log. A second agent on the same folder is refused.
func openJournal(dir string, locked func(any bool)) (j *journal, r *replica, found string, err error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, nil, "", err
	}
	j = &journal{path: filepath.Join(dir, journalFile), lock: lock}
	if locked != nil {
		there, err := os.Stat(j.path)
		locked(err == nil && there.Size() > 0)
	}
	if r, found, err = j.load(); err != nil {
		return nil, nil, "", errors.Join(err, lock.Close())
	}
	return j, r, found, nil
}

// Lock keeps agents away from a folder until it is closed. The error says so when one is there.
func Lock(dir string) (io.Closer, error) { return lockDir(dir) }

// folderLock is a file whose lock ends when it is closed, though a child that is being started may still have it open.
type folderLock struct{ file *os.File }

// Close lets the next one in.
func (l *folderLock) Close() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}

func lockDir(dir string) (*folderLock, error) {
	path := filepath.Join(dir, lockFile)
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: lock %s: %w; another agent uses the folder", path, err), lock.Close())
	}
	return &folderLock{lock}, nil
}

func (j *journal) load() (*replica, string, error) {
	r := &replica{}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return r, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("open journal: %w", err)
	}
	good, fault := r.read(bufio.NewReaderSize(f, 1<<20))
	if good == 0 {
		// Nothing can be made of it; it is kept for a person to look at.
		err := errors.Join(f.Close(), os.Rename(j.path, j.path+".damaged"))
		if err != nil {
			return nil, "", fmt.Errorf("open journal: %w", err)
		}
		return &replica{}, fmt.Sprintf("%s is damaged from its beginning (%v) and was put aside as %s.damaged", j.path, fault, journalFile), nil
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("open journal: %w", err), f.Close())
	}
	found := ""
	if end > good {
		found = fmt.Sprintf("%s ended in the middle of a change (%v); its last %d bytes were dropped", j.path, fault, end-good)
		if err := f.Truncate(good); err != nil {
			return nil, "", errors.Join(fmt.Errorf("open journal: %w", err), f.Close())
		}
	}
	j.f, j.size = f, good
	for _, l := range r.list { // about what it would be if written anew
		j.base += int64(len(l.ID) + bodySize(l) + 32)
	}
	return r, found, nil
}

// read applies whole transactions until the end or the first fault, and tells how many bytes they took.
func (r *replica) read(in *bufio.Reader) (good int64, fault error) {
	var t transaction
	var at int64
	epoch := r.epoch
	for {
		line, err := readLine(in)
		if err != nil {
			return good, err
		}
		at += int64(len(line)) + 1
		m, err := decodeMessage(line)
		if err != nil {
			return good, err
		}
		if m.Epoch != "" {
			epoch = m.Epoch
		}
		t.add(m)
		if m.Hash == nil {
			continue
		}
		if err := r.apply(&t, epoch, m.Revision, *m.Hash); err != nil {
			return good, err
		}
		t, good = transaction{}, at
	}
}

// readLine reads a line without its end. What has no end is not a line.
func readLine(in *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(long)+len(part) > maxLine {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		if err == nil && long == nil {
			return part[:len(part)-1], nil
		}
		long = append(long, part...)
		if err == nil {
			return long[:len(long)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) && len(long) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// append adds whole transactions and returns once they are on disk. After an error the file ends where it ended.
func (j *journal) append(lines []byte) error {
	_, err := j.f.WriteAt(lines, j.size)
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("append to journal %s: %w", j.path, err), j.f.Truncate(j.size))
	}
	j.size += int64(len(lines))
	return nil
}

// bloated tells that most of the file is no longer content, once so many bytes more are in it.
func (j *journal) bloated(more int) bool { return j.size+int64(more) > 2*j.base+journalSlack }

// rewrite puts the content of r in place of what the file held.
func (j *journal) rewrite(r *replica) error {
	size := int64(0)
	err := secrets.WriteFileFrom(j.path, 0o600, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, chunk)
		for line := range r.lines() {
			size += int64(len(line))
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	if err != nil {
		return fmt.Errorf("rewrite journal: %w", err)
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("rewrite journal: %w", err)
	}
	if j.f != nil {
		_ = j.f.Close() // replaced, and synced before
	}
	j.f, j.size, j.base = f, size, size
	return nil
}

// lines writes a replica as it is kept, some lines at a time: it can be many megabytes.
func (r *replica) lines() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		b := appendStart(nil, r.epoch, true)
		for some := range slices.Chunk(r.list, 64) {
			if !yield(b) {
				return
			}
			b = appendPut(b[:0], some)
		}
		yield(appendCommit(b, r.revision, r.hash))
	}
}

func (j *journal) close() error {
	var err error
	if j.f != nil {
		err = j.f.Close()
	}
	return errors.Join(err, j.lock.Close())
}
