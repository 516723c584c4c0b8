package hapctl

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"weir/internal/weirtest"
)

func TestWhatIsEndedFromOutsideRefusesNothing(t *testing.T) {
	t.Parallel()
	for script, outside := range map[string]bool{
		"kill -KILL $$": true, "kill -TERM $$": true, "exit 137": true, "exit 143": true,
		"kill -SEGV $$": false, "exit 139": false, "exit 1": false,
	} {
		dir := weirtest.TempDir(t)
		path := filepath.Join(dir, "haproxy")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := Start(bounded(t), Options{Path: path, Dir: dir})
		if errors.Is(err, ErrEnded) != outside || errors.As(err, new(*StartError)) == outside {
			t.Errorf("start, %s: %v", script, err)
		}
		err = Check(bounded(t), path, dir, "haproxy.cfg")
		if errors.Is(err, ErrEnded) != outside || errors.As(err, new(*CheckError)) == outside {
			t.Errorf("check, %s: %v", script, err)
		}
	}
}

func TestNewWorkerThatIsEndedRefusesNothing(t *testing.T) {
	t.Parallel()
	for line, outside := range map[string]bool{
		"[WARNING]  (4492) : Failed to load worker (4565) exited with code 137 (Killed)":             true,
		"[WARNING]  (4492) : Failed to load worker (4565) exited with code 143 (Terminated)":         true,
		"[WARNING]  (4492) : Failed to load worker (4565) exited with code 139 (Segmentation fault)": false,
		"[WARNING]  (3798) : Failed to load worker (3811) exited with code 1 (Exit)":                 false,
		"[ALERT] (1) : config : a server that exited with code 137 is no such thing":                 false,
	} {
		if got := loadEnded([]string{"[NOTICE] (4492) : Initializing new worker (4565)", line}); got != outside {
			t.Errorf("%s: %v", line, got)
		}
	}
}
