package hapctl

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"weir/internal/weirtest"
)

func TestReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		was, err := l.c.Pid(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		l.config(twoServers + "backend added from base\n")
		r := l.reload()
		now, err := l.c.Pid(bounded(t))
		if err != nil || now != r.Worker || now == was {
			t.Errorf("worker %d, was %d, %+v, %v", now, was, r, err)
		}
		if b, err := l.c.Backends(bounded(t)); err != nil || len(b) != 2 {
			t.Errorf("backends = %v, %v", b, err)
		}
		// One that HAProxy does not take.
		l.config(twoServers + "backend added from base\n bogus x\n")
		_, err = l.proc.Reload(bounded(t))
		var refused *ReloadError
		if !errors.As(err, &refused) || len(refused.Lines) != 1 || refused.Lines[0].Line == 0 || !strings.Contains(err.Error(), "haproxy.cfg:") {
			t.Errorf("%+v, %v", refused, err)
		}
		if pid, err := l.c.Pid(bounded(t)); pid != now || err != nil {
			t.Errorf("worker %d serves, want %d, %v", pid, now, err)
		}
		w, err := l.proc.Workers(bounded(t))
		if err != nil || w.Failed != 1 {
			t.Errorf("%+v, %v", w, err)
		}
		// And on with a good one.
		l.config(twoServers)
		if r := l.reload(); r.Worker == now {
			t.Error("no new worker")
		}
	})
}

// Many at once are done one after the other, and others may reload by hand meanwhile.
func TestReloadsQueue(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := startLab(t, h, twoServers)
		res := make(chan error)
		const n = 4
		for range n {
			go func() {
				_, err := l.proc.Reload(bounded(t))
				res <- err
			}()
		}
		if err := syscall.Kill(l.proc.Pid(), syscall.SIGUSR2); err != nil {
			t.Error(err)
		}
		for range n {
			if err := <-res; err != nil {
				t.Error(err)
			}
		}
		l.eventually(func() error {
			w, err := l.proc.Workers(bounded(t))
			if err == nil && (len(w.Workers) != 1 || len(w.Old) != 0) {
				err = fmt.Errorf("%+v", w)
			}
			return err
		})
	})
}
