package server

import (
	"context"
	"maps"
	"slices"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/wave"
)

// leadWaves is the driving of waves, which one server does.
const leadWaves = "waves"

// mostGap is how long a driver that is at work may take from one look to the next, and still knows what was meanwhile.
const mostGap = 5 * time.Second

// waveEvery is how often a group is looked at that has a wave on its way.
const waveEvery = 500 * time.Millisecond

// leastPast is how many changes are remembered before groups that have nothing on its way are noted to have them, and
// leastSeen how many of any sort come before that is noted: who starts reads them all.
const (
	leastPast = 256
	leastSeen = 1000
)

// waveDriver decides for all groups what their waves do next. It sees, asks package wave, and writes the record;
// who follows that moves load balancers.
type waveDriver struct {
	*fleet
	watching map[string]*watching
	noted    int   // how many changes were remembered when the record was written last
	written  int64 // the revision at that time
	// active is what the last round said, looked when it was, and deaf until when agents may be silent through no fault of
	// theirs. Who was never heard here is not missed before patient: a server that has begun just now is still looked for.
	active                bool
	looked, deaf, patient time.Time
}

// watching is what was seen of a group when a step of its wave began. It is of this driver alone: another one that
// goes on watches the step anew.
type watching struct {
	began, since time.Time
	before       map[string]wave.Signs
	atWave       map[string]*requests // when the wave began
	atStep, now  map[string]*requests
	counted      time.Time
}

// driveWaves runs until ctx ends, or the store does not answer.
func (f *fleet) driveWaves(ctx context.Context) error {
	d := &waveDriver{fleet: f, watching: map[string]*watching{}}
	for {
		f.mu.RLock()
		compiled := f.compiled
		f.mu.RUnlock()
		active, err := d.round(ctx)
		if err != nil {
			return err
		}
		var tick <-chan time.Time
		if active {
			tick = time.After(waveEvery)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-compiled:
		case <-tick:
		}
	}
}

// waveEdit is a decision about one group.
type waveEdit struct {
	was, next wave.Group
	known     bool
}

// round looks at every group that wants waves once. It is active while something can come by itself, without a change.
func (d *waveDriver) round(ctx context.Context) (active bool, err error) {
	defer func() { d.active = active }()
	now := waveTime(d.clock())
	away := d.away(now)
	if d.hub.Held() {
		return true, nil // until somebody accepts the restore, which is no change
	}
	d.mu.RLock()
	wanting, revision, changes, recorded := d.wanting, d.revision, d.past, d.recorded
	groups := make(map[string]*groupState, len(wanting)) // few of many
	for name := range wanting {
		if g := d.groups[name]; g != nil {
			groups[name] = g
		}
	}
	d.mu.RUnlock()
	edits := map[string]waveEdit{}
	for _, name := range sortedNames(groups) {
		g := groups[name]
		if g.waved == nil {
			edits[name] = waveEdit{next: wave.Group{Base: revision}}
			continue
		}
		was := g.waved.group
		active = active || g.waved.pending() || was.Wave != nil
		if away {
			continue
		}
		if next := d.decide(name, g, revision, now); !same(was, next) {
			edits[name] = waveEdit{was, next, true}
			d.tell(name, was, next)
		}
	}
	maps.DeleteFunc(d.watching, func(name string, _ *watching) bool {
		g := groups[name]
		return g == nil || g.waved == nil || g.waved.group.Wave == nil && edits[name].next.Wave == nil
	})
	left := slices.ContainsFunc(recorded, func(name string) bool { return groups[name] == nil })
	if len(edits) == 0 && !left && len(changes) < d.noted+leastPast && revision < d.written+leastSeen {
		return active, nil
	}
	d.noted, d.written = len(changes), revision
	err = changeWaves(ctx, d.store, func(r *waveRecord) error {
		if revision < r.Seen {
			return nil // who wrote it had seen more than this server, which looks again when it has, too
		}
		for name, e := range edits {
			if had, ok := r.Groups[name]; ok == e.known && (!ok || same(had, e.was)) {
				r.Groups[name] = e.next
			}
		}
		for name, g := range r.Groups {
			switch s := groups[name]; {
			case s == nil:
				delete(r.Groups, name)
			case s.waved != nil && !s.waved.pending() && g.Wave == nil && same(g, s.waved.group):
				g.Base = max(g.Base, revision)
				r.Groups[name] = g
			}
		}
		r.remember(changes, revision)
		return nil
	})
	return active, err
}

// away says that the clock was set, or that everything stood still for a while, as machines that are moved do: then all
// agents look silent. They get time to say something, and every step is watched anew.
func (d *waveDriver) away(now time.Time) bool {
	if d.looked.IsZero() {
		d.patient = now.Add(heardWithin)
	}
	if gap := now.Sub(d.looked); d.active && (gap < -waveEvery || gap > mostGap) {
		d.log.Warn("wave: the clock was set, or this server stood still; steps are watched anew", "for", gap)
		d.deaf, d.patient = now.Add(heardWithin), now.Add(heardWithin)
		clear(d.watching)
	}
	d.looked = now
	return now.Before(d.deaf)
}

// mostNamed is how many changes a record names; it is one value of the store, which takes no large ones.
const mostNamed = 10_000

// remember notes the changes that some group does not have everywhere, of those up to a revision. Where these are too
// many it has seen no more than it names.
func (r *waveRecord) remember(changes past, revision int64) {
	oldest := revision
	for _, g := range r.Groups {
		oldest = min(oldest, g.Base)
	}
	var list []int64
	for _, c := range changes.after(oldest) {
		list = append(list, c.revision)
	}
	if len(list) > mostNamed {
		list = list[:mostNamed]
		revision = list[mostNamed-1]
	}
	r.Changes, r.Seen = list, revision
}

