package server

import (
	"context"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/wave"
)

// shownWithin is how long an answer waits until this server itself follows what it has just written.
const shownWithin = 5 * time.Second

// SteerWaves implements api.WaveSource.
func (f *fleet) SteerWaves(ctx context.Context, group string, action api.WaveAction, by, reason string) error {
	var before wave.Group
	err := changeWaves(ctx, f.store, func(r *waveRecord) error {
		g, ok := r.Groups[group]
		if !ok {
			return weir.Errorf(weir.Conflict, "group %s has just begun to want waves: nothing is on its way", group)
		}
		next, err := f.steer(g, group, action, by, reason)
		before, r.Groups[group] = g, next
		return err
	})
	if err != nil {
		return err
	}
	f.log.Info("wave: somebody steers", "group", group, "action", action, "by", by, "reason", reason)
	f.awaitWave(ctx, group, before)
	return nil
}

func (f *fleet) steer(g wave.Group, group string, action api.WaveAction, by, reason string) (wave.Group, error) {
	now := waveTime(f.clock())
	state := wave.State("")
	if g.Wave != nil {
		state = g.Wave.State
	}
	switch {
	case action == api.WaveFinish && (state != "" || f.waits(group)):
		return g.Finish(now, f.store.Revision(), by, reason), nil
	case action == api.WaveStop && state == wave.Going:
		return g.Stop(now, by, reason), nil
	case action == api.WaveBack && (state == wave.Going || state == wave.Stopped):
		return g.Back(now, by, reason), nil
	case action == api.WaveGo && (state == wave.Stopped || state == wave.Halted):
		return g.Go(now), nil
	case state == "":
		return g, weir.Errorf(weir.Conflict, "nothing is on its way in group %s", group)
	}
	return g, weir.Errorf(weir.Conflict, "the wave of group %s is %s already", group, state)
}

// waits says that something waits in a group for a wave.
func (f *fleet) waits(group string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	g := f.groups[group]
	return g != nil && g.waved != nil && g.waved.pending()
}

// awaitWave waits until this server no longer shows a group as it was before.
func (f *fleet) awaitWave(ctx context.Context, group string, before wave.Group) {
	patience := time.NewTimer(shownWithin)
	defer patience.Stop()
	for {
		f.mu.RLock()
		g, compiled := f.groups[group], f.compiled
		f.mu.RUnlock()
		if g == nil || g.waved == nil || !same(g.waved.group, before) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-patience.C:
			return
		case <-compiled:
		}
	}
}
