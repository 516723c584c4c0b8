package link

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/internal/ir"
	"weir/internal/weirtest"
)

func TestCutOnDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.Heartbeat = time.Hour }) // so that no heartbeat finds out
	dir := w.enrol("lb1")
	w.enrol("lb2")
	w.set("edge", 1, many(2), "lb1", "lb2")
	_, _, rest := w.raw(dir, nil)
	w.reg.remove("lb1")
	w.set("edge", 2, many(2), "lb2")
	if line, err := readLine(rest); err == nil {
		t.Errorf("the stream goes on with %q", line)
	}
	if _, ok := w.hub.Wanted("lb1"); ok {
		t.Error("lb1 is still wanted")
	}
	r := w.refused(w.conn(dir), nil)
	if r.status != http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.detail)
	}
	w.set("edge", 3, many(2), "lb1", "lb2") // another of that name; the certificate is still the old one's
	if r := w.refused(w.conn(dir), nil); r.status != http.StatusForbidden {
		t.Errorf("%d %s", r.status, r.detail)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.Heartbeat = time.Hour })
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	_, _, rest := w.raw(dir, nil)
	w.hub.Cut("lb1")
	if line, err := readLine(rest); err == nil {
		t.Errorf("the stream goes on with %q", line)
	}
	_, _, old := w.raw(dir, nil)
	w.raw(dir, nil) // the newest stream is the one that counts
	if line, err := readLine(old); err == nil {
		t.Errorf("the older stream goes on with %q", line)
	}
}

func TestSlowReaderHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.WriteTimeout, o.RingBytes = 300*time.Millisecond, 1<<20 })
	slow, quick := w.enrol("slow"), w.enrol("quick")
	w.set("edge", 1, nil, "slow", "quick")
	_, _, rest := w.raw(slow, nil) // and then reads nothing
	a := w.agent(quick)
	a.at(1)
	big := strings.Repeat("x", 1<<20)
	for rev := int64(2); rev < 40; rev++ {
		w.set("edge", rev, []*ir.Resource{res("map/big", fmt.Sprint(rev, big))}, "slow", "quick")
		a.at(rev)
	}
	weirtest.Eventually(t, patience, func() error {
		if on := w.hub.Connected(); !reflect.DeepEqual(on, []string{"quick"}) {
			return fmt.Errorf("connected: %v", on)
		}
		return nil
	})
	for {
		if _, err := readLine(rest); err != nil {
			break
		}
	}
	back := w.agent(slow)
	back.at(39)
}

func TestCutDoesNotWaitForASlowReader(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 1<<20)
	for what, cut := range map[string]func(*world){
		"stop":   func(w *world) { w.hub.Close() },
		"cut":    func(w *world) { w.hub.Cut("slow") },
		"delete": func(w *world) { w.set("edge", 99, nil) },
		"drop":   func(w *world) { w.hub.DropGroup("edge") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *HubOptions) { o.WriteTimeout = time.Hour })
			dir := w.enrol("slow")
			w.set("edge", 1, nil, "slow")
			w.raw(dir, nil)
			for rev := int64(2); rev < 30; rev++ {
				w.set("edge", rev, []*ir.Resource{res("map/big", fmt.Sprint(rev, big))}, "slow")
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cut(w)
			if err := w.srv.Shutdown(ctx); err != nil { // it waits for the streams
				t.Errorf("the slow agent's stream was not cut: %v", err)
			}
		})
	}
}

// TestIdleStreamOutlivesTheWriteTimeout has a slow stream, begun later, cut by it.
func TestIdleStreamOutlivesTheWriteTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.Heartbeat, o.WriteTimeout = time.Hour, 300*time.Millisecond })
	idle, slow := w.enrol("idle"), w.enrol("slow")
	w.set("quiet", 1, nil, "idle")
	w.set("loud", 1, nil, "slow")
	_, _, rest := w.raw(idle, nil)
	w.raw(slow, nil)
	big := strings.Repeat("x", 1<<20)
	for rev := int64(2); rev < 30; rev++ {
		w.set("loud", rev, []*ir.Resource{res("map/big", fmt.Sprint(rev, big))}, "slow")
	}
	weirtest.Eventually(t, patience, func() error {
		if on := w.hub.Connected(); !reflect.DeepEqual(on, []string{"idle"}) {
			return fmt.Errorf("connected: %v", on)
		}
		return nil
	})
	w.set("quiet", 30, []*ir.Resource{res("map/x", 1)}, "idle")
	if line, err := readLine(rest); err != nil || !strings.Contains(string(line), "map/x") {
		t.Errorf("%q, %v", line, err)
	}
}
