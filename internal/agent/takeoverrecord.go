package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"weir/internal/secrets"
)

// takeover is what an agent keeps of the HAProxy that it took over.
type takeover struct {
	Master string `json:"master"`
	Config string `json:"config"`
	// Found is the SHA-256 of the configuration that was found; a file of that name in foundDir holds it.
	Found string `json:"found"`
	// Mode, UID and GID are those of the file that was found.
	Mode    fs.FileMode `json:"mode"`
	FileUID int         `json:"fileUid"`
	FileGID int         `json:"fileGid"`
	// UID is the account that HAProxy's master ran as.
	UID int `json:"uid"`
	// Taken is when Weir's configuration was first put in its place; zero before.
	Taken time.Time `json:"taken,omitzero"`
	// Displaced is when somebody was seen to have put another configuration in place since; zero when Weir's is read.
	// Retaken is when Weir's was read again the last time after that.
	Displaced time.Time `json:"displaced,omitzero"`
	Retaken   time.Time `json:"retaken,omitzero"`
	// HandedBack is when somebody handed HAProxy back; Kept says that Weir's configuration was left in place.
	HandedBack time.Time `json:"handedBack,omitzero"`
	Kept       bool      `json:"kept,omitzero"`
}

// The files in an agent's folder that are about a HAProxy that it took over.
const (
	takeoverFile = "takeover.json"
	foundDir     = "found" // configurations that were found, by their SHA-256; none is ever replaced
)

// readTakeover gives nothing when nothing was ever taken over.
func readTakeover(dir string) (takeover, error) {
	var t takeover
	raw, err := os.ReadFile(filepath.Join(dir, takeoverFile))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err != nil {
		return t, fmt.Errorf("read what was taken over: %s: %w", filepath.Join(dir, takeoverFile), err)
	}
	return t, nil
}

func (t takeover) save(dir string) error {
	raw, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("note what was taken over: %w", err)
	}
	return writeOwned(filepath.Join(dir, takeoverFile), append(raw, '\n'))
}

// writeOwned writes a file of the agent's folder, which belongs to whom the folder belongs to, also when root does it.
func writeOwned(path string, data []byte) error {
	if err := secrets.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return ownAsFolder(path)
}

func ownAsFolder(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if st := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && st.Uid != 0 {
		return os.Lchown(path, int(st.Uid), int(st.Gid))
	}
	return nil
}

// keepFound keeps a configuration that was found, unless it is kept already.
func keepFound(dir, text string) (name string, err error) {
	sum := sha256.Sum256([]byte(text))
	name = hex.EncodeToString(sum[:])
	folder := filepath.Join(dir, foundDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("keep the configuration that was found: %w", err)
	}
	path := filepath.Join(folder, name)
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, []byte(text)) {
		return name, nil
	}
	if err := secrets.CreateFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("keep the configuration that was found: %w", err)
	}
	return name, nil
}

// found gives the configuration that was found, and refuses one that is no longer what was kept.
func (t takeover) found(dir string) (string, error) {
	path := filepath.Join(dir, foundDir, t.Found)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the configuration that was found: %w", err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != t.Found {
		return "", fmt.Errorf("read the configuration that was found: %s was changed since it was kept", path)
	}
	return string(text), nil
}

// tellHandedBack says in a sentence what became of HAProxy.
func (t takeover) tellHandedBack(dir string) string {
	what := "with the configuration that was found"
	if t.Kept {
		what = "with Weir's last configuration as a plain file"
	}
	return fmt.Sprintf("HAProxy was handed back on %s, %s; this agent does not look after it. To take it over again: stop the agent, run weir agent handback --undo --dir %s, start the agent",
		t.HandedBack.UTC().Format(time.RFC3339), what, dir)
}

// place puts a configuration at path, whole at any moment and kept through a loss of power. Mode, owner and group are
// as given, as far as this account may give files away.
func place(path, text string, mode fs.FileMode, uid, gid int) error {
	dir := filepath.Dir(path)
	// One name, so that whoever is killed in the middle leaves one file at most, which the next one takes away.
	beside := filepath.Join(dir, "."+filepath.Base(path)+".weir-new")
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.WriteString(text)
	if err == nil && f.Chown(uid, gid) != nil {
		_ = f.Chown(-1, gid) // an ordinary user may give it to a group of its own
	}
	err = errors.Join(err, f.Chmod(mode.Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncFile(dir)
}

// replaceKeeping is place with mode, owner and group of the file that is there.
func replaceKeeping(path, text string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return place(path, text, 0o644, os.Geteuid(), os.Getegid())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return place(path, text, info.Mode(), int(st.Uid), int(st.Gid))
}
