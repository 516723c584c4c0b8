package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"weir/internal/secrets"
)

// A backup is gzip inside age. What that holds are lines of JSON: a header, a line for every key of the store in
// the order of the keys, and an end with the number of lines, their SHA-256, and a seal over that which only who
// has the sealing key can make.

// backupFormat is the version of the format that is written; it goes up when an older reader must refuse.
const backupFormat = 1

// backupWord is what a backup's first line calls it.
const backupWord = "backup"

// maxBackupLine bounds a line: a value of etcd, in base64.
const maxBackupLine = 4 << 20

// BackupInfo says what a backup holds.
type BackupInfo struct {
	// At is when it was made, Revision the last change in it, Version who made it.
	At       time.Time `json:"at"`
	Revision int64     `json:"revision"`
	Version  string    `json:"version,omitempty"`
	// Objects counts by kind. What Pending changes made of them is in the backup and not counted.
	Objects map[string]int `json:"objects"`
	Pending int64          `json:"pending,omitempty"`
	// Changes, Secrets and Platform count kept changes, sealed secrets and sealed values of the platform.
	Changes  int `json:"changes"`
	Secrets  int `json:"secrets"`
	Platform int `json:"platform"`
	// Records counts all lines between the first and the last.
	Records int64 `json:"records"`
}

// backupHeader is the first line.
type backupHeader struct {
	Weir     string    `json:"weir"`
	Format   int       `json:"format"`
	At       time.Time `json:"at"`
	Revision int64     `json:"revision"`
	Version  string    `json:"version,omitempty"`
}

// record is one key below root.
type record struct {
	Key   string `json:"k"`
	Value []byte `json:"v"`
	// Generation is that of a value of the platform: it is part of what the value is sealed for.
	Generation int64 `json:"g,omitempty"`
}

// backupEnd is the last line.
type backupEnd struct {
	End     bool   `json:"end"`
	Records int64  `json:"records"`
	SHA256  string `json:"sha256"`
	// Seal is a fingerprint of the sum under the sealing key.
	Seal string `json:"seal"`
}

// What a backup's seal is a fingerprint of.
const (
	sealKind = "Platform"
	sealName = "backup"
)

// count takes a record into account.
func (i *BackupInfo) count(r record) error {
	i.Records++
	key := root + r.Key
	switch {
	case strings.HasPrefix(key, prefixObject):
		ref, _, ok := parseObjectKey(key, prefixObject)
		if !ok {
			return fmt.Errorf("key %q is odd", r.Key)
		}
		i.Objects[ref.Kind]++
	case strings.HasPrefix(key, prefixChange):
		i.Changes++
	case strings.HasPrefix(key, prefixSealed):
		i.Secrets++
	case strings.HasPrefix(key, prefixPlatform):
		i.Platform++
	case key == keyMat:
		mat, err := parseRevision(string(r.Value))
		if err != nil {
			return err
		}
		i.Pending = i.Revision - mat
	case key == keyHead:
		if string(r.Value) != decimal(i.Revision) {
			return errors.New("the revision of its first line is not that of what it holds")
		}
	}
	return nil
}

// backupWriter writes the lines; the first error stays.
type backupWriter struct {
	out  *bufio.Writer
	sum  hash.Hash
	ring *secrets.Keyring
	info BackupInfo
	err  error
}

func newBackupWriter(out io.Writer, ring *secrets.Keyring) *backupWriter {
	return &backupWriter{out: bufio.NewWriterSize(out, 256<<10), sum: sha256.New(), ring: ring}
}

func (w *backupWriter) line(v any) {
	if w.err != nil {
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		w.err = err
		return
	}
	raw = append(raw, '\n')
	w.sum.Write(raw)
	_, w.err = w.out.Write(raw)
}

func (w *backupWriter) header(info BackupInfo) {
	w.info = info
	w.info.Objects = map[string]int{}
	w.line(backupHeader{backupWord, backupFormat, info.At, info.Revision, info.Version})
}

func (w *backupWriter) record(r record) {
	w.line(r)
	if w.err == nil {
		w.err = w.info.count(r)
	}
}

func (w *backupWriter) close() error {
	sum := w.sum.Sum(nil)
	w.line(backupEnd{true, w.info.Records, hex.EncodeToString(sum), w.ring.Fingerprint(sealKind, sealName, sum)})
	if w.err != nil {
		return w.err
	}
	return w.out.Flush()
}

// scanBackup reads the lines and gives f each record. It returns nil only for a backup that is whole; ring, when
// given, must be the one that sealed it.
func scanBackup(in io.Reader, ring *secrets.Keyring, f func(BackupInfo, record) error) (BackupInfo, error) {
	lines := bufio.NewReaderSize(in, 256<<10)
	sum := sha256.New()
	var head backupHeader
	line, err := backupLine(lines)
	if err == nil {
		err = strictly(line, &head)
	}
	switch {
	case err != nil || head.Weir != backupWord:
		return BackupInfo{}, errors.New("it is no backup of Weir")
	case head.Format != backupFormat:
		return BackupInfo{}, fmt.Errorf("it is of format %d, this version of weir reads %d; use the version that made it (%s), or a newer one", head.Format, backupFormat, head.Version)
	}
	sum.Write(line)
	info := BackupInfo{At: head.At, Revision: head.Revision, Version: head.Version, Objects: map[string]int{}}
	last := ""
	for {
		if line, err = backupLine(lines); err != nil {
			return info, err
		}
		if bytes.HasPrefix(line, []byte(`{"end":`)) {
			return info, finishScan(lines, line, sum.Sum(nil), info, ring)
		}
		sum.Write(line)
		var r record
		if err := strictly(line, &r); err != nil || r.Key <= last || passing(root+r.Key) {
			return info, fmt.Errorf("line %d is none of a backup's", info.Records+2)
		}
		last = r.Key
		if err := info.count(r); err != nil {
			return info, err
		}
		if err := f(info, r); err != nil {
			return info, err
		}
	}
}

func finishScan(lines *bufio.Reader, line, sum []byte, info BackupInfo, ring *secrets.Keyring) error {
	var end backupEnd
	if err := strictly(line, &end); err != nil || !end.End || end.Records != info.Records || end.SHA256 != hex.EncodeToString(sum) {
		return errors.New("its last line does not fit the rest: it was cut or changed")
	}
	if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its last line")
	}
	if ring != nil && !ring.SameSecret(end.Seal, sealKind, sealName, sum) {
		return errors.New("it was not made under this sealing key: it is of another control plane, or was made by somebody who has not that key")
	}
	return nil
}

func strictly(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// backupLine reads a line with its end.
func backupLine(in *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := in.ReadSlice('\n')
		long = append(long, part...)
		switch {
		case len(long) > maxBackupLine:
			return nil, errors.New("a line is too long for a backup")
		case err == nil:
			return long, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("it ends too early: it was cut")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("it can't be read to its end, it was cut or changed: %w", err)
		}
	}
}
