package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// TestWhatListensUnknownIsNotClosed: an agent finds a HAProxy and nothing says which text that has read. It loads its
// own, and where HAProxy listens is not taken for another program's.
func TestWhatListensUnknownIsNotClosed(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		dir := weirtest.TempDir(t)
		first := newAgentBed(t, h, func(o *Options) { o.Dir, o.StopWithAgent = dir, false })
		first.site("one", 40)
		first.wish()
		first.end()
		if err := os.Remove(first.engine.runningPath()); err != nil {
			t.Fatal(err)
		}
		second := newAgentBed(t, h, func(o *Options) { o.Dir = dir })
		second.node, second.prefix = first.node, first.prefix
		second.wish()
		if r := second.plane.report(); len(r.Resources.Deviations) > 0 || r.Reloads.Count != 1 {
			t.Errorf("%+v, %d reloads", r.Resources.Deviations, r.Reloads.Count)
		}
		second.serves("one")
	})
}

// TestAReloadThatNobodyNotedIsKnown: the agent ends between the reload and its note of it.
func TestAReloadThatNobodyNotedIsKnown(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		dir := weirtest.TempDir(t)
		first := newAgentBed(t, h, func(o *Options) { o.Dir, o.StopWithAgent = dir, false })
		first.site("one", 40)
		first.wish()
		first.end()
		e := first.engine
		e.noteNext(t.Context(), haproxy.Config{Sections: slices.Clone(e.have.Sections)})
		if _, err := e.process.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := newAgentBed(t, h, func(o *Options) { o.Dir = dir })
		second.node, second.prefix = first.node, first.prefix
		second.wish()
		if r := second.plane.report(); r.Reloads.Count != 0 {
			t.Errorf("%d reloads: %v", r.Reloads.Count, r.Reloads.Reasons)
		}
		second.serves("one")
	})
}

// TestAnAgentThatEndsWhileHAProxyStartsLeavesIt: it is the next agent's, which has nothing to do.
func TestAnAgentThatEndsWhileHAProxyStartsLeavesIt(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("one", 40)
		held := weirtest.NewHeldHAProxy(t, h)
		b.options.Path, b.options.DieWithParent = held.Path, false
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			_, err := b.engine.converge(ctx, b.node.Resources())
			ended <- err
		}()
		held.Begun()
		cancel()
		held.Go()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatalf("the agent that ends: %v", err)
		}
		if b.process == nil {
			t.Fatal("HAProxy is gone")
		}
		next := *b
		next.engine = openEngine(t, h, b.env.Version, filepath.Dir(b.folder.dir))
		if err := next.resume(t.Context(), next.node.Resources()); err != nil {
			t.Fatal(err)
		}
		if out := next.converge(); !out.idle() || next.process.Pid() != b.process.Pid() {
			t.Errorf("something was left to do: %+v, master %d → %d", out, b.process.Pid(), next.process.Pid())
		}
		next.serves("one")
	})
}
