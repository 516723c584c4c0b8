package secrets

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrTampered is the kind of error for an audit file in which a line was changed, removed or moved.
var ErrTampered = errors.New("audit file was tampered with")

// open opens the file, made if absent, finds the chain's head and repairs what a crash left.
func (a *Audit) open() error {
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	a.file = f
	if err := a.load(); err != nil {
		return errors.Join(err, a.leave())
	}
	return nil
}

func (a *Audit) load() error {
	if err := a.file.Chmod(0o600); err != nil {
		return err
	}
	end, err := scanAudit(a.file)
	if err != nil {
		return err
	}
	a.size, a.first = end.size, end.first
	switch {
	case end.last.Seq > 0:
		a.last = end.last
	case a.last.Seq == 0: // not just rotated: look in the files before
		if a.last, err = headBefore(a.path); err != nil {
			return err
		}
	}
	if a.first == 0 {
		a.first = a.last.Seq + 1
	}
	if err := a.repair(end.tail); err != nil {
		return err
	}
	if err := errors.Join(a.file.Sync(), syncDir(filepath.Dir(a.path))); err != nil {
		return err
	}
	a.durable = a.last.Seq
	return nil
}

// repair closes a last line that a crash left without an end: complete, it gets its end; cut off, it is taken
// out and shown in a record instead. Taking out is one step, so a crash in the middle needs no repair itself.
func (a *Audit) repair(tail []byte) error {
	if len(tail) == 0 {
		return nil
	}
	if r, err := decodeAudit(tail); err == nil {
		if _, err := a.file.WriteString("\n"); err != nil {
			return err
		}
		a.last, a.size = r, a.size+1
		return nil
	}
	a.size -= int64(len(tail))
	if err := a.file.Truncate(a.size); err != nil {
		return err
	}
	e := AuditEntry{
		Author: "weir", What: "audit-repair", Outcome: "accepted",
		Reason: fmt.Sprintf("a crash cut off the record here after %d bytes: %s", len(tail), tail),
	}
	return a.add(e.clean())
}

// auditEnd is what is known of a file after reading it.
type auditEnd struct {
	size  int64
	first int64       // Seq of the first record that is whole, 0 if none is
	last  AuditRecord // the last one that is whole
	tail  []byte      // what stands behind the last line end
}

// scanAudit looks for the chain's end. Lines that are broken are passed over: to tell of them is VerifyAudit's
// part, and a damaged file must not keep a control plane from starting.
func scanAudit(r io.Reader) (auditEnd, error) {
	var end auditEnd
	err := eachLine(r, func(_ int, line []byte, ended bool) error {
		end.size += int64(len(line))
		if !ended {
			end.tail = line
			return nil
		}
		end.size++
		if rec, err := decodeAudit(line); err == nil {
			end.last = rec
			if end.first == 0 {
				end.first = rec.Seq
			}
		}
		return nil
	})
	return end, err
}

// headBefore finds the last whole record of the files that were set aside.
func headBefore(path string) (AuditRecord, error) {
	files, err := rotated(path)
	if err != nil {
		return AuditRecord{}, err
	}
	for i := len(files) - 1; i >= 0; i-- {
		end, err := scanFile(files[i])
		if err != nil {
			return AuditRecord{}, err
		}
		if end.last.Seq > 0 {
			return end.last, nil
		}
	}
	return AuditRecord{}, nil
}

func scanFile(path string) (auditEnd, error) {
	f, err := os.Open(path)
	if err != nil {
		return auditEnd{}, err
	}
	defer func() { _ = f.Close() }()
	return scanAudit(f)
}

// VerifyAudit checks the chain through files, given the oldest first, and gives the last record. The error is
// ErrTampered by kind and names file and line when one was changed, removed or moved. It may run while records
// are being appended; a rotation between listing and reading looks like removed lines, so ask again. It can't see that the oldest files, or the last records, are missing: for the latter
// compare with a Head noted elsewhere.
func VerifyAudit(paths ...string) (AuditRecord, error) {
	var last AuditRecord
	for i, path := range paths {
		var err error
		if last, err = verifyFile(path, last, i == len(paths)-1); err != nil {
			return last, fmt.Errorf("verify audit file %s: %w", path, err)
		}
	}
	return last, nil
}

func verifyFile(path string, last AuditRecord, newest bool) (AuditRecord, error) {
	f, err := os.Open(path)
	if err != nil {
		return last, err
	}
	defer func() { _ = f.Close() }()
	err = eachLine(f, func(n int, line []byte, ended bool) error {
		if !ended && newest {
			return nil // being written, or cut off by a crash
		}
		r, err := decodeAudit(line)
		if err == nil {
			err = follows(last, r)
		}
		if err != nil {
			return fmt.Errorf("%w: line %d: %w", ErrTampered, n, err)
		}
		last = r
		return nil
	})
	return last, err
}

// follows says why r can't come right after last; the zero last stands for what was rotated away.
func follows(last, r AuditRecord) error {
	switch {
	case last.Seq == 0 && (r.Seq > 1) == (r.Prev != ""):
		return nil
	case last.Seq > 0 && r.Seq != last.Seq+1:
		return fmt.Errorf("record %d follows record %d", r.Seq, last.Seq)
	case r.Prev != last.Hash || last.Seq == 0:
		return fmt.Errorf("record %d does not hold the hash of the one before", r.Seq)
	}
	return nil
}

// eachLine calls visit with each line, numbered from 1, without its end, and whether it had one.
func eachLine(r io.Reader, visit func(n int, line []byte, ended bool) error) error {
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		ended := err == nil
		if ended {
			line = line[:len(line)-1]
		}
		if len(line) > 0 || ended {
			if err := visit(n, line, ended); err != nil {
				return err
			}
		}
		if !ended {
			return nil
		}
	}
}
