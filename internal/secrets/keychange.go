package secrets

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// IDs names the ring's keys, the current one first.
func (k *Keyring) IDs() []string {
	ids := make([]string, len(k.keys))
	for i, key := range k.keys {
		ids[i] = key.id
	}
	return ids
}

// Has tells whether the ring opens what the key of an id has sealed.
func (k *Keyring) Has(id string) bool {
	return slices.ContainsFunc(k.keys, func(key ringKey) bool { return key.id == id })
}

// SealingWith is the ring with the key of an id as the one that seals. The error is ErrKeyUnknown by kind when the ring
// has no such key.
func (k *Keyring) SealingWith(id string) (*Keyring, error) {
	current, err := k.key(id)
	if err != nil {
		return nil, err
	}
	out := &Keyring{keys: []ringKey{current}, prints: k.prints}
	for _, key := range k.keys {
		if key.id != id {
			out.keys = append(out.keys, key)
		}
	}
	return out, nil
}

// RotateKeyring puts a new current key before those in the file at path; what was sealed still opens. The file stays
// its owner's.
func RotateKeyring(path string) (*Keyring, error) {
	ring, err := OpenKeyring(path)
	if err != nil {
		return nil, err
	}
	fresh, err := ParseKeyring(newKey())
	if err != nil {
		return nil, err
	}
	fresh.keys = append(fresh.keys, ring.keys...)
	if err := fresh.write(path); err != nil {
		return nil, fmt.Errorf("rotate sealing key: %w", err)
	}
	return OpenKeyring(path)
}

// RetireKeys leaves only the current key, which must have the id given, in the file at path, and gives the ids of those
// it takes out. When keep is not empty they are first put into a new file there, in the form of a key file, which is
// what backups of before are restored with.
func RetireKeys(path, id, keep string) (retired []string, err error) {
	ring, err := OpenKeyring(path)
	if err != nil {
		return nil, err
	}
	if ring.CurrentID() != id {
		return nil, fmt.Errorf("retire sealing keys: the first key in %s is %s, and the store is sealed with %s", path, ring.CurrentID(), id)
	}
	old := &Keyring{keys: ring.keys[1:]}
	if len(old.keys) == 0 {
		return nil, nil
	}
	if keep != "" {
		switch err := CreateFile(keep, old.text(), 0o600); {
		case errors.Is(err, fs.ErrExist):
			return nil, fmt.Errorf("retire sealing keys: %s is there already; name a new file", keep)
		case err != nil:
			return nil, fmt.Errorf("retire sealing keys: %w", err)
		}
	}
	if err := (&Keyring{keys: ring.keys[:1]}).write(path); err != nil {
		return nil, fmt.Errorf("retire sealing keys: %w", err)
	}
	return old.IDs(), nil
}

// text is the form of a key file.
func (k *Keyring) text() []byte {
	var b strings.Builder
	b.WriteString(keyHeader)
	for _, key := range k.keys {
		b.WriteString(base64.StdEncoding.EncodeToString(key.material.view()) + "\n")
	}
	return []byte(b.String())
}

// write replaces a key file, whose owner keeps it: the server that reads it is seldom the user who changes it.
func (k *Keyring) write(path string) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return place(path, 0o600, whole(k.text()), func(temp, path string) error {
		if err := giveTo(temp, info); err != nil {
			return err
		}
		return os.Rename(temp, path)
	})
}

// giveTo makes a file that of another's owner.
func giveTo(path string, like fs.FileInfo) error {
	owner, ok := like.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	if err := os.Lchown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("keep its owner, run this as that user: %w", err)
	}
	return nil
}
