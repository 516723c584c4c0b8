package tickets

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// KeySize is the size of a ticket key in bytes: 16 that name it in each ticket, then what encrypts and signs tickets.
// HAProxy takes 48 as well, for AES-128; all keys of a file must be of one size.
const KeySize = 80

// Key is one ticket key.
type Key struct{ hidden }

// Base64 reveals the key as HAProxy's file and «set ssl tls-key» have it.
func (k Key) Base64() string { return encode(k.view()) }

// Digest names the key and reveals nothing of it.
func (k Key) Digest() Digest { return sha256.Sum256(k.view()) }

// Digest is the SHA-256 of a ticket key, as haproxy.TicketKeys has it.
type Digest = [sha256.Size]byte

// Keys are what one HAProxy has at a time: the previous one, the one that encrypts new tickets, and the next one.
// It decrypts tickets of all three.
type Keys [3]Key

// Digests gives those of the three keys, in their order.
func (k Keys) Digests() [3]Digest { return [3]Digest{k[0].Digest(), k[1].Digest(), k[2].Digest()} }

// LackError says which epochs of the group's secret a member was not handed yet.
type LackError struct{ Epochs []int64 }

// Error names the epochs.
func (e *LackError) Error() string {
	return fmt.Sprintf("derive ticket keys: the group's secret of epoch %s has not been handed on to this load balancer yet", strings.Trim(fmt.Sprint(e.Epochs), "[]"))
}

// Derive gives the keys of three generations, previous, current and next. A member that lacks a secret goes on with
// the keys it has: the error is then a LackError.
func Derive(group string, held []Secret, seeds []Seed) (Keys, error) {
	var keys Keys
	if err := checkSeeds(seeds); err != nil || len(seeds) == 0 {
		return Keys{}, errors.Join(errors.New("derive ticket keys: there are not three generations of seeds"), err)
	}
	var lack []int64
	for i, seed := range seeds {
		at := slices.IndexFunc(held, func(s Secret) bool { return s.Epoch == seed.Epoch })
		if at < 0 {
			lack = append(lack, seed.Epoch)
			continue
		}
		b, err := hkdf.Key(sha256.New, held[at].value.view(), seed.bytes.view(),
			label("weir ticket key", group, strconv.FormatInt(seed.Epoch, 10), strconv.FormatInt(seed.Generation, 10)), KeySize)
		if err != nil {
			return Keys{}, fmt.Errorf("derive ticket keys: %w", err)
		}
		keys[i] = Key{hide(b)}
	}
	if len(lack) > 0 {
		return Keys{}, &LackError{slices.Compact(lack)}
	}
	return keys, nil
}

// Alone draws keys for a load balancer that knows no others: what it issues, only it resumes.
func Alone(random io.Reader) (Keys, error) {
	var keys Keys
	for i := range keys {
		b, err := draw(random, KeySize)
		if err != nil {
			return Keys{}, fmt.Errorf("make ticket keys of its own: %w", err)
		}
		keys[i] = Key{b}
	}
	return keys, nil
}

// File reveals the keys as the text of HAProxy's tls-ticket-keys file, which belongs into memory only.
func (k Keys) File() []byte {
	var b bytes.Buffer
	for _, key := range k {
		b.WriteString(key.Base64() + "\n")
	}
	return b.Bytes()
}

// ParseFile reads what File wrote, and refuses all else. Its errors hold nothing of the text.
func ParseFile(text []byte) (Keys, error) {
	var keys Keys
	lines := strings.Split(string(text), "\n")
	if len(lines) != len(keys)+1 || lines[len(keys)] != "" {
		return Keys{}, errors.New("read ticket keys: there must be three lines")
	}
	for i := range keys {
		b, err := base64.StdEncoding.Strict().DecodeString(lines[i])
		// Compared, because the decoder passes over carriage returns.
		if err != nil || len(b) != KeySize || lines[i] != encode(b) {
			return Keys{}, fmt.Errorf("read ticket keys: line %d is not %d bytes in base64", i+1, KeySize)
		}
		keys[i] = Key{hide(b)}
	}
	return keys, nil
}

// Pushes gives the keys to send by «set ssl tls-key», in this order, that lead from what HAProxy has to the keys
// wished. Each drops the oldest, so that the one that was next begins to encrypt: one generation is one push, and what
// has nothing in common with the wish takes three. Ahead says that HAProxy has these keys and later ones already, as
// told by a server that has heard less; it is then left as it is.
func Pushes(have [3]Digest, want Keys) (push []Key, ahead bool) {
	wish := want.Digests()
	for n := range len(have) {
		if slices.Equal(have[n:], wish[:len(wish)-n]) {
			return want[len(want)-n:], false
		}
		if slices.Equal(wish[n:], have[:len(have)-n]) {
			return nil, true
		}
	}
	return want[:], false
}

// Generation gives which generation is the current one in a HAProxy, of the three seeds that want came of; 0 when it
// is none of them.
func Generation(have [3]Digest, want Keys, seeds []Seed) int64 {
	wish := want.Digests()
	at := slices.Index(wish[:], have[1])
	if at < 0 || at >= len(seeds) {
		return 0
	}
	return seeds[at].Generation
}
