package link

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"weir"
	"weir/internal/secrets"
)

// keyFolder keeps private keys, 0600: one that comes by itself in a file, many that come together in bundles. A key's name
// is made of certificate, generation and fingerprint, so that a new generation never takes the place of one in use.
type keyFolder struct {
	dir string

	mu     sync.Mutex
	places map[string]keyPlace // of those in bundles, by name
}

// openKeys reads which keys there are; damaged says what can't be read of them, which is as if it were not there.
func openKeys(dir string) (k *keyFolder, damaged, err error) {
	k = &keyFolder{dir: filepath.Join(dir, "keys"), places: map[string]keyPlace{}}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("open keys: %w", err)
	}
	return k, k.load(), nil
}

func keyFile(name string, ref weir.SealedRef) string {
	sum := sha256.Sum256([]byte(ref.Fingerprint))
	return name + "." + strconv.FormatInt(ref.Generation, 10) + "." + hex.EncodeToString(sum[:8])
}

// get reads a key; the error wraps fs.ErrNotExist when it has not arrived yet.
func (k *keyFolder) get(name string, ref weir.SealedRef) (secrets.Secret, error) {
	if err := weir.CheckName(name); err != nil {
		return secrets.Secret{}, fmt.Errorf("read key of certificate: name %w", err)
	}
	data, err := k.read(keyFile(name, ref))
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("read key of certificate %s, generation %d: %w", name, ref.Generation, err)
	}
	return secrets.NewSecret(data), nil
}

func (k *keyFolder) read(file string) ([]byte, error) {
	k.mu.Lock()
	p, ok := k.places[file]
	k.mu.Unlock()
	if ok {
		return k.getBundled(p)
	}
	return secrets.ReadPrivateFile(filepath.Join(k.dir, file))
}

// put writes keys and returns once all are on disk.
func (k *keyFolder) put(list []wireSecret) error {
	keys := make(map[string][]byte, len(list))
	for _, s := range list {
		name, err := s.name()
		if err != nil {
			return err
		}
		if len(s.Data) == 0 {
			return fmt.Errorf("keep key of certificate %s: it is empty", name)
		}
		keys[keyFile(name, weir.SealedRef{Generation: s.Generation, Fingerprint: s.Fingerprint})] = s.Data
	}
	return k.write(keys)
}

// write puts keys on disk, by their names.
func (k *keyFolder) write(keys map[string][]byte) error {
	together, places := keys, map[string]keyPlace(nil)
	if len(keys) >= fewKeys {
		together, places = bundled(keys)
	}
	files := make(map[string][]byte, len(together))
	for name, data := range together {
		files[filepath.Join(k.dir, name)] = data
	}
	if err := secrets.WriteFiles(files, 0o600); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name := range keys {
		if p, ok := places[name]; ok {
			k.places[name] = p
		} else {
			delete(k.places, name)
		}
	}
	return nil
}

// arriving are keys that have come and may not be on disk yet; before their transaction is kept they are. Thousands are
// written together, beside what else comes.
type arriving struct {
	list []wireSecret // not known to be on disk
	// written gives how it went with the first of list, as many as written are; nil while nobody writes.
	written chan error
	writes  int
}

func (a *arriving) add(list []wireSecret) { a.list = append(a.list, list...) }

// begin writes what has come, unless some are being written.
func (a *arriving) begin(folder *keyFolder) {
	if a.written != nil || len(a.list) == 0 {
		return
	}
	list, written := a.list, make(chan error, 1)
	a.written, a.writes = written, len(list)
	go func() { written <- folder.put(list) }()
}

// end waits until nobody writes; an error says that some keys are not known to be on disk.
func (a *arriving) end() error {
	if a.written != nil {
		err := <-a.written
		a.written = nil
		if err != nil {
			return err
		}
		a.list = a.list[a.writes:]
	}
	if len(a.list) > 0 {
		return errUnwritten
	}
	a.list = nil
	return nil
}

var errUnwritten = errors.New("keys have come that nobody has written yet")

// put writes what is left.
func (a *arriving) put(folder *keyFolder) error {
	if err := folder.put(a.list); err != nil {
		return err
	}
	a.list = nil
	return nil
}

// lacks lists the certificates whose keys are not there, sorted by nothing.
func (k *keyFolder) lacks(want map[string]weir.SealedRef) []string {
	there := map[string]bool{}
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		there = nil // then all are asked for again
	}
	for _, e := range entries {
		there[e.Name()] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []string
	for name, ref := range want {
		file := keyFile(name, ref)
		if p, ok := k.places[file]; ok {
			file = p.bundle
		}
		if !there[file] {
			list = append(list, name)
		}
	}
	return list
}

// sweep removes the keys that are in none of the sets, and what a crash left half written; before is called first if there
// are any.
func (k *keyFolder) sweep(before func() error, keep ...map[string]weir.SealedRef) error {
	wanted := map[string]bool{}
	for _, set := range keep {
		for name, ref := range set {
			wanted[keyFile(name, ref)] = true
		}
	}
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return fmt.Errorf("sweep keys: %w", err)
	}
	kept, surplus := k.sorted(wanted)
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		name := e.Name()
		foreign := !strings.HasPrefix(name, ".") && strings.Count(name, ".") != 2
		return foreign || wanted[name] && !k.bundles(name) || len(kept[name]) >= fewKeys
	})
	if before != nil && len(entries)+len(surplus) > 0 {
		if err := before(); err != nil {
			return fmt.Errorf("sweep keys: %w", err)
		}
	}
	errs := []error{k.wipe(surplus)}
	for _, e := range entries {
		if err := k.dissolve(kept[e.Name()]); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(k.dir, e.Name())))
	}
	return errors.Join(errs...)
}
