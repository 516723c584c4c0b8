package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weir/internal/systemd"
)

// keeper stands for systemd, as it starts a service and keeps its files.
type keeper struct {
	t    *testing.T
	conn *net.UnixConn
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &keeper{t, conn}
}

// first is the manager of a service that is started, and next of one that is started anew, which has left a file.
func (k *keeper) first() *systemd.Manager { return systemd.New(k.conn.LocalAddr().String(), nil) }

func (k *keeper) next() *systemd.Manager {
	k.t.Helper()
	for text, rights := make([]byte, 4096), make([]byte, 4096); ; {
		n, extra, _, _, err := k.conn.ReadMsgUnix(text, rights)
		if err != nil {
			k.t.Fatal(err)
		}
		_, name, stores := strings.Cut(string(text[:n]), "FDSTORE=1\nFDPOLL=0\nFDNAME=")
		messages, err := unix.ParseSocketControlMessage(rights[:extra])
		if err != nil {
			k.t.Fatal(err)
		}
		if !stores || len(messages) == 0 {
			continue
		}
		files, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(files) != 1 {
			k.t.Fatal(files, err)
		}
		return systemd.New(k.conn.LocalAddr().String(), map[string]int{name: files[0]})
	}
}
