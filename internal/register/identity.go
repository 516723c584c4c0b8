package register

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/secrets"
)

// The files in a state folder, beside secrets.AgentKeyFile. The certificate is written last, so that where there is one,
// all is there.
const (
	certificateFile = "server.crt"
	trustFile       = "ca.crt"
	pinFile         = "pin" // what was pinned when ca.crt was learned
)

// identity is who this server is and whom it believes. It never changes once made.
type identity struct {
	name  string
	key   crypto.Signer
	cert  *tls.Certificate // nil before a token was exchanged
	trust *secrets.Trust   // nil before
}

// openState reads a state folder, which is made when absent. What was learned under another pin is not believed.
func openState(dir, name, pin string) (*identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	key, err := secrets.OpenAgentKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = secrets.NewAgentKey(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	id := &identity{name: name, key: key}
	before, err := os.ReadFile(filepath.Join(dir, pinFile))
	if err != nil || strings.TrimSpace(string(before)) != pin {
		return id, ignoreAbsent(err)
	}
	chain, err := os.ReadFile(filepath.Join(dir, certificateFile))
	if err != nil {
		return id, ignoreAbsent(err)
	}
	bundle, err := os.ReadFile(filepath.Join(dir, trustFile))
	if err != nil {
		return id, ignoreAbsent(err)
	}
	known, err := id.with(chain, bundle)
	if err != nil {
		return id, nil // the token gives another
	}
	return known, nil
}

func ignoreAbsent(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("open state folder: %w", err)
}

// with gives the identity with what a control plane has answered.
func (id *identity) with(chain, bundle []byte) (*identity, error) {
	cert, err := secrets.AgentCertificate(id.key, chain)
	if err != nil {
		return nil, err
	}
	trust, err := secrets.ParseTrust(bundle)
	if err != nil {
		return nil, err
	}
	who, err := secrets.RegistrantIdentity(cert.Leaf)
	if err != nil {
		return nil, err
	}
	if who.Name != id.name {
		return nil, fmt.Errorf("the certificate is for %.80q, not %s", who.Name, id.name)
	}
	return &identity{name: id.name, key: id.key, cert: &cert, trust: trust}, nil
}

// without gives the identity of one whose certificate is not taken any more.
func (id *identity) without() *identity {
	return &identity{name: id.name, key: id.key, trust: id.trust}
}

// keep writes what a control plane has answered.
func (id *identity) keep(dir, pin string, chain, bundle []byte) error {
	for _, f := range []struct {
		name string
		data []byte
	}{{trustFile, bundle}, {pinFile, []byte(pin + "\n")}, {certificateFile, chain}} {
		if err := secrets.WriteFile(filepath.Join(dir, f.name), f.data, 0o600); err != nil {
			return fmt.Errorf("keep the certificate: %w", err)
		}
	}
	return nil
}

// good says that there is a certificate and that it has not run out.
func (id *identity) good(now time.Time) bool {
	return id.cert != nil && now.Before(id.cert.Leaf.NotAfter)
}

// believes says whether the CAs that a control plane names are just those of the bundle, in their order: the first issues.
func (id *identity) believes(named string) bool {
	return named == "" || id.trust != nil && named == strings.Join(id.trust.Hashes(), ",")
}
