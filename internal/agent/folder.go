package agent

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/internal/haproxy"
	"weir/internal/secrets"
)

// folder is a load balancer's folder on disk: what a HAProxy that starts anew reads.
type folder struct {
	dir string
	// written remembers what each file holds, so that an unchanged one is not written again.
	written map[string][sha256.Size]byte
}

// keySource gives the private key, PEM, of a certificate with the chain that belongs into the file at path.
type keySource func(certificate, chain, path string) (secrets.Secret, error)

func openFolder(dir string) (*folder, error) {
	for _, sub := range []string{"", "maps", "certs", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open state folder: %w", err)
		}
	}
	return &folder{dir: dir, written: map[string][sha256.Size]byte{}}, nil
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// write brings a file to content unless it has it already; the first write of a file since the start compares
// with what is on disk.
func (f *folder) write(name string, content []byte) error {
	sum := sha256.Sum256(content)
	if old, ok := f.written[name]; ok && old == sum {
		return nil
	}
	if _, ok := f.written[name]; !ok {
		if have, err := os.ReadFile(f.path(name)); err == nil && bytes.Equal(have, content) {
			f.written[name] = sum
			return nil
		}
	}
	if err := secrets.WriteFile(f.path(name), content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f.written[name] = sum
	return nil
}

// save brings every file of a configuration to disk, what is referred to first.
func (f *folder) save(c haproxy.Config, keys keySource) error {
	for _, cert := range c.Certs {
		if cert.Authority {
			continue
		}
		key, err := keys(cert.Certificate, cert.Chain, cert.Path)
		if err != nil {
			return &blamed{Owner: cert.Owner, Err: fmt.Errorf("key of certificate %s: %w", cert.Certificate, err)}
		}
		if err := f.write(cert.Path, append([]byte(withNewline(cert.Chain)), key.Bytes()...)); err != nil {
			return err
		}
	}
	for _, file := range c.Files() {
		if err := f.write(file.Path, []byte(file.Content)); err != nil {
			return err
		}
	}
	if _, err := os.Stat(f.path(haproxy.StateFile)); errors.Is(err, fs.ErrNotExist) {
		return f.write(haproxy.StateFile, nil)
	}
	return nil
}

// sweep removes maps and certificates that the configuration no longer names.
func (f *folder) sweep(c haproxy.Config) error {
	keep := map[string]bool{haproxy.PlaceholderCert: true}
	for _, cert := range c.Certs {
		keep[cert.Path] = true
	}
	for _, file := range c.Files() {
		keep[file.Path] = true
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
			delete(f.written, name)
		}
	}
	return nil
}

func withNewline(s string) string {
	if strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

// blamed is a failure that one object causes.
type blamed struct {
	// Owner is the object, as "Certificate/www".
	Owner string
	Err   error
}

func (b *blamed) Error() string { return b.Owner + ": " + b.Err.Error() }

func (b *blamed) Unwrap() error { return b.Err }
