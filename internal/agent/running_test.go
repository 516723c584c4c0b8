package agent

import (
	"os"
	"slices"
	"testing"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// TestWhatListensUnknownIsNotClosed: an agent finds a HAProxy and nothing says which text that has read. It loads its
// own, and where HAProxy listens is not taken for another program's.
func TestWhatListensUnknownIsNotClosed(t *testing.T) {
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
