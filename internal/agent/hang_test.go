package agent

import (
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/link"
	"weir/internal/weirtest"
)

// freeze stops HAProxy's worker where it stands.
func (a *agentBed) freeze() (thaw func()) {
	a.t.Helper()
	pid, err := a.engine.process.Client().Pid(a.t.Context())
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGSTOP)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	thaw = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	a.t.Cleanup(thaw)
	return thaw
}

func impatient(o *Options) { o.Patience = 3 * time.Second }

func failedWith(text string) func(link.Report) error {
	return func(r link.Report) error {
		if r.State != link.Failed || !strings.Contains(r.Message, text) {
			return fmt.Errorf("%s: %q, want %q", r.State, r.Message, text)
		}
		return nil
	}
}

func TestAFrozenHAProxyIsToldAndGoesOn(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h, impatient)
		a.site("one", 40)
		a.wish()
		thaw := a.freeze()
		// Nobody wants anything new: the health watch finds it.
		a.await(failedWith("does not answer"))
		thaw()
		a.await(func(r link.Report) error {
			if r.State != link.Converged || r.Revision != a.revision {
				return fmt.Errorf("%s at %d: %s", r.State, r.Revision, r.Message)
			}
			return nil
		})
		a.serves("one")
		if n := len(a.log.lines("haproxy does not answer", slog.LevelWarn)); n != 1 {
			t.Errorf("%d lines say that it doesn't answer", n)
		}
	})
}

func TestChangesOfAFrozenHAProxyComeLater(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h, impatient)
		a.site("one", 40)
		a.wish()
		thaw := a.freeze()
		a.node.Pools[0].Servers[0].Weight = 7
		a.site("two", 41)
		a.offer()
		a.await(func(r link.Report) error {
			if err := failedWith("does not answer")(r); err != nil {
				return err
			}
			if r.Seen != a.revision {
				return fmt.Errorf("seen %d", r.Seen)
			}
			return nil
		})
		if len(a.plane.report().Resources.Deviations) > 0 {
			t.Errorf("held, for nothing that it did: %+v", a.plane.report().Resources.Deviations)
		}
		thaw()
		a.await(func(r link.Report) error {
			if r.State != link.Converged || r.Revision != a.revision {
				return fmt.Errorf("%s at %d: %s", r.State, r.Revision, r.Message)
			}
			return nil
		})
		a.serves("one")
		a.serves("two")
		if held := a.plane.report().Resources.Deviations; len(held) > 0 {
			t.Errorf("held: %+v", held)
		}
	})
}

func TestAnAgentFindsAFrozenHAProxyAgain(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		dir := weirtest.TempDir(t)
		first := newAgentBed(t, h, impatient, func(o *Options) { o.Dir, o.StopWithAgent = dir, false })
		first.site("one", 40)
		first.wish()
		process := first.engine.process.Pid()
		thaw := first.freeze()
		first.end()
		second := newAgentBed(t, h, impatient, func(o *Options) { o.Dir = dir })
		second.node = first.node
		second.offer()
		second.await(failedWith("does not answer"))
		thaw()
		second.await(func(r link.Report) error {
			if r.State != link.Converged {
				return fmt.Errorf("%s: %s", r.State, r.Message)
			}
			return nil
		})
		if r := second.plane.report(); r.Reloads.Count != 0 || second.engine.reloads.Starts != 0 {
			t.Errorf("%d reloads, %d starts", r.Reloads.Count, second.engine.reloads.Starts)
		}
		if second.engine.process.Pid() != process {
			t.Error("another HAProxy serves")
		}
	})
}
