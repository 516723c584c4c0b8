package secrets

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	keyBytes   = 32
	keyIDBytes = 8
	keyHeader  = "# Weir's sealing keys, base64, one a line. The first seals, all open.\n" +
		"# Without this file nothing sealed can be read: keep a copy, apart from the backups.\n"
)

// ErrKeyUnknown is the kind of error for something sealed or fingerprinted under a key that the ring lacks.
var ErrKeyUnknown = errors.New("sealing key unknown")

// Keyring holds the key that seals and older ones that still open. It never changes once made, so it may be
// used by many goroutines.
type Keyring struct {
	keys   []ringKey // the first is the current one
	prints []ringKey // the keys for fingerprints of sealing keys that may be gone
}

type ringKey struct {
	id       string // derived from the key, so that it can't name another
	material Secret
}

// ParseKeyring reads keys of 32 bytes in base64, separated by blanks, commas or line ends, the current one
// first; a line that begins with '#' is a comment. It is the form of the key file and of the environment.
func ParseKeyring(text string) (*Keyring, error) {
	ring := &Keyring{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) }) {
			if err := ring.add(word); err != nil {
				return nil, fmt.Errorf("read sealing keys: key %d: %w", len(ring.keys)+1, err)
			}
		}
	}
	if len(ring.keys) == 0 {
		return nil, errors.New("read sealing keys: there is none; give 32 random bytes in base64, as from: head -c 32 /dev/urandom | base64")
	}
	return ring, nil
}

func (k *Keyring) add(word string) error {
	key, err := base64.StdEncoding.Strict().DecodeString(word)
	if err != nil {
		// Not the decoder's error: it may quote a part of the key.
		return errors.New("it is not base64")
	}
	if len(key) != keyBytes {
		return fmt.Errorf("it is %d bytes long; %d are needed", len(key), keyBytes)
	}
	if strings.Count(string(key), string(key[:1])) == keyBytes {
		return errors.New("all its bytes are the same; give random ones")
	}
	id := hex.EncodeToString(derive(key, nil, "weir key id v1", keyIDBytes))
	if _, err := k.key(id); err == nil {
		return errors.New("it is there twice")
	}
	k.keys = append(k.keys, ringKey{id: id, material: NewSecret(key)})
	return nil
}

// OpenKeyring reads the key file at path, which nobody but its owner may be able to read.
func OpenKeyring(path string) (*Keyring, error) {
	data, err := ReadPrivateFile(path)
	if err != nil {
		return nil, fmt.Errorf("open sealing keys: %w", err)
	}
	ring, err := ParseKeyring(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// OpenOrCreateKeyring is OpenKeyring, and when the file is absent it is made, mode 0600, with one new key.
// Ask for that only where nothing is sealed yet: a new key opens nothing old.
func OpenOrCreateKeyring(path string) (*Keyring, error) {
	ring, err := OpenKeyring(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create sealing key: %w", err)
	}
	err = CreateFile(path, []byte(keyHeader+newKey()+"\n"), 0o600)
	// Somebody else may have been first; theirs is as good.
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create sealing key: %w", err)
	}
	return OpenKeyring(path)
}

func newKey() string {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails: the runtime ends the process first
	return base64.StdEncoding.EncodeToString(key)
}

// CurrentID names the key that seals: 16 hexadecimal digits that tell nothing about it.
func (k *Keyring) CurrentID() string { return k.keys[0].id }

// String names the keys by their ids.
func (k *Keyring) String() string {
	ids := make([]string, len(k.keys))
	for i, key := range k.keys {
		ids[i] = key.id
	}
	return "keyring(" + strings.Join(ids, " ") + ")"
}

func (k *Keyring) key(id string) (ringKey, error) {
	for _, key := range k.keys {
		if key.id == id {
			return key, nil
		}
	}
	return ringKey{}, fmt.Errorf("%w: no key has the id %s; add the key that was used to the key file, below the first", ErrKeyUnknown, id)
}

// derive gives n bytes that depend on key, salt and purpose, by HKDF with SHA-256.
func derive(key, salt []byte, purpose string, n int) []byte {
	out, err := hkdf.Key(sha256.New, key, salt, purpose, n)
	if err != nil {
		panic("secrets: derive " + purpose + ": " + err.Error()) // only for lengths that no caller asks for
	}
	return out
}
