package wave

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Settings say how careful a group is.
type Settings struct {
	// Watch is for how long each step is watched once all that are judged have it, Patience how long that may take.
	Watch, Patience time.Duration
}

// Seen is a load balancer at one moment.
type Seen struct {
	Name, Zone string
	// Version is HAProxy's, by which canaries are chosen.
	Version string
	// Active ones count.
	Active bool
	// Has says that it was read back to have a configuration that it is to have. Well says that it was heard lately
	// besides, and that its HAProxy runs.
	Has, Well bool
	// Heard is when it told last what it has counted and what its health checks see.
	Heard time.Time
	// Trouble is what speaks against what the wave has brought to it; empty for nothing.
	Trouble string
}

// Input is what a decision is made of.
type Input struct {
	Now      time.Time
	Settings Settings
	// Newest is the last revision known. Pending says that its configuration differs from that of Base.
	Newest  int64
	Pending bool
	// Undone is a change that takes back one that the wave brings; 0 for none.
	Undone int64
	// LoadBalancers are all of the group.
	LoadBalancers []Seen
	// Rise says that clients get more errors from those reached; empty when they don't.
	Rise string
}

// Next decides what is to be: the group as it is when nothing is to be done now.
func (g Group) Next(in Input) Group {
	w := g.Wave
	switch {
	case w == nil && in.Pending:
		return g.begin(in)
	case w == nil:
		return g
	case in.Undone > 0:
		return g.end(Outcome{At: in.Now, Why: fmt.Sprintf("change %d takes back what it brought", in.Undone)})
	case !in.Pending:
		return g.end(Outcome{At: in.Now, Why: "nothing is left to bring"})
	case w.State != Going:
		return g
	}
	judged := in.judged(w)
	if len(judged) == 0 {
		return g.end(Outcome{At: in.Now, Why: "none of the load balancers that it has reached counts any longer"})
	}
	if why := in.against(judged); why != "" {
		return g.Back(in.Now, "", why)
	}
	if late := lacking(judged); len(late) > 0 {
		if in.Now.Sub(w.Since) < in.Settings.Patience {
			return g
		}
		return g.Back(in.Now, "", fmt.Sprintf("%s did not have it after %s", names(late), in.Settings.Patience))
	}
	if w.Ready.IsZero() {
		g = g.with(func(w *Wave) { w.Ready = in.Now })
	}
	until := g.Wave.Ready.Add(in.Settings.Watch)
	if in.Now.Before(until) || slices.ContainsFunc(judged, func(lb Seen) bool { return lb.Heard.Before(until) }) {
		return g // of who has not told the whole of it, nobody knows whether all was well
	}
	return g.advance(in)
}

// begin chooses the canaries. A group whose load balancers don't count has nothing to be careful about; one of which
// none is well waits.
func (g Group) begin(in Input) Group {
	chosen := map[string]Seen{}
	active := false
	for _, lb := range in.sorted() {
		active = active || lb.Active
		if _, ok := chosen[lb.Version]; lb.Active && lb.Well && !ok {
			chosen[lb.Version] = lb
		}
	}
	if !active {
		return g.Finish(in.Now, in.Newest, "", "no load balancer is active")
	}
	if len(chosen) == 0 {
		return g
	}
	w := Wave{Target: in.Newest, State: Going, Step: Canaries, Began: in.Now, Since: in.Now}
	for _, lb := range in.sorted() {
		if c := chosen[lb.Version]; c.Name == lb.Name {
			w.Canaries = append(w.Canaries, lb.Name)
			if w.Zone == "" {
				w.Zone = lb.Zone
			}
		}
	}
	w.Judged = slices.Clone(w.Canaries)
	g.Wave = &w
	return g
}

// advance goes to the next step that reaches somebody, or ends.
func (g Group) advance(in Input) Group {
	for _, step := range []Step{InZone, Rest} {
		if g.Wave.Step == Rest || g.Wave.Step == step {
			continue
		}
		next := g.with(func(w *Wave) {
			w.Step, w.Since, w.Ready, w.Judged = step, in.Now, time.Time{}, slices.Clone(w.Judged)
		})
		fresh := false
		for _, lb := range in.sorted() {
			if g.Wave.Reached(lb.Name, lb.Zone) || !next.Wave.Reached(lb.Name, lb.Zone) {
				continue
			}
			fresh = true
			if lb.Active && lb.Well {
				next.Wave.Judged = append(next.Wave.Judged, lb.Name)
			}
		}
		if fresh {
			return next
		}
		g = next
	}
	return g.end(Outcome{Done: true, At: in.Now})
}

// judged gives those of the wave that are judged and still count.
func (in *Input) judged(w *Wave) []Seen {
	var list []Seen
	for _, lb := range in.sorted() {
		if lb.Active && slices.Contains(w.Judged, lb.Name) {
			list = append(list, lb)
		}
	}
	return list
}

func (in *Input) against(judged []Seen) string {
	for _, lb := range judged {
		if lb.Trouble != "" {
			return lb.Trouble
		}
	}
	return in.Rise
}

func lacking(judged []Seen) []string {
	var list []string
	for _, lb := range judged {
		if !lb.Has {
			list = append(list, lb.Name)
		}
	}
	return list
}

func (in *Input) sorted() []Seen {
	list := slices.Clone(in.LoadBalancers)
	slices.SortFunc(list, func(a, b Seen) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// names lists a few names, and counts the others.
func names(list []string) string {
	const few = 3
	if len(list) <= few {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:few], ", "), len(list)-few)
}
