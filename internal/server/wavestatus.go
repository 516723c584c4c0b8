package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/compile"
	"weir/internal/wave"
)

// waveStatus says how far waves have come in a group, nil when it wants none.
func (f *fleet) waveStatus(name string, g *groupState) *api.WaveStatus {
	s := g.waved
	if s == nil {
		return nil
	}
	out := &api.WaveStatus{State: api.WavesIdle, Base: s.group.Base, Changes: s.carried, Queued: s.queued}
	if last := s.group.Last; last != nil {
		out.Last = &api.WaveOutcome{Target: last.Target, Done: last.Done, At: last.At, Why: last.Why, By: last.By}
	}
	w := s.group.Wave
	if w != nil {
		out.State, out.Target, out.Step, out.Canaries, out.Zone = string(w.State), w.Target, string(w.Step), w.Canaries, w.Zone
		out.Since, out.Why, out.By = w.Since, w.Why, w.By
		if w.State == wave.Going && !w.Ready.IsZero() {
			out.Until = w.Ready.Add(s.settings.Watch.D())
		}
	} else if s.pending() {
		out.State = api.WavesWaiting
	}
	for _, self := range g.selves {
		if self.State != weir.Active {
			continue
		}
		out.Of++
		if !w.Reached(self.Name, self.Zone) {
			continue
		}
		out.Reached++
		rep, heard := f.hub.Reports().Get(self.Name)
		if wanted, _ := f.hub.Wanted(self.Name); heard && f.has(rep, wanted) {
			out.Has++
		}
	}
	out.Message = waveText(name, out, s.settings)
	return out
}

