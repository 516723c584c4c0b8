package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"weir"
)

// header is what is known of a change without reading its objects.
type header struct {
	Revision int64 `json:"revision"`
	// Nonce tells this attempt to write the revision from another's.
	Nonce      string    `json:"nonce"`
	Author     string    `json:"author"`
	Credential string    `json:"credential,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at"`
	Undoes     int64     `json:"undoes,omitempty"`
	Count      int       `json:"count"`
	// Refs are the objects, absent when there are more than maxRefs.
	Refs []weir.Ref `json:"refs,omitempty"`
	// Sealed lists the secrets that the change refers to, before or after; like Refs it is absent when Refs is.
	Sealed []sealedName `json:"sealed,omitempty"`
	// Staging names the b/ and s/ keys that hold the rest of a large change, with how many there are.
	Staging      string `json:"staging,omitempty"`
	BodyChunks   int    `json:"bodyChunks,omitempty"`
	StagedChunks int    `json:"stagedChunks,omitempty"`
	// Materialized says that the transaction of the change wrote its objects and moved mat, too.
	Materialized bool `json:"materialized,omitempty"`
}

const maxRefs = 64

// sealedName names one generation of one object's secret.
type sealedName struct {
	weir.Ref
	Generation int64 `json:"generation"`
}

func (n sealedName) key() string { return sealedKey(n.Ref, n.Generation) }

// entry is what a change does to one object, with the canonical bytes of both sides.
type entry struct {
	ref                   weir.Ref
	before, after         *weir.Object
	beforeJSON, afterJSON []byte
	// plaintext is to be sealed as the generation that after refers to.
	plaintext []byte
	// keptAt is set when after takes up an older secret again: etcd's revision at which that was seen to be there.
	keptAt int64
}

func (e *entry) change() weir.ObjectChange {
	return weir.ObjectChange{Ref: e.ref, Before: e.before, After: e.after}
}

// bodyEntry is an entry as it is stored. After's revision is that of the change, and isn't written, so that a
// body can be used again for the next revision.
type bodyEntry struct {
	BeforeRevision int64           `json:"beforeRevision,omitempty"`
	Before         json.RawMessage `json:"before,omitempty"`
	After          json.RawMessage `json:"after,omitempty"`
}

func bodyOf(entries []entry) []byte { return pack(appendBody(nil, entries)) }

// appendBody writes what json.Marshal makes of bodyEntries: both sides are JSON as it writes it already, and looking
// through megabytes of it once more keeps everybody waiting.
func appendBody(b []byte, entries []entry) []byte {
	size := 2
	for i := range entries {
		size += len(entries[i].beforeJSON) + len(entries[i].afterJSON) + 64
	}
	b = append(slices.Grow(b, size), '[')
	for i := range entries {
		e, start := &entries[i], len(b)
		field := func(name string) {
			b = append(append(append(b, `,"`...), name...), `":`...)
		}
		if e.before != nil && e.before.Revision != 0 {
			field("beforeRevision")
			b = strconv.AppendInt(b, e.before.Revision, 10)
		}
		if len(e.beforeJSON) > 0 {
			field("before")
			b = append(b, e.beforeJSON...)
		}
		if len(e.afterJSON) > 0 {
			field("after")
			b = append(b, e.afterJSON...)
		}
		if len(b) == start {
			b = append(b, ',')
		}
		b[start] = '{' // in place of the first comma
		b = append(b, '}', ',')
	}
	if len(entries) > 0 {
		b = b[:len(b)-1]
	}
	return append(b, ']')
}

func entriesOf(revision int64, body []byte) ([]entry, error) {
	raw, err := unpack(body)
	if err != nil {
		return nil, err
	}
	var list []bodyEntry
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read change %d: %w", revision, err)
	}
	entries := make([]entry, len(list))
	err = inParallel(len(list), func(i int) error {
		e := &entries[i]
		e.beforeJSON, e.afterJSON = list[i].Before, list[i].After
		var err error
		if e.before, err = decodeSide(list[i].Before, list[i].BeforeRevision); err != nil {
			return err
		}
		if e.after, err = decodeSide(list[i].After, revision); err != nil {
			return err
		}
		switch {
		case e.after != nil:
			e.ref = e.after.Ref()
		case e.before != nil:
			e.ref = e.before.Ref()
		default:
			return fmt.Errorf("read change %d: object %d of it is neither before nor after", revision, i)
		}
		return nil
	})
	return entries, err
}

func decodeSide(raw []byte, revision int64) (*weir.Object, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	o, err := weir.DecodeStored(raw)
	if err != nil {
		return nil, err
	}
	o.Revision = revision
	return o, nil
}

// changeValue is the value of a c/ key: the header's length, the header, and the body unless that is staged.
func changeValue(h header, body []byte) ([]byte, error) {
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write change %d: %w", h.Revision, err)
	}
	value := binary.AppendUvarint(nil, uint64(len(raw)))
	return append(append(value, raw...), body...), nil
}

func parseChangeValue(value []byte) (h header, body []byte, err error) {
	size, n := binary.Uvarint(value)
	if n <= 0 || size > uint64(len(value)-n) {
		return h, nil, errors.New("read store: a change is cut")
	}
	end := n + int(size)
	if err := json.Unmarshal(value[n:end], &h); err != nil {
		return h, nil, fmt.Errorf("read store: a change's header: %w", err)
	}
	return h, value[end:], nil
}

// event makes a header and the entries public.
func (h *header) event(entries []entry) Event {
	c := weir.Change{Author: h.Author, Credential: h.Credential, Reason: h.Reason, At: h.At, Undoes: h.Undoes, Objects: make([]weir.ObjectChange, len(entries))}
	for i := range entries {
		c.Objects[i] = entries[i].change()
	}
	return Event{Revision: h.Revision, Change: c}
}
