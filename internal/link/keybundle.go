package link

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weir/internal/secrets"
)

// Keys that come together lie in one file, a bundle: a file for each costs as much as that of the certificate, and a
// round of the disk. It begins with a line that says its form; each key has a line of its name, length and checksum, its
// bytes, and a line's end. A key that nobody needs any more is overwritten with zeros where it lies, and its checksum
// says so. No certificate's name begins as a bundle's does; for an agent of the version before it is a key that nobody
// needs, which it removes once it has its own.
const (
	bundlePrefix = "_together."
	bundleForm   = "1"
	bundleHead   = "weir keys " + bundleForm + "\n"
	// bundleSize is about the largest, in bytes; more keys are several.
	bundleSize = 256 << 10
	// fewKeys is how many are files of their own: fewer that come together, or are left of a bundle.
	fewKeys = 16
)

// keyPlace is where in a bundle a key is.
type keyPlace struct {
	bundle string // the file's name
	offset int64
	length int
	sum    [8]byte
}

func keySum(data []byte) (sum [8]byte) {
	long := sha256.Sum256(data)
	copy(sum[:], long[:])
	return sum
}

func isBundle(file string) bool {
	return strings.HasPrefix(file, bundlePrefix) && strings.HasSuffix(file, "."+bundleForm) && strings.Count(file, ".") == 2
}

// bundled gives the bundles, by file name, that keys become, by theirs, and where in them each is. The same keys
// become the same bundles.
func bundled(keys map[string][]byte) (files map[string][]byte, places map[string]keyPlace) {
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	files, places = map[string][]byte{}, make(map[string]keyPlace, len(keys))
	for len(names) > 0 {
		b, all := []byte(bundleHead), sha256.New()
		var within []string
		for len(names) > 0 && len(b) < bundleSize {
			name, data := names[0], keys[names[0]]
			names = names[1:]
			p := keyPlace{length: len(data), sum: keySum(data)}
			b = fmt.Appendf(b, "%s %d %x\n", name, p.length, p.sum)
			p.offset = int64(len(b))
			b = append(append(b, data...), '\n')
			all.Write([]byte(name + "\n"))
			places[name], within = p, append(within, name)
		}
		file := bundlePrefix + hex.EncodeToString(all.Sum(nil)[:8]) + "." + bundleForm
		for _, name := range within {
			p := places[name]
			p.bundle = file
			places[name] = p
		}
		files[file] = b
	}
	return files, places
}

var errBundle = errors.New("it is not a file of keys")

// readBundle gives the keys that are in a bundle and have not been overwritten.
func readBundle(file string, b []byte) (map[string]keyPlace, error) {
	rest, ok := bytes.CutPrefix(b, []byte(bundleHead))
	if !ok {
		return nil, errBundle
	}
	places := map[string]keyPlace{}
	for len(rest) > 0 {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		words := strings.Split(string(line), " ")
		if !ok || len(words) != 3 {
			return nil, errBundle
		}
		p := keyPlace{bundle: file, offset: int64(len(b) - len(after))}
		sum, err := hex.DecodeString(words[2])
		p.length, ok = atoi(words[1])
		if err != nil || len(sum) != len(p.sum) || !ok || len(after) <= p.length || after[p.length] != '\n' {
			return nil, errBundle
		}
		copy(p.sum[:], sum)
		if keySum(after[:p.length]) == p.sum {
			places[words[0]] = p
		}
		rest = after[p.length+1:]
	}
	return places, nil
}

func atoi(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0
}

// load reads which keys are in bundles. What can't be read is as if it were not there; the error says why.
func (k *keyFolder) load() error {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !isBundle(e.Name()) {
			continue
		}
		raw, err := secrets.ReadPrivateFile(filepath.Join(k.dir, e.Name()))
		if err == nil {
			var places map[string]keyPlace
			if places, err = readBundle(e.Name(), raw); err == nil {
				maps.Copy(k.places, places)
				continue
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", e.Name(), err))
	}
	return errors.Join(errs...)
}

// getBundled reads a key from its bundle; the error wraps fs.ErrNotExist when it is not there, or not as it was.
func (k *keyFolder) getBundled(p keyPlace) ([]byte, error) {
	path := filepath.Join(k.dir, p.bundle)
	data, err := secrets.ReadPrivatePart(path, p.offset, p.length)
	if err == nil && keySum(data) != p.sum || errors.Is(err, io.EOF) {
		err = &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	}
	return data, err
}

// bundles says whether a key is in a bundle.
func (k *keyFolder) bundles(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.places[name]
	return ok
}

// sorted gives the keys in each bundle that are wanted, and all that are not.
func (k *keyFolder) sorted(wanted map[string]bool) (kept map[string][]string, surplus map[string]keyPlace) {
	kept, surplus = map[string][]string{}, map[string]keyPlace{}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, p := range k.places {
		if wanted[name] {
			kept[p.bundle] = append(kept[p.bundle], name)
		} else {
			surplus[name] = p
		}
	}
	return kept, surplus
}

// wipe forgets keys in bundles that nobody needs any more, and overwrites them. What a loss of power undoes of that the
// next sweep does again.
func (k *keyFolder) wipe(keys map[string]keyPlace) error {
	byBundle := map[string][]keyPlace{}
	k.mu.Lock()
	for name, p := range keys {
		byBundle[p.bundle] = append(byBundle[p.bundle], p)
		delete(k.places, name)
	}
	k.mu.Unlock()
	var errs []error
	for bundle, places := range byBundle {
		f, err := os.OpenFile(filepath.Join(k.dir, bundle), os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for _, p := range places {
			if err == nil {
				_, err = f.WriteAt(make([]byte, p.length), p.offset)
			}
		}
		errs = append(errs, err)
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// dissolve makes files of their own of the last keys in a bundle. One that is damaged is lost: it is asked for again.
func (k *keyFolder) dissolve(names []string) error {
	keys := map[string][]byte{}
	for _, name := range names {
		switch data, err := k.read(name); {
		case errors.Is(err, fs.ErrNotExist):
			k.mu.Lock()
			delete(k.places, name)
			k.mu.Unlock()
		case err != nil:
			return err
		default:
			keys[name] = data
		}
	}
	return k.write(keys)
}
