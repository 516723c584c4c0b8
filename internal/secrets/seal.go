package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// MaxPlaintext is the most that can be sealed as one secret, in bytes.
const MaxPlaintext = 1 << 20

const (
	sealVersion = 1
	saltBytes   = 32
)

// ErrNotAuthentic is the kind of error for something sealed that was changed, or that belongs to another kind,
// name or generation than asked.
var ErrNotAuthentic = errors.New("sealed secret not authentic")

// Seal encrypts plaintext so that it opens only as this generation of this kind and name. Each sealing has a
// key of its own, so equal plaintexts look different and none is ever sealed twice under one key.
func (k *Keyring) Seal(kind, name string, generation int64, plaintext []byte) (Sealed, error) {
	if err := checkSubject(kind, name, generation); err != nil {
		return Sealed{}, fmt.Errorf("seal: %w", err)
	}
	if len(plaintext) > MaxPlaintext {
		return Sealed{}, fmt.Errorf("seal %s/%s: it is %d bytes long; at most %d are allowed", kind, name, len(plaintext), MaxPlaintext)
	}
	key := k.keys[0]
	s := Sealed{keyID: key.id}
	_, _ = rand.Read(s.salt[:]) // never fails: the runtime ends the process first
	s.box = recordCipher(key, s.salt).Seal(nil, nil, plaintext, subject(key.id, kind, name, generation))
	return s, nil
}

// Open decrypts what Seal made for the same kind, name and generation. The error is ErrKeyUnknown or
// ErrNotAuthentic by kind.
func (k *Keyring) Open(kind, name string, generation int64, s Sealed) (Secret, error) {
	if s.IsZero() {
		return Secret{}, fmt.Errorf("open secret %s/%s generation %d: %w: nothing is there", kind, name, generation, ErrNotAuthentic)
	}
	key, err := k.key(s.keyID)
	if err != nil {
		return Secret{}, fmt.Errorf("open secret %s/%s generation %d: %w", kind, name, generation, err)
	}
	plaintext, err := recordCipher(key, s.salt).Open(nil, nil, s.box, subject(key.id, kind, name, generation))
	if err != nil {
		return Secret{}, fmt.Errorf("open secret %s/%s generation %d: %w: it was changed, or sealed for something else", kind, name, generation, ErrNotAuthentic)
	}
	return own(plaintext), nil
}

// Reseal gives s under the current key, and whether that is a change.
func (k *Keyring) Reseal(kind, name string, generation int64, s Sealed) (Sealed, bool, error) {
	plaintext, err := k.Open(kind, name, generation, s)
	if err != nil {
		return Sealed{}, false, err
	}
	if s.keyID == k.CurrentID() {
		return s, false, nil
	}
	out, err := k.Seal(kind, name, generation, plaintext.view())
	return out, err == nil, err
}

func recordCipher(key ringKey, salt [saltBytes]byte) cipher.AEAD {
	block, err := aes.NewCipher(derive(key.material.view(), salt[:], "weir sealed record v1", 32))
	if err != nil {
		panic("secrets: " + err.Error()) // only for wrong key lengths
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("secrets: " + err.Error()) // only for ciphers with wrong block sizes
	}
	return aead
}

// subject is the additional data: what a sealed record is about.
func subject(keyID, kind, name string, generation int64) []byte {
	b := frame([]byte("weir sealed "), string([]byte{sealVersion}), keyID, kind, name)
	return binary.BigEndian.AppendUint64(b, uint64(generation))
}

// frame appends parts, each behind its length, so that no two lists of parts give the same bytes.
func frame(b []byte, parts ...string) []byte {
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func checkSubject(kind, name string, generation int64) error {
	switch {
	case kind == "" || len(kind) > 255:
		return errors.New("kind must be 1 to 255 bytes long")
	case name == "" || len(name) > 255:
		return errors.New("name must be 1 to 255 bytes long")
	case generation < 0:
		return fmt.Errorf("generation %d is negative", generation)
	}
	return nil
}

// Fingerprint tells whether a secret changed without telling anything about it: "fp1:", the current key's id
// and 128 bits that only a holder of that key can compute. Equal plaintexts of other kinds or names differ.
func (k *Keyring) Fingerprint(kind, name string, plaintext []byte) string {
	return fingerprint(k.keys[0].print(), kind, name, plaintext)
}

// SameSecret tells whether a fingerprint is that of plaintext, also when an older key of the ring made it, so
// that a rotated key alone makes no secret look changed. A fingerprint under an unknown key is nobody's; one whose
// key was dropped is known by what WithPrints brought.
func (k *Keyring) SameSecret(print, kind, name string, plaintext []byte) bool {
	id, _, _ := strings.Cut(strings.TrimPrefix(print, "fp1:"), ":")
	for _, key := range k.allPrints() {
		if key.id == id {
			return hmac.Equal([]byte(print), []byte(fingerprint(key, kind, name, plaintext)))
		}
	}
	return false
}

// fingerprint takes a key for fingerprints, not one that seals.
func fingerprint(key ringKey, kind, name string, plaintext []byte) string {
	mac := hmac.New(sha256.New, key.material.view())
	mac.Write(frame(nil, kind, name))
	mac.Write(plaintext)
	return "fp1:" + key.id + ":" + hex.EncodeToString(mac.Sum(nil)[:16])
}
