package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/wave"
)

// sharedWaves is the value of the platform that says how far changes have come that go in waves.
const sharedWaves = "waves"

// waveRecord is what all servers of a store know of waves: which configuration a group's load balancers are to have
// follows from it and the changes alone.
type waveRecord struct {
	Groups map[string]wave.Group `json:"groups"`
	// Changes are those that some group does not have everywhere, as far as they were written up to Seen: a server that
	// starts reads these, and what came after Seen.
	Changes []int64 `json:"changes,omitempty"`
	Seen    int64   `json:"seen"`
}

func decodeWaves(value secrets.Secret) (waveRecord, error) {
	var r waveRecord
	if err := json.Unmarshal(value.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read how far waves have come: %w", err)
	}
	return r, nil
}

// readWaves reads the record and the changes that it is about, once, before agents are let in.
func (f *fleet) readWaves(ctx context.Context, view *weir.Set) error {
	value, _, err := f.store.Platform(ctx, sharedWaves)
	if weir.KindOf(err) == weir.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read how far waves have come: %w", err)
	}
	w := &f.waves
	if w.record, err = decodeWaves(value); err != nil {
		return err
	}
	if w.names = sortedNames(w.record.Groups); len(w.wants(view)) == 0 {
		return nil
	}
	for _, revision := range w.record.Changes {
		if revision > view.Revision {
			break
		}
		ev, err := f.store.Change(ctx, revision)
		if err != nil {
			return f.lostPast(err)
		}
		w.past.note(ev)
	}
	if w.record.Seen >= view.Revision {
		return nil
	}
	for ev, err := range f.store.Watch(ctx, w.record.Seen) {
		if err != nil {
			return f.lostPast(err)
		}
		w.past.note(ev)
		if ev.Revision >= view.Revision {
			break
		}
	}
	return nil
}

// lostPast goes on without the earlier forms of objects when the changes that tell them are no longer kept: everybody
// is to have what is newest then, which is said.
func (f *fleet) lostPast(err error) error {
	if weir.KindOf(err) != weir.Gone {
		return fmt.Errorf("read the changes that wait for waves: %w", err)
	}
	f.log.Error("changes that wait for waves are no longer kept; what they changed is brought to everybody", "error", err)
	return nil
}

// followWaves hands each record to the goroutine that compiles, until ctx ends.
func (f *fleet) followWaves(ctx context.Context) {
	f.store.FollowPlatform(ctx, sharedWaves, func(value secrets.Secret, _ int64) {
		record, err := decodeWaves(value)
		if err != nil {
			f.log.Error("follow waves", "error", err)
			return
		}
		select {
		case f.records <- record:
		case <-ctx.Done():
		}
	})
}

// changeWaves writes another record in place of the newest, whoever writes at the same time.
func changeWaves(ctx context.Context, s *store.Store, edit func(*waveRecord) error) error {
	for {
		record := waveRecord{}
		value, generation, err := s.Platform(ctx, sharedWaves)
		switch {
		case weir.KindOf(err) == weir.NotFound:
		case err != nil:
			return err
		default:
			if record, err = decodeWaves(value); err != nil {
				return err
			}
		}
		if record.Groups == nil {
			record.Groups = map[string]wave.Group{}
		}
		if err := edit(&record); err != nil {
			return err
		}
		raw, err := json.Marshal(record)
		if err != nil {
			return err
		}
		if generation > 0 && bytes.Equal(raw, value.Bytes()) {
			return nil
		}
		if err := s.SetPlatform(ctx, sharedWaves, raw, generation); weir.KindOf(err) != weir.Stale {
			return err
		}
	}
}

// same says that two states of a group are one, however they came about.
func same(a, b wave.Group) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// waveTime is a time as it comes back from the record.
func waveTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
