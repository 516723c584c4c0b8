package discovery

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Arrange puts what was found into the form that a Sink takes, sorted by ID. Too many, an ID that is empty and one that
// comes twice are errors, and the list is then of no use.
func Arrange(found []Found) error {
	if len(found) > MaxFound {
		return fmt.Errorf("%d entries: %w, which is %d", len(found), ErrTooMuch, MaxFound)
	}
	slices.SortFunc(found, func(a, b Found) int { return strings.Compare(a.ID, b.ID) })
	for i, f := range found {
		if f.ID == "" {
			return errors.New("an entry has no name of its own")
		}
		if i > 0 && f.ID == found[i-1].ID {
			return fmt.Errorf("%q is there twice", f.ID)
		}
	}
	return nil
}

// Sum is the same for two arranged lists exactly when they say the same.
func Sum(found []Found) [sha256.Size]byte {
	h := sha256.New()
	var buf []byte
	var names []string
	text := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	for _, f := range found {
		buf = buf[:0]
		text(f.ID)
		buf = append(buf, byte(f.State))
		buf = binary.AppendUvarint(buf, uint64(len(f.Fields)))
		names = slices.AppendSeq(names[:0], maps.Keys(f.Fields))
		slices.Sort(names)
		for _, name := range names {
			text(name)
			text(f.Fields[name])
		}
		h.Write(buf)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
