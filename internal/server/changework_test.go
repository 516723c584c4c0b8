package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/wave"
)

// workBench is a group of load balancers whose contents are numbers.
type workBench struct {
	*workLog
	group    groupState
	contents map[string]byte
	revision int64
	passes   map[string][]link.PassReport
}

func newWorkBench(names ...string) *workBench {
	b := &workBench{workLog: newWorkLog(), contents: map[string]byte{}, passes: map[string][]link.PassReport{}}
	for _, name := range names {
		b.group.selves = append(b.group.selves, ir.Self{Name: name, Zone: "az1", State: weir.Active})
	}
	b.show()
	return b
}

func (b *workBench) show() {
	b.sent("edge", &b.group, func(name string) (link.Wanted, bool) {
		return link.Wanted{Group: "edge", Revision: b.revision, Hash: link.Hash{b.contents[name]}}, true
	})
}

// change makes one that gives load balancers a content.
func (b *workBench) change(revision int64, content byte, names ...string) {
	b.made(revision, []string{"edge"})
	b.revision = revision
	for _, name := range names {
		b.contents[name] = content
	}
	b.show()
}

// pass tells that a load balancer came to a content, a second after the last thing, by a clock that is an hour ahead.
func (b *workBench) pass(name string, content byte, at int64, p link.PassReport) {
	p.Number, p.Revision, p.Hash, p.At = uint64(len(b.passes[name])+1), b.revision, link.Hash{content}, time.Unix(at, 0).Add(time.Hour)
	b.passes[name] = append(b.passes[name], p)
	rep := link.Reported{Name: name, At: time.Unix(at+5, 0)}
	rep.Now, rep.Passes = rep.At.Add(time.Hour), b.passes[name]
	b.takeAll(map[string]link.Reported{name: rep})
}

func (b *workBench) holds(t *testing.T, revision int64, want ...string) {
	t.Helper()
	var got []string
	if work := b.Work(revision); work != nil {
		for _, lb := range work.LoadBalancers {
			text := lb.Name + " waits"
			if lb.Done {
				text = fmt.Sprintf("%s at %d: %d commands", lb.Name, lb.At.Unix(), lb.Commands)
			}
			for _, r := range lb.Reload {
				text += ", reload: " + r.Text
			}
			if len(lb.With) > 0 {
				text += fmt.Sprintf(", with %d", lb.With)
			}
			got = append(got, text)
		}
	} else {
		got = []string{"unknown"}
	}
	if !slices.Equal(got, want) {
		t.Errorf("change %d: %q, want %q", revision, got, want)
	}
}

// TestChangeWork: a change is done by a load balancer when that was read back to have the content that it gave, with what the
// agent did on the way; several that come at once share that, and one that gives a load balancer nothing is none of its.
func TestChangeWork(t *testing.T) {
	t.Parallel()
	b := newWorkBench("lb1", "lb2")
	b.holds(t, 1, "unknown")
	b.change(1, 1, "lb1", "lb2")
	b.holds(t, 1, "lb1 waits", "lb2 waits")
	b.pass("lb1", 1, 100, link.PassReport{Commands: 3})
	b.holds(t, 1, "lb1 at 100: 3 commands", "lb2 waits")
	b.change(2, 1)        // which means nothing to anybody
	b.change(3, 3, "lb2") // the object of one load balancer
	b.change(4, 4, "lb1", "lb2")
	b.holds(t, 2)
	b.holds(t, 3, "lb2 waits")
	b.pass("lb2", 4, 101, link.PassReport{Reload: []link.ReloadReason{{Object: "Site/www", Text: "a port"}}})
	b.holds(t, 1, "lb1 at 100: 3 commands", "lb2 at 101: 0 commands, reload: a port, with [3 4]")
	b.holds(t, 3, "lb2 at 101: 0 commands, reload: a port, with [1 4]")
	b.holds(t, 4, "lb1 waits", "lb2 at 101: 0 commands, reload: a port, with [1 3]")
	// What is told before it is known here what was to come is believed afterwards.
	b.revision = 5
	b.pass("lb2", 5, 102, link.PassReport{Commands: 9})
	b.change(5, 5, "lb2")
	b.holds(t, 5, "lb2 at 102: 9 commands")
	// Back to an earlier content: having had it before is no answer.
	b.change(6, 4, "lb2")
	b.holds(t, 6, "lb2 waits")
	// An agent that began anew counts from one again.
	b.passes["lb2"] = nil
	rep := link.Reported{At: time.Unix(110, 0)}
	rep.Started, rep.Passes = time.Unix(108, 0), []link.PassReport{{Number: 1, Revision: 6, Hash: link.Hash{4}, Started: true}}
	b.takeAll(map[string]link.Reported{"lb2": rep})
	b.holds(t, 6, "lb2 at 110: 0 commands")
	// A load balancer that is no more is waited for no longer than what is known of it.
	b.group.selves = b.group.selves[1:]
	b.show()
	if _, there := b.members["lb1"]; there {
		t.Error("lb1 was deleted and is remembered")
	}
}

