package link

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// The pause between two tries to keep something on disk.
const (
	keepRetry     = 100 * time.Millisecond
	keepRetryMost = 2 * time.Second
)

// keep writes something to disk, again and again while the machine doesn't let it: a disk that is full has room again
// some time. The stream stays meanwhile, the control plane is told, and what was kept before holds.
func (f *follower) keep(write func() error) error {
	said := false
	for wait := keepRetry; ; wait = min(2*wait, keepRetryMost) {
		err := write()
		if err == nil || !ofMachine(err) {
			if said && err == nil {
				f.client.opts.Log.Info("the newest state is kept now")
			}
			f.client.reporter.troubled("")
			return err
		}
		if !said {
			said = true
			f.client.opts.Log.Error("can't keep the newest state; going on with the one before", "err", err)
		}
		f.heard()
		f.client.reporter.troubled("can't keep the newest state, goes on with the one before: " + err.Error())
		f.alive()
		select {
		case <-f.ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// ofMachine says that an error is the file system's, and so has nothing to do with what was to be written.
func ofMachine(err error) bool {
	return errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError)) || errors.As(err, new(*os.SyscallError))
}