// decide says what is to become of a group's wave now.
func (d *waveDriver) decide(name string, g *groupState, revision int64, now time.Time) wave.Group {
	s := g.waved
	in := wave.Input{
		Now: now, Settings: wave.Settings{Watch: s.settings.Watch.D(), Patience: s.settings.Patience.D()},
		Newest: revision, Pending: s.pending(), Undone: s.undone, LoadBalancers: d.seen(g, now),
	}
	w := s.group.Wave
	going := w != nil && w.State == wave.Going
	if going {
		watch := d.watching[name]
		if watch == nil || !watch.began.Equal(w.Began) {
			again := s.group.Again(now)
			d.begin(name, g, again.Wave, now)
			return again
		}
		if !watch.since.Equal(w.Since) { // somebody let it go on
			d.step(watch, g, w, now)
		}
		d.judge(watch, g, w, &in)
	}
	next := s.group.Next(in)
	switch n := next.Wave; {
	case n == nil || n.State != wave.Going:
	case w == nil || !n.Began.Equal(w.Began):
		d.begin(name, g, n, now)
	case n.Step != w.Step:
		d.step(d.watching[name], g, n, now)
	}
	return next
}

// begin notes how everything is when a wave begins, or when this driver takes it over.
func (d *waveDriver) begin(name string, g *groupState, w *wave.Wave, now time.Time) {
	watch := &watching{began: w.Began, before: map[string]wave.Signs{}}
	d.watching[name] = watch
	d.step(watch, g, w, now)
	watch.atWave = maps.Clone(watch.atStep)
	for _, lb := range w.Judged {
		delete(watch.atWave, lb) // all that they have counted so far is from before
	}
}

// step notes how those are that a step reaches, and what is counted.
func (d *waveDriver) step(watch *watching, g *groupState, w *wave.Wave, now time.Time) {
	watch.since = w.Since
	judged, others := sample(w.Judged), unreached(g, w)
	for _, self := range g.selves {
		if _, known := watch.before[self.Name]; !known && slices.Contains(w.Judged, self.Name) && !d.awaited(self.Name, now) {
			watch.before[self.Name] = d.signs(self, g.of(self), now, slices.Contains(judged, self.Name))
		}
	}
	d.count(watch, slices.Concat(judged, others), now)
	watch.atStep = maps.Clone(watch.now)
}

// awaited says that a load balancer has still to find this server, which has not been there for long.
func (d *waveDriver) awaited(name string, now time.Time) bool {
	_, heard := d.hub.Reports().Get(name)
	return !heard && now.Before(d.patient)
}

// unreached gives some of those that a wave has not reached, to be held against those that it has.
func unreached(g *groupState, w *wave.Wave) []string {
	var list []string
	for _, self := range g.selves {
		if self.State == weir.Active && !w.Reached(self.Name, self.Zone) {
			list = append(list, self.Name)
		}
	}
	return sample(list)
}

func (d *waveDriver) count(watch *watching, names []string, now time.Time) {
	fresh := make(map[string]*requests, len(names))
	for _, name := range names {
		fresh[name] = d.requestsOf(name, watch.now[name])
	}
	watch.now, watch.counted = fresh, now
}

// judge adds to what is seen what speaks against the wave.
func (d *waveDriver) judge(watch *watching, g *groupState, w *wave.Wave, in *wave.Input) {
	judged, names := sample(w.Judged), unreached(g, w)
	selves := map[string]ir.Self{}
	for _, self := range g.selves {
		selves[self.Name] = self
	}
	var others []wave.Signs
	for _, name := range names {
		others = append(others, d.signs(selves[name], g.of(selves[name]), in.Now, true))
	}
	for i := range in.LoadBalancers {
		lb := &in.LoadBalancers[i]
		before, known := watch.before[lb.Name]
		if !lb.Active || !slices.Contains(w.Judged, lb.Name) || d.awaited(lb.Name, in.Now) {
			continue
		}
		self := selves[lb.Name]
		if !known { // heard just now, by a server that went on with the wave
			watch.before[lb.Name] = d.signs(self, g.of(self), in.Now, slices.Contains(judged, lb.Name))
			continue
		}
		lb.Trouble = wave.Trouble(lb.Name, before, d.signs(self, g.of(self), in.Now, slices.Contains(judged, lb.Name)), others)
	}
	if in.Now.Sub(watch.counted) >= 2*waveEvery {
		d.count(watch, slices.Concat(judged, names), in.Now)
	}
	earlier := map[string]*requests{}
	for _, name := range judged {
		if earlier[name] = watch.atWave[name]; earlier[name] == nil {
			earlier[name] = &requests{}
		}
	}
	in.Rise = wave.Rise(*g.waved.settings.MaxErrorRise, since(judged, watch.now, watch.atStep), since(names, watch.now, watch.atStep), since(judged, watch.atStep, earlier))
}

// tell logs what was decided.
func (d *waveDriver) tell(name string, was, next wave.Group) {
	log := d.log.With("group", name, "base", next.Base)
	switch w := next.Wave; {
	case w == nil && next.Last != nil && next.Last.Done:
		log.Info("wave: all load balancers have it", "revision", next.Last.Target)
	case w == nil:
		log.Info("wave: given up", "revision", was.Wave.Target, "why", next.Last.Why)
	case w.State == wave.Halted:
		log.Warn("wave: halted, and going back", "revision", w.Target, "step", w.Step, "why", w.Why)
	case was.Wave == nil || was.Wave.Step != w.Step:
		log.Info("wave: reaches more load balancers", "revision", w.Target, "step", w.Step, "canaries", w.Canaries, "zone", w.Zone)
	}
}
