package hapctl

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// ErrEnded says that HAProxy was ended from outside, by somebody or by the kernel for want of memory, while it
// read a configuration: nothing in that is to blame, and the next try may go well.
var ErrEnded = errors.New("it was ended from outside")

// killers are the signals that nothing in a configuration makes HAProxy end by.
var killers = []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

// endedOutside looks at how a process ended. A master ends with 128 and the signal that its worker ended by.
func endedOutside(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return slices.Contains(killers, status.Signal())
	}
	return slices.Contains(killers, syscall.Signal(exit.ExitCode()-128))
}

// loadEnded looks for a new worker's end in what the master says of a reload.
func loadEnded(logs []string) bool {
	return slices.ContainsFunc(logs, func(line string) bool {
		return slices.ContainsFunc(killers, func(s syscall.Signal) bool {
			return strings.Contains(line, "orker") && strings.Contains(line, fmt.Sprintf("exited with code %d ", 128+int(s)))
		})
	})
}
