package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// What a machine has just done for others weighs on who comes first, and what is compared comes one after the other: ext4
// passes over inodes that were freed in the last minute or so, one by one for each new file, and memory that the
// machine below has taken back costs ten times as much to touch. So before thousands of files are made both sides wait
// until files cost again what they do, and for memoryRest.
const (
	usualFile  = 60 * time.Microsecond // of the processor, to make a file, at most
	probeFiles = 32
	settleMost = 2 * time.Minute
	memoryRest = 10 * time.Second
)

// settled returns when files can be made in folders at the usual price, or not within settleMost, which is logged.
func (w *certsWorld) settled(dirs ...string) {
	w.t.Helper()
	unix.Sync() // what is not written yet is passed over for longer
	began := time.Now()
	for round := 0; ; round++ {
		var dearest time.Duration
		for _, dir := range dirs {
			dearest = max(dearest, w.priceOfFile(dir, round))
		}
		if waited := time.Since(began); waited >= memoryRest && dearest <= usualFile || waited >= settleMost {
			w.t.Logf("making a file costs %v after %.0f s of rest", dearest, waited.Seconds())
			return
		}
		w.rest(memoryRest)
	}
}

// priceOfFile makes some empty files, which stay, since those that are freed are what makes others dear.
func (w *certsWorld) priceOfFile(dir string, round int) time.Duration {
	w.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir = filepath.Join(dir, fmt.Sprintf("probe-%d", round))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	began := threadTime()
	for n := range probeFiles {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return (threadTime() - began) / probeFiles
}

func threadTime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
	return time.Duration(now.Nano())
}