// TestChangeWorkInWaves: whoever no wave has reached has not done the change, whatever newer revision it has; who is sent
// back has not either.
func TestChangeWorkInWaves(t *testing.T) {
	t.Parallel()
	b := newWorkBench("lb1", "lb2")
	base := &groupState{}
	waved := func(w *wave.Wave, carried, queued []int64) {
		b.group.waved = &wavedState{group: wave.Group{Base: 1, Wave: w}, base: base, carried: carried, queued: queued}
	}
	waved(nil, nil, []int64{2})
	b.change(2, 0)
	b.holds(t, 2, "lb1 waits", "lb2 waits")
	// One that waits for nobody comes between.
	b.change(3, 1, "lb1", "lb2")
	b.pass("lb2", 1, 100, link.PassReport{Commands: 1})
	b.holds(t, 3, "lb1 waits", "lb2 at 100: 1 commands")
	b.holds(t, 2, "lb1 waits", "lb2 waits")
	going := &wave.Wave{State: wave.Going, Target: 2, Step: wave.Canaries, Canaries: []string{"lb1"}}
	waved(going, []int64{2}, nil)
	b.contents["lb1"] = 2
	b.show()
	b.pass("lb1", 2, 101, link.PassReport{Commands: 7})
	b.holds(t, 2, "lb1 at 101: 7 commands, with [3]", "lb2 waits")
	halted := *going
	halted.State = wave.Halted
	waved(&halted, []int64{2}, nil)
	b.contents["lb1"] = 1
	b.show()
	b.pass("lb1", 1, 102, link.PassReport{Commands: 7})
	b.holds(t, 2, "lb1 waits", "lb2 waits")
	b.holds(t, 3, "lb1 at 101: 7 commands, with [2]", "lb2 at 100: 1 commands")
	everybody := *going
	everybody.Step = wave.Rest
	waved(&everybody, []int64{2}, nil)
	b.contents["lb1"], b.contents["lb2"] = 2, 2
	b.show()
	b.pass("lb1", 2, 103, link.PassReport{Commands: 6})
	b.pass("lb2", 2, 104, link.PassReport{Commands: 5})
	b.holds(t, 2, "lb1 at 103: 6 commands", "lb2 at 104: 5 commands")
}

// TestChangeWorkIsBounded: the oldest changes go, by number and by how much there is of them.
func TestChangeWorkIsBounded(t *testing.T) {
	t.Parallel()
	b := newWorkBench("lb1", "lb2")
	b.most, b.mostOf = 4, 6
	for i := range int64(10) {
		b.change(i+1, byte(i+1), "lb1", "lb2")
	}
	b.holds(t, 6, "unknown")
	b.holds(t, 10, "lb1 waits", "lb2 waits")
	if len(b.changes) > b.most || b.count > b.mostOf+2 || len(b.members["lb1"].dues) > b.most {
		t.Errorf("%d changes, %d in all, %d due", len(b.changes), b.count, len(b.members["lb1"].dues))
	}
	b.pass("lb1", 10, 100, link.PassReport{Commands: 1})
	var with []string
	for _, lb := range b.Work(10).LoadBalancers {
		with = append(with, fmt.Sprint(lb.Name, lb.With))
	}
	if got := strings.Join(with, " "); got != "lb1[7 8 9] lb2[]" {
		t.Errorf("with %s", got)
	}
}
