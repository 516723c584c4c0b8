package link

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weir"
	"weir/internal/secrets"
)

// keyFolder keeps private keys, one file each, 0600. A file is named by certificate, generation and fingerprint,
// so that a new generation never takes the place of one in use.
type keyFolder string

func openKeys(dir string) (keyFolder, error) {
	path := filepath.Join(dir, "keys")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("open keys: %w", err)
	}
	return keyFolder(path), nil
}

func keyFile(name string, ref weir.SealedRef) string {
	sum := sha256.Sum256([]byte(ref.Fingerprint))
	return name + "." + strconv.FormatInt(ref.Generation, 10) + "." + hex.EncodeToString(sum[:8])
}

func (k keyFolder) path(name string, ref weir.SealedRef) string {
	return filepath.Join(string(k), keyFile(name, ref))
}

// get reads a key; the error wraps fs.ErrNotExist when it has not arrived yet.
func (k keyFolder) get(name string, ref weir.SealedRef) (secrets.Secret, error) {
	if err := weir.CheckName(name); err != nil {
		return secrets.Secret{}, fmt.Errorf("read key of certificate: name %w", err)
	}
	data, err := secrets.ReadPrivateFile(k.path(name, ref))
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("read key of certificate %s, generation %d: %w", name, ref.Generation, err)
	}
	return secrets.NewSecret(data), nil
}

// put writes keys and returns once all are on disk.
func (k keyFolder) put(list []wireSecret) error {
	files := make(map[string][]byte, len(list))
	for _, s := range list {
		name, err := s.name()
		if err != nil {
			return err
		}
		if len(s.Data) == 0 {
			return fmt.Errorf("keep key of certificate %s: it is empty", name)
		}
		files[k.path(name, weir.SealedRef{Generation: s.Generation, Fingerprint: s.Fingerprint})] = s.Data
	}
	return secrets.WriteFiles(files, 0o600)
}

// lacks lists the certificates whose keys are not there, sorted by nothing.
func (k keyFolder) lacks(want map[string]weir.SealedRef) []string {
	have := map[string]bool{}
	entries, err := os.ReadDir(string(k))
	if err != nil {
		have = nil // then all are asked for again
	}
	for _, e := range entries {
		have[e.Name()] = true
	}
	var list []string
	for name, ref := range want {
		if !have[keyFile(name, ref)] {
			list = append(list, name)
		}
	}
	return list
}

// sweep removes the keys that are in none of the sets, and what a crash left half written.
func (k keyFolder) sweep(keep ...map[string]weir.SealedRef) error {
	wanted := map[string]bool{}
	for _, set := range keep {
		for name, ref := range set {
			wanted[keyFile(name, ref)] = true
		}
	}
	entries, err := os.ReadDir(string(k))
	if err != nil {
		return fmt.Errorf("sweep keys: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !wanted[e.Name()] && (strings.HasPrefix(e.Name(), ".") || strings.Count(e.Name(), ".") == 2) {
			errs = append(errs, os.Remove(filepath.Join(string(k), e.Name())))
		}
	}
	return errors.Join(errs...)
}
