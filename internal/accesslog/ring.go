package accesslog

import "encoding/binary"

// ring keeps the last lines within a bounded number of bytes: between half of it and all.
type ring struct {
	now, before []byte // lines with their length in four bytes before each
}

func newRing(size int) *ring {
	return &ring{now: make([]byte, 0, size/2), before: make([]byte, 0, size/2)}
}

// add copies a line; one that is longer than half the ring is left out.
func (r *ring) add(line []byte) {
	need := 4 + len(line)
	if need > cap(r.now) {
		return
	}
	if len(r.now)+need > cap(r.now) {
		r.now, r.before = r.before[:0], r.now
	}
	r.now = binary.LittleEndian.AppendUint32(r.now, uint32(len(line)))
	r.now = append(r.now, line...)
}

// copy returns the content for split, oldest first.
func (r *ring) copy() []byte {
	all := make([]byte, 0, len(r.before)+len(r.now))
	return append(append(all, r.before...), r.now...)
}

// split returns the first line of a ring's content, and the rest.
func split(content []byte) (line, rest []byte) {
	n := binary.LittleEndian.Uint32(content)
	return content[4 : 4+n], content[4+n:]
}
