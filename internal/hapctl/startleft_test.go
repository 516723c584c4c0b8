package hapctl

import (
	"context"
	"errors"
	"testing"

	"weir/internal/weirtest"
)

// Who starts a HAProxy that is to outlive him may end before it serves: it serves on, and is found.
func TestStartIsNoLongerWaitedFor(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		for _, dies := range []bool{false, true} {
			l := newLab(t, h, twoServers)
			slow := weirtest.NewHeldHAProxy(t, h)
			opts := l.options()
			opts.Path, opts.DieWithParent = slow.Path, dies
			ctx, cancel := context.WithCancel(bounded(t))
			begun := make(chan error, 1)
			var p *Process
			go func() {
				var err error
				p, err = Start(ctx, opts)
				begun <- err
			}()
			slow.Begun()
			cancel()
			if dies {
				if err := <-begun; !errors.Is(err, context.Canceled) {
					t.Errorf("one that dies with this program: %v", err)
				}
				continue
			}
			slow.Go()
			if err := <-begun; err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { end(p) })
			found, err := Attach(bounded(t), opts)
			if err != nil {
				t.Fatal(err)
			}
			if found.Pid() != p.Pid() {
				t.Errorf("found %d, started %d", found.Pid(), p.Pid())
			}
			l.proc, l.c = p, p.Client()
			l.reload()
		}
	})
}
