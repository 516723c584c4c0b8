package agent

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/secrets"
)

// folder is a load balancer's folder on disk: what a HAProxy that starts anew reads. One agent writes it.
type folder struct {
	dir string
	// config is where the configuration is that a HAProxy of somebody else reads; empty for the folder. Such a HAProxy
	// is started without the agent, so its files must outlive a loss of power by themselves.
	config string
	// displace is called before anything is written at config, to keep what is there.
	displace func() error
	// written remembers what each file holds, so that an unchanged one is not written again; printer keeps what is
	// the same one in memory.
	written map[string]written
	printer haproxy.Printer
	// stamps are those that the files had when they were written, edits those that somebody has changed since.
	stamps map[string]stamp
	edits  map[string]edit
	// certs are the digests of the certificates that files hold, so that the keys of unchanged ones are not asked for.
	certs map[string]string
	// kept is what the last sweep left, for swept, so that the next looks only when that has changed.
	kept  map[string]bool
	swept haproxy.Config
	// placed says that the placeholder was looked at.
	placed bool
	// aside is a folder that HAProxy is asked about and nobody starts from.
	aside bool
	// settler is told of certificates that are written.
	settler *settler
	space   bytes.Buffer // for what is read or written, used again
}

// written is what a file holds: its text in pieces or, where there may be a key in it, a digest.
type written struct {
	parts []string
	sum   [sha256.Size]byte
}

func (w written) equal(o written) bool {
	return w.sum == o.sum && (sameList(w.parts, o.parts) || slices.Equal(w.parts, o.parts))
}

// holds says whether that is what the file holds.
func (w written) holds(have []byte) bool {
	if w.sum != ([sha256.Size]byte{}) {
		return sha256.Sum256(have) == w.sum
	}
	return joins(have, w.parts)
}

// keySource gives the private key, PEM, of a certificate with the chain, as it is in the file at path.
type keySource func(certificate string, chain weir.Chain, path string) (secrets.Secret, error)

func openFolder(dir string) (*folder, error) {
	f := &folder{dir: dir, written: map[string]written{}, stamps: map[string]stamp{}, edits: map[string]edit{}, certs: map[string]string{}, settler: newSettler(dir)}
	if err := f.make(); err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	return f, nil
}

