package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"weir/internal/secrets"
	"weir/internal/tickets"
)

// ticketFile is the file of TLS ticket keys that HAProxy reads when it starts and reloads. It is in memory only, and is
// there whenever HAProxy could read it: as long as nobody tells of the group's keys it holds some that are nobody
// else's.
type ticketFile struct {
	path string

	mu   sync.Mutex
	keys tickets.Keys
	// off says why there is no such file; that stays so while the agent runs, since to name the file and not to name it
	// is a reload each.
	off string
}

// openTicketFile takes over the keys that are there, or makes some. Without a folder the load balancer takes no part.
func openTicketFile(dir string) *ticketFile {
	if dir == "" {
		return &ticketFile{off: "no folder was named for TLS ticket keys (--ticket-keys-dir), so HAProxy draws its own"}
	}
	f := &ticketFile{path: filepath.Join(dir, "ticket.keys")}
	err := ownFolder(dir)
	if err == nil {
		err = secrets.CheckVolatile(dir)
	}
	if err == nil {
		err = f.open()
	}
	if err != nil {
		f.lose(err)
	}
	return f
}

func (f *ticketFile) open() error {
	text, err := secrets.ReadPrivateFile(f.path)
	if err == nil {
		if f.keys, err = tickets.ParseFile(text); err == nil {
			return nil
		}
	}
	keys, err := tickets.Alone(rand.Reader)
	if err != nil {
		return err
	}
	f.keys = keys
	return secrets.WriteVolatile(f.path, keys.File())
}

// ownFolder makes a folder that is this account's alone, and refuses one that is not: below /dev/shm anybody can make
// one of any name.
func ownFolder(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("the folder %s must be named with its whole path", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var s unix.Stat_t
	if err := unix.Lstat(dir, &s); err != nil {
		return err
	}
	if s.Mode&unix.S_IFMT != unix.S_IFDIR || int(s.Uid) != os.Geteuid() || s.Mode&0o022 != 0 {
		return fmt.Errorf("%s must be a folder of the agent's own account that nobody else may write to", dir)
	}
	return nil
}

func (f *ticketFile) lose(err error) {
	f.off = fmt.Sprintf("TLS ticket keys can't be kept in memory, so HAProxy draws its own and clients resume with this load balancer alone, until its next reload: %v", err)
}

// name is what the configuration has of the file: its path once it is certain to be there, else nothing.
func (f *ticketFile) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off != "" {
		return ""
	}
	_, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody has tidied up below /run.
		if err = ownFolder(filepath.Dir(f.path)); err == nil {
			err = secrets.WriteVolatile(f.path, f.keys.File())
		}
	}
	if err != nil {
		f.lose(err)
		return ""
	}
	return f.path
}

// why says why the load balancer takes no part in the group's keys, "" when it does.
func (f *ticketFile) why() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.off
}

// holds gives the keys in the file.
func (f *ticketFile) holds() tickets.Keys {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys
}

// put writes keys, unless the file has them.
func (f *ticketFile) put(keys tickets.Keys) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off != "" || f.keys.Digests() == keys.Digests() {
		return nil
	}
	if err := secrets.WriteVolatile(f.path, keys.File()); err != nil {
		return err
	}
	f.keys = keys
	return nil
}
