package agent

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/link"
)

// leastRoom is how many bytes a file system must have free for the agent to count on it: a configuration of a thousand
// pools with its maps takes about as much.
const leastRoom = 1 << 20

// room looks whether the agent's folder can be written, since on a day without changes nothing else would find out
// before it matters.
type room struct {
	dir string
	now link.Warning
}

// look gives what is wrong, nothing when all is well.
func (r *room) look(now time.Time) []link.Warning {
	reason, message := r.fault()
	if reason != r.now.Reason || message != r.now.Message {
		r.now = link.Warning{Reason: reason, Message: message, Since: now}
	}
	if reason == "" {
		return nil
	}
	return []link.Warning{r.now}
}

// warn tells the control plane what is wrong with the machine, or that nothing is any more.
func (a *Agent) warn(list []link.Warning) {
	r := &a.report
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.report.Warnings, list) {
		return
	}
	for _, w := range list {
		a.log.Warn("machine", "reason", w.Reason, "message", w.Message)
	}
	if r.report.Warnings = list; r.report.State != "" {
		a.client.Report(r.told())
	}
}

func (r *room) fault() (reason, message string) {
	if err := unix.Access(r.dir, unix.W_OK); errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return link.DiskReadOnly, r.dir + " can't be written (" + err.Error() + "), so changes don't reach HAProxy, which serves on; mount the file system for writing, or give the folder to the agent's user"
	}
	var fs unix.Statfs_t
	if unix.Statfs(r.dir, &fs) != nil {
		return "", ""
	}
	if free := fs.Bavail * uint64(max(fs.Bsize, 0)); fs.Blocks > 0 && free < leastRoom || fs.Files > 0 && fs.Ffree == 0 {
		return link.DiskFull, "the file system of " + r.dir + " is full, so changes don't reach HAProxy, which serves on; make room there"
	}
	return "", ""
}