// make makes the folders there must be. A file in the place of one is nobody's and goes.
func (f *folder) make() error {
	for _, sub := range []string{"", "maps", "certs", "run"} {
		path := filepath.Join(f.dir, sub)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	return f.makeJail()
}

func (f *folder) path(name string) string {
	if name == haproxy.ConfigFile && f.config != "" {
		return f.config
	}
	return filepath.Join(f.dir, name)
}

// How a file is written. All that Weir wants is in the journal, which is synced, and every file is made from it
// anew before HAProxy starts: so a file need not outlive a loss of power, only be whole and seen by whoever opens
// it. A certificate's file may become the last one that holds a key: see settler.
const (
	derived = false
	durable = true
)

// doubt forgets what the files hold: HAProxy is about to read them, and a loss of power or somebody's editor may
// have changed them since.
func (f *folder) doubt() {
	clear(f.written)
	clear(f.stamps)
	clear(f.edits)
	clear(f.certs)
	f.placed = false
}

// forget lets go of the memory that the files' texts take; the next time they are compared with the disk.
func (f *folder) forget() {
	clear(f.written)
	clear(f.stamps)
	clear(f.edits)
	f.printer = haproxy.Printer{}
}

// write brings a file to content unless it has it already; what is in doubt is compared with the disk.
func (f *folder) write(name string, content []byte, keep bool) error {
	put := func(path string) error { return replace(path, string(content)) }
	if keep {
		put = func(path string) error { return secrets.WriteFile(path, content, 0o600) }
	}
	same := func(have []byte) bool { return bytes.Equal(have, content) }
	return f.bring(name, written{sum: sha256.Sum256(content)}, same, put)
}

// print is write for a derived file without secrets, whose text is remembered as it is.
func (f *folder) print(name string, parts []string) error {
	same := func(have []byte) bool { return joins(have, parts) }
	put := func(path string) error { return replace(path, parts...) }
	switch {
	case f.config == "":
	case name == haproxy.ConfigFile:
		put = func(path string) error {
			if err := f.displace(); err != nil {
				return err
			}
			return replaceKeeping(path, strings.Join(parts, ""))
		}
	default:
		put = func(path string) error { return secrets.WriteFile(path, []byte(strings.Join(parts, "")), 0o600) }
	}
	return f.bring(name, written{parts: parts}, same, put)
}

// joins says whether the pieces together are just that.
func joins(have []byte, parts []string) bool {
	for _, part := range parts {
		if len(have) < len(part) || string(have[:len(part)]) != part {
			return false
		}
		have = have[len(part):]
	}
	return len(have) == 0
}

func (f *folder) bring(name string, content written, same func(have []byte) bool, put func(path string) error) error {
	path := f.path(name)
	last, ok := f.written[name]
	if ok && last.equal(content) {
		return nil
	}
	if !ok {
		if have, err := os.ReadFile(path); err == nil && same(have) && f.private(name) {
			f.have(name, content)
			return nil
		}
	}
	delete(f.written, name)
	if !f.kept[name] {
		f.kept = nil // what is new may have to be swept
	}
	if err := put(path); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f.have(name, content)
	return nil
}

// private says that a file may stay as it is: one of a certificate's only if it is a file, and of this account alone.
func (f *folder) private(name string) bool {
	if filepath.Dir(name) != "certs" {
		return true
	}
	info, err := os.Lstat(f.path(name))
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 == 0
}

// holds says whether the files of a configuration are on disk as they are, but for the keys of certificates, and
// remembers those that are. What is there was read by a HAProxy, or came after what it took at run time.
func (f *folder) holds(c haproxy.Config) bool {
	for _, cert := range c.Certs {
		have, err := os.ReadFile(f.path(cert.Path))
		if err != nil || !strings.HasPrefix(string(have), cert.Chain.String()) {
			return false
		}
	}
	for _, file := range f.printer.Files(c) {
		have, err := os.ReadFile(f.path(file.Path))
		if err != nil || !joins(have, file.Parts) {
			return false
		}
		f.have(file.Path, written{parts: file.Parts})
	}
	return true
}

// ofMachine says that an error is the file system's, whatever was to be read or written.
func ofMachine(err error) bool {
	return errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError)) || errors.As(err, new(*os.SyscallError))
}

// save brings every file of a configuration to disk, what is referred to first.
func (f *folder) save(c haproxy.Config, keys keySource) error {
	err := f.saveAll(c, keys)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		// Somebody has removed the folder, or a part of it, or put something in its place: everything in it is in doubt.
		if f.doubt(); f.make() == nil {
			err = f.saveAll(c, keys)
		}
	}
	return err
}

func (f *folder) saveAll(c haproxy.Config, keys keySource) error {
	if !f.placed {
		if err := placeholder(f); err != nil {
			return err
		}
		f.placed = true
	}
	if err := f.saveCerts(c.Certs, keys); err != nil {
		return err
	}
	files := f.printer.Files(c)
	if i := slices.IndexFunc(files, func(p haproxy.Printed) bool { return p.Path == haproxy.ConfigFile }); f.config != "" {
		// Whoever starts that HAProxy asks nobody whether the maps are there by then that it names.
		files = append(slices.Delete(slices.Clone(files), i, i+1), files[i])
	}
	for _, file := range files {
		if err := f.print(file.Path, file.Parts); err != nil {
			return err
		}
	}
	if _, err := os.Stat(f.path(haproxy.StateFile)); errors.Is(err, fs.ErrNotExist) {
		return f.write(haproxy.StateFile, nil, derived)
	}
	return nil
}

// certsAtOnce bounds how many certificates with their keys are in memory while they go to disk.
const certsAtOnce = 512

// text reads a file.
func (f *folder) text(name string) (string, error) {
	in, err := os.Open(f.path(name))
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }()
	f.space.Reset()
	_, err = f.space.ReadFrom(in)
	return f.space.String(), err
}

