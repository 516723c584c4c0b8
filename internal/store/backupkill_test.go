package store

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir"
)

// restoreDir, when set, makes TestRestoreUntilKilled a process that restores there and stops on the way.
const restoreDir = "WEIR_STORE_RESTORE_DIR"

// stopper reads a backup, and the second time stops at a place for ever.
type stopper struct {
	*bytes.Reader
	passes int
	at     int64
}

func (s *stopper) Seek(offset int64, whence int) (int64, error) {
	s.passes++
	return s.Reader.Seek(offset, whence)
}

func (s *stopper) Read(p []byte) (int, error) {
	if s.passes > 0 && s.at > 0 && s.Size()-int64(s.Len()) >= s.at {
		fmt.Println("stopped")
		select {}
	}
	return s.Reader.Read(p[:min(len(p), 4096)])
}

// TestRestoreUntilKilled is the process that the next test kills; by itself it does nothing.
func TestRestoreUntilKilled(t *testing.T) {
	dir := os.Getenv(restoreDir)
	if dir == "" {
		return
	}
	raw, err := os.ReadFile(os.Getenv("WEIR_STORE_BACKUP"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := ParseIdentities(os.Getenv("WEIR_STORE_IDENTITY"))
	if err != nil {
		t.Fatal(err)
	}
	from := &stopper{Reader: bytes.NewReader(raw)}
	if os.Getenv("WEIR_STORE_STOP") == "loading" {
		from.at = int64(len(raw)) / 2
	}
	_, err = Restore{
		Into: Options{Dir: dir, Keyring: testKeyring(t)}, From: from, Identities: ids,
		Finish: func(_ context.Context, s *Store, _ BackupInfo) error {
			apply(t, s, puts(zone("half-done", 1))...)
			fmt.Println("stopped")
			select {}
		},
	}.Run(t.Context())
	t.Fatal(err)
}

// A restore that is killed, while it loads or while it finishes, leaves a store that opens for nobody and says so;
// run again it starts over, and what the first one did is gone.
func TestRestoreIsKilled(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	raw, _ := backedUp(t, s, p)
	file := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	for _, where := range []string{"loading", "finishing", "loading"} {
		killRestore(t, dir, file, where, p)
		_, err := tryOpen(t, dir)
		if weir.KindOf(err) != weir.Unavailable || !strings.Contains(err.Error(), "run weir server restore again") {
			t.Fatalf("killed while %s, the store opens: %v", where, err)
		}
	}
	if _, err := restoreOf(t, raw, p, Options{Dir: dir}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if everything(t, again) != everything(t, s) {
		t.Error("restored otherwise")
	}
}

func killRestore(t *testing.T, dir, file, where string, p pair) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRestoreUntilKilled$")
	cmd.Env = append(os.Environ(), restoreDir+"="+dir, "WEIR_STORE_BACKUP="+file, "WEIR_STORE_IDENTITY="+fmt.Sprint(p.id), "WEIR_STORE_STOP="+where)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if line != "stopped\n" {
		t.Fatalf("the process that restores said %q: %s", line, errs.String())
	}
}
