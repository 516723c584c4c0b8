package bench

import (
	"cmp"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime gives the processor time that a process has used, of the user and of the kernel for it, as exactly
// as the scheduler knows it; /proc has it in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED of the kernel
	var now unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &now); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(now.Nano()), nil
}

// apart puts the measured processes on one processor and the test on another, if there are two: then nobody
// is moved about, and all processes measured have the same caches and the same neighbours.
func apart(t *testing.T, measured ...int) {
	t.Helper()
	runtime.LockOSThread()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatalf("sched_getaffinity: %v", err)
	}
	if all.Count() < 2 {
		return
	}
	last := 0
	for cpu := range 1024 {
		if all.IsSet(cpu) {
			last = cpu
		}
	}
	var theirs unix.CPUSet
	theirs.Set(last)
	for _, pid := range measured {
		if err := unix.SchedSetaffinity(pid, &theirs); err != nil {
			t.Fatalf("sched_setaffinity %d: %v", pid, err)
		}
	}
	ours := all
	ours.Clear(last)
	if err := unix.SchedSetaffinity(0, &ours); err != nil {
		t.Fatalf("sched_setaffinity: %v", err)
	}
	t.Cleanup(func() {
		_ = unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
	})
}

func median[T cmp.Ordered](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
