package link

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weir/internal/ir"
)

// Hash sums up resources whatever their order: the SHA-256 of each, XORed. Resources have unique IDs, so that
// none cancels another. It finds mistakes; against forgery there is TLS.
type Hash [sha256.Size]byte

func hashOf(r *ir.Resource) Hash { return hashResource(r.ID, r.JSON()) }

func hashResource(id string, body []byte) Hash {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(id)))
	h.Write(n[:])
	h.Write([]byte(id))
	h.Write(body)
	return Hash(h.Sum(nil))
}

// xor adds a resource that is not in the sum, or takes out one that is.
func (h Hash) xor(o Hash) Hash {
	for i := range h {
		h[i] ^= o[i]
	}
	return h
}

// String gives 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText gives 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return errors.New("read hash: it must be 64 hexadecimal digits")
	}
	_, err := hex.Decode(h[:], text)
	if err != nil {
		return fmt.Errorf("read hash: %w", err)
	}
	return nil
}

// Resume says what an agent has: the content by Hash, and where in which history it is from.
type Resume struct {
	// Epoch names a history of revisions: 1 to 64 letters, digits, '-' and '_'. A restored store begins another.
	Epoch    string
	Revision int64
	Hash     Hash
}

// String gives "epoch:revision:hash".
func (r Resume) String() string {
	return r.Epoch + ":" + strconv.FormatInt(r.Revision, 10) + ":" + r.Hash.String()
}

// ParseResume reads what String wrote.
func ParseResume(text string) (Resume, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Resume{}, errors.New("read resume token: it must be epoch:revision:hash")
	}
	r := Resume{Epoch: parts[0]}
	if err := checkEpoch(r.Epoch); err != nil {
		return Resume{}, fmt.Errorf("read resume token: %w", err)
	}
	var err error
	if r.Revision, err = strconv.ParseInt(parts[1], 10, 64); err != nil || r.Revision < 0 {
		return Resume{}, errors.New("read resume token: the revision is no whole number from 0")
	}
	if err := r.Hash.UnmarshalText([]byte(parts[2])); err != nil {
		return Resume{}, fmt.Errorf("read resume token: %w", err)
	}
	return r, nil
}

func checkEpoch(epoch string) error {
	if epoch == "" || len(epoch) > 64 {
		return errors.New("epoch must be 1 to 64 bytes long")
	}
	for i := range len(epoch) {
		c := epoch[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return errors.New("epoch may hold only letters, digits, '-' and '_'")
		}
	}
	return nil
}