// waveText says in a sentence where the changes of a group are.
func waveText(group string, w *api.WaveStatus, settings weir.Waves) string {
	var text string
	what := changes(w.Changes)
	watched := fmt.Sprintf("each watched for %s", settings.Watch)
	switch w.State {
	case api.WavesIdle:
		return "nothing is on its way"
	case api.WavesWaiting:
		return changes(w.Queued) + ": begins once a load balancer is active, connected and well"
	case string(wave.Stopped):
		text = fmt.Sprintf("%s: stopped by %s with %d of %d load balancers%s; weir waves go %s, or weir waves back %s", what, w.By, w.Reached, w.Of, because(w.Why), group, group)
	case string(wave.Halted):
		by := "went back by itself"
		if w.By != "" {
			by = "sent back by " + w.By
		}
		text = fmt.Sprintf("%s: %s%s; %s, or weir waves go %s to try again", what, by, because(w.Why), undoing(w.Changes), group)
	default:
		steps := map[string]string{
			string(wave.Canaries): strings.Join(w.Canaries, ", ") + " first, then zone " + w.Zone + ", then the rest; " + watched,
			string(wave.InZone):   "zone " + w.Zone + " now, then the rest; " + watched,
			string(wave.Rest):     "the rest now; " + watched,
		}
		text = fmt.Sprintf("%s: on %d of %d; %s", what, w.Has, w.Of, steps[w.Step])
	}
	if len(w.Queued) > 0 {
		text += "; next: " + changes(w.Queued)
	}
	return text
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// changes names a few changes by their revisions.
func changes(list []int64) string {
	const few = 5
	if len(list) == 1 {
		return "change " + itoa(list[0])
	}
	var names []string
	for _, r := range list[:min(few, len(list))] {
		names = append(names, itoa(r))
	}
	text := "changes " + strings.Join(names, ", ")
	if n := len(list) - few; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// undoing says how to take the changes of a wave back.
func undoing(list []int64) string {
	if len(list) == 1 {
		return "weir undo " + itoa(list[0])
	}
	return "weir undo the change that did it"
}

// whyWaits says why a load balancer does not have an object of a revision yet.
func (f *fleet) whyWaits(name string, revision int64) string {
	status := f.waveStatus(name, f.groups[name])
	if slices.ContainsFunc(status.Queued, func(r int64) bool { return r == revision }) {
		return fmt.Sprintf("change %d waits for the next wave of group %s; now %s", revision, name, status.Message)
	}
	return "group " + name + " goes in waves; " + status.Message
}

// inWaves puts into progress that a revision is on its way in waves, or waits for that. One that is everywhere at once
// waits for nothing, whatever else does.
func inWaves(p *api.GroupProgress, g *api.GroupStatus, revision int64) {
	w := g.Waves
	if w == nil {
		return
	}
	queued := slices.Contains(w.Queued, revision)
	if !queued && !slices.Contains(w.Changes, revision) {
		return
	}
	p.InWaves, p.Message, p.Ready, p.Laggards, p.Halted = true, w.Message, 0, nil, halted(w)
	if !queued {
		p.Ready = w.Has
	}
	if p.Ready == p.Of {
		p.Ready = max(0, p.Of-1) // all have it, and the last are still watched
	}
}

// halted says that nothing goes on without somebody's doing.
func halted(w *api.WaveStatus) bool {
	return w != nil && (w.State == string(wave.Halted) || w.State == string(wave.Stopped))
}

// planWaves says for each group that a change would go through in waves in which order.
func (f *fleet) planWaves(before, after *weir.Set, written []weir.Ref) []string {
	var waiting []weir.Ref
	for _, r := range written {
		if weir.WaitForWaves(r.Kind) {
			waiting = append(waiting, r)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	var out []string
	for _, name := range compile.Groups(before, after, waiting) {
		spec := weir.Find[weir.LoadBalancerGroup](after, "LoadBalancerGroup", name)
		f.mu.RLock()
		g := f.groups[name]
		f.mu.RUnlock()
		if spec == nil || spec.Waves == nil || g == nil || !needsWave(before, after, name) {
			continue
		}
		out = append(out, f.planWave(name, g, *spec.Waves))
	}
	return out
}

// needsWave says whether a group's configuration differs beyond what is everywhere at once.
func needsWave(before, after *weir.Set, name string) bool {
	old, _ := compile.Group(before, name)
	next, _ := compile.Group(after, name)
	put, gone := compile.Delta(old, next)
	return len(put)+len(gone) > 0
}

func (f *fleet) planWave(name string, g *groupState, settings weir.Waves) string {
	seen := f.seen(g, waveTime(f.clock()))
	begun := wave.Group{}.Next(wave.Input{Now: f.clock(), Newest: 1, Pending: true, LoadBalancers: seen})
	if begun.Wave == nil && begun.Base == 0 {
		return fmt.Sprintf("group %s goes in waves, and none of its load balancers is active, connected and well: the change waits for one", name)
	}
	if begun.Wave == nil {
		return fmt.Sprintf("group %s wants waves, but none of its load balancers is active: it goes everywhere at once", name)
	}
	first := begun.Wave.Canaries
	inZone, rest := 0, 0
	for _, lb := range seen {
		switch {
		case slices.Contains(first, lb.Name):
		case lb.Zone == begun.Wave.Zone:
			inZone++
		default:
			rest++
		}
	}
	text := fmt.Sprintf("group %s goes in waves: %s first", name, strings.Join(first, ", "))
	if inZone > 0 {
		text += fmt.Sprintf(", then zone %s (%d more)", begun.Wave.Zone, inZone)
	}
	if rest > 0 {
		text += fmt.Sprintf(", then the rest (%d)", rest)
	}
	text += fmt.Sprintf("; each is watched for %s", settings.Watch)
	if g.waved != nil && g.waved.pending() {
		text += "; it waits for what is on its way now"
	}
	return text
}

// seen says how the load balancers of a group are now.
func (f *fleet) seen(g *groupState, now time.Time) []wave.Seen {
	list := make([]wave.Seen, 0, len(g.selves))
	for _, self := range g.selves {
		one := wave.Seen{Name: self.Name, Zone: self.Zone, Active: self.State == weir.Active}
		if rep, heard := f.hub.Reports().Get(self.Name); heard {
			one.Version, one.Heard = rep.HAProxy, rep.LookedAt
			one.Has = f.carries(self.Name, rep)
			one.Well = one.Has && now.Sub(rep.At) < heardWithin
		}
		list = append(list, one)
	}
	return list
}