// saveCerts brings certificates with their keys to disk, many at a time, since each waits for the disk.
func (f *folder) saveCerts(list []haproxy.Cert, keys keySource) (err error) {
	next := newSuccessor(f.path("certs"))
	fresh := slices.DeleteFunc(slices.Clone(list), func(c haproxy.Cert) bool { return c.Authority || f.certs[c.Path] == c.Digest })
	if len(fresh) > 0 {
		defer func() { err = errors.Join(err, next.end()) }() // there is a key in it
	}
	for some := range slices.Chunk(fresh, certsAtOnce) {
		synced := map[string][]byte{} // those that are written together
		for i := range some {
			delete(f.certs, some[i].Path)
			if err := f.saveCert(&some[i], keys, next, synced); err != nil {
				return err
			}
		}
		if err := f.sync(synced); err != nil {
			return err
		}
		for _, cert := range some {
			f.certs[cert.Path] = cert.Digest
		}
	}
	return nil
}

// saveCert brings a certificate with its key to its file, unless it is there already. What somebody starts a HAProxy from
// without the agent is to outlive a loss of power at once, and so left to sync.
func (f *folder) saveCert(cert *haproxy.Cert, keys keySource, next successor, synced map[string][]byte) error {
	key, err := keys(cert.Certificate, cert.Chain, cert.Path)
	if ofMachine(err) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("key of certificate %s: %w", cert.Certificate, err)
	}
	if err != nil {
		return &blamed{Owner: cert.Owner, Err: fmt.Errorf("key of certificate %s: %w", cert.Certificate, err), Passes: withKey}
	}
	f.space.Reset()
	f.space.Write(appendChain(f.space.AvailableBuffer(), cert.Chain))
	f.space.Write(key.Bytes())
	content := f.space.Bytes()
	put := func(path string) error {
		if f.config != "" {
			synced[path] = bytes.Clone(content)
			return nil
		}
		defer f.settler.wrote(path)
		return next.put(path, content)
	}
	same := func(have []byte) bool { return bytes.Equal(have, content) }
	return f.bring(cert.Path, written{sum: sha256.Sum256(content)}, same, put)
}

// sync brings files, by their paths, to disk together.
func (f *folder) sync(files map[string][]byte) error {
	err := secrets.WriteFiles(files, 0o600)
	for path := range files {
		name, _ := filepath.Rel(f.dir, path)
		if err != nil {
			f.mistrust(name)
		} else {
			f.have(name, f.written[name]) // it is there now
		}
	}
	return err
}

// drop removes a file that nobody reads before it is written again.
func (f *folder) drop(name string) {
	_ = os.Remove(f.path(name)) // it is mostly not there
	f.mistrust(name)
}

// sweep removes maps and certificates that the configuration no longer names.
func (f *folder) sweep(c haproxy.Config) error {
	if f.kept != nil && sameList(c.Maps, f.swept.Maps) && sameList(c.Certs, f.swept.Certs) && sameList(c.CrtLists, f.swept.CrtLists) {
		return nil
	}
	keep := map[string]bool{haproxy.PlaceholderCert: true, haproxy.ConfigFile: true, haproxy.StateFile: true}
	for _, cert := range c.Certs {
		keep[cert.Path] = true
	}
	for _, list := range c.CrtLists {
		keep[list.Path] = true
	}
	for _, m := range c.Maps {
		keep[m.Path] = true
	}
	names := haproxy.Config{Maps: c.Maps, Certs: c.Certs, CrtLists: c.CrtLists}
	if maps.Equal(keep, f.kept) {
		f.swept = names
		return nil
	}
	for _, sub := range []string{"maps", "certs"} {
		entries, err := os.ReadDir(f.path(sub))
		if err != nil {
			return fmt.Errorf("sweep %s: %w", sub, err)
		}
		for _, e := range entries {
			name := sub + "/" + e.Name()
			if keep[name] || e.IsDir() {
				continue
			}
			if err := os.Remove(f.path(name)); err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
			f.mistrust(name)
		}
	}
	f.kept, f.swept = keep, names
	return nil
}

// sameList says whether two lists are one in memory.
func sameList[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// appendChain writes a chain as it stands in front of its key.
func appendChain(b []byte, chain weir.Chain) []byte {
	b = append(append(b, chain.Leaf()...), chain.Rest()...)
	if len(b) == 0 || b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	return b
}

// blamed is a failure that one object causes.
type blamed struct {
	// Owner is the object, as "Certificate/www".
	Owner string
	Err   error
	// Passes says what would end it though the object stays as it is; empty for nothing.
	Passes passing
}

func (b *blamed) Error() string { return b.Owner + ": " + b.Err.Error() }

func (b *blamed) Unwrap() error { return b.Err }
