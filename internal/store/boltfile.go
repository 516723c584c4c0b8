package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
)

// The head of a page of etcd's database and of the two that say what is in it: see bbolt's db.go.
const (
	boltMagic    = 0xED0CDAED
	boltPageHead = 16
	boltMeta     = 64 // bytes, the checksum of those before it last
)

// checkDatabase refuses a database that is shorter than it says, or that does not say: etcd would not start with it
// and show nothing but its own stack. One that is not there yet is fine.
func checkDatabase(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the store's file: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the store's file: %w", err)
	}
	least := boltLength(f)
	switch {
	case info.Size() == 0: // it was about to be made
		return nil
	case least == 0:
		return damaged(path, "its beginning can't be read")
	case info.Size() < least:
		return damaged(path, fmt.Sprintf("it was cut: it has %d bytes, and %d at least when it was whole", info.Size(), least))
	}
	return nil
}

func damaged(path, how string) error {
	return fmt.Errorf("the store's file %s is damaged: %s. If the store has other members, remove this one with weir server remove there and join again with an empty folder; else put the folder aside and restore a backup with weir server restore", path, how)
}

// boltLength gives how long the database is according to the newest of its two heads, 0 when neither is whole. The
// second stands a page after the first, whose size that says; where it doesn't, the system's is tried.
func boltLength(f io.ReaderAt) int64 {
	var length int64
	var newest uint64
	take := func(at int64) (page int64) {
		raw := make([]byte, boltMeta)
		if _, err := f.ReadAt(raw, at+boltPageHead); err != nil || binary.NativeEndian.Uint32(raw) != boltMagic {
			return 0
		}
		sum := fnv.New64a()
		_, _ = sum.Write(raw[:boltMeta-8])
		if sum.Sum64() != binary.NativeEndian.Uint64(raw[boltMeta-8:]) {
			return 0
		}
		page = int64(binary.NativeEndian.Uint32(raw[8:]))
		pages, txid := binary.NativeEndian.Uint64(raw[40:]), binary.NativeEndian.Uint64(raw[48:])
		if length == 0 || txid > newest {
			length, newest = int64(pages)*page, txid
		}
		return page
	}
	second := take(0)
	if second == 0 {
		second = int64(os.Getpagesize())
	}
	take(second)
	return length
}
