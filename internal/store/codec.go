package store

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"weir"
)

// A packed value is one byte that says how, then the bytes.
const (
	plain    = 'p'
	deflated = 'z'
	// compressFrom is the size from which it pays: below, starting the compressor costs more than the disk.
	compressFrom = 2 << 10
	// maxUnpacked bounds what a damaged value can make of itself.
	maxUnpacked = 1 << 30
)

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // only for a level that does not exist
	}
	return w
}}

func pack(raw []byte) []byte {
	if len(raw) < compressFrom {
		return append([]byte{plain}, raw...)
	}
	out := bytes.NewBuffer(make([]byte, 0, len(raw)/4))
	out.WriteByte(deflated)
	w := deflaters.Get().(*flate.Writer)
	w.Reset(out)
	_, err := w.Write(raw)
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	deflaters.Put(w)
	return out.Bytes()
}

func unpack(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, errors.New("read store: a value is empty")
	}
	switch value[0] {
	case plain:
		return value[1:], nil
	case deflated:
		raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(value[1:])), maxUnpacked))
		if err != nil {
			return nil, fmt.Errorf("read store: %w", err)
		}
		return raw, nil
	default:
		return nil, fmt.Errorf("read store: a value of form %q was written by a newer version", value[0])
	}
}

func chunksOf(value []byte) [][]byte {
	var chunks [][]byte
	for len(value) > maxChunk {
		chunks = append(chunks, value[:maxChunk])
		value = value[maxChunk:]
	}
	return append(chunks, value)
}

// canonical is an object without what the control plane adds to it: equal bytes are equal wishes.
func canonical(o *weir.Object) ([]byte, error) {
	if o == nil {
		return nil, nil
	}
	raw, err := json.Marshal(struct {
		Kind     string        `json:"kind"`
		Metadata weir.Metadata `json:"metadata"`
		Spec     weir.Spec     `json:"spec"`
	}{o.Kind, o.Metadata, o.Spec})
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", o.Ref(), err)
	}
	return raw, nil
}

// An object's value is its revision, the number of chunks that it has, and the first of them.

// objectValues gives the value of an object's o/ key and the further chunks.
func objectValues(revision int64, canonical []byte) (value []byte, more [][]byte) {
	chunks := chunksOf(pack(canonical))
	value = binary.AppendUvarint(nil, uint64(revision))
	value = binary.AppendUvarint(value, uint64(len(chunks)))
	return append(value, chunks[0]...), chunks[1:]
}

func parseObjectValue(value []byte) (revision int64, chunks int, first []byte, err error) {
	rev, n := binary.Uvarint(value)
	if n <= 0 {
		return 0, 0, nil, errors.New("read store: an object's value is cut")
	}
	count, m := binary.Uvarint(value[n:])
	if m <= 0 || count == 0 {
		return 0, 0, nil, errors.New("read store: an object's value is cut")
	}
	return int64(rev), int(count), value[n+m:], nil
}

func objectFrom(revision int64, packed []byte) (*weir.Object, error) {
	raw, err := unpack(packed)
	if err != nil {
		return nil, err
	}
	o, err := weir.DecodeStored(raw)
	if err != nil {
		return nil, err
	}
	o.Revision = revision
	return o, nil
}
