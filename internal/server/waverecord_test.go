package server

import (
	"log/slog"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/wave"
)

// testDriver gives a driver of one group that has nothing on its way, and a store for its record.
func testDriver(t *testing.T) *waveDriver {
	t.Helper()
	ring, err := secrets.OpenOrCreateKeyring(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Check: weir.Check, Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	_, other := newTestFleet(t)
	f := newFleet(s, other.hub, Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now})
	f.wanting = map[string]weir.Waves{"edge": {}}
	return &waveDriver{fleet: f, watching: map[string]*watching{}}
}

// at lets the driver look once, and gives the record.
func (d *waveDriver) at(t *testing.T, revision int64, group wave.Group) waveRecord {
	t.Helper()
	d.revision, d.groups["edge"], d.recorded = revision, &groupState{waved: &wavedState{group: group}}, []string{"edge"}
	if _, err := d.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	value, _, err := d.store.Platform(t.Context(), sharedWaves)
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeWaves(value)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAServerThatStartsReadsFewChanges: however many changes come that wait for nothing, the record keeps up with
// them, for a server that starts reads all that came after it, before agents are let in.
func TestAServerThatStartsReadsFewChanges(t *testing.T) {
	t.Parallel()
	d := testDriver(t)
	d.groups["edge"] = &groupState{}
	if _, err := d.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	for revision := int64(10); revision < 1_000_000; revision = revision*3/2 + 300 {
		if r := d.at(t, revision, wave.Group{}); revision-r.Seen > leastSeen {
			t.Fatalf("at revision %d the record knows of %d", revision, r.Seen)
		}
	}
}

// TestARecordStaysSmall: whatever waits while a group is halted, the record is a value that etcd takes; what is not
// named in it comes after what it has seen.
func TestARecordStaysSmall(t *testing.T) {
	t.Parallel()
	d := testDriver(t)
	for i := range int64(300_000) {
		d.past = append(d.past, pastChange{revision: 1_000_000 + 2*i})
	}
	newest := d.past[len(d.past)-1].revision
	r := waveRecord{Groups: map[string]wave.Group{"edge": {Base: 1_000_000 + 7}}}
	r.remember(d.past, newest)
	if len(r.Changes) > mostNamed || r.Changes[0] != 1_000_008 || r.Seen != r.Changes[len(r.Changes)-1] {
		t.Errorf("%d changes from %d, seen %d", len(r.Changes), r.Changes[0], r.Seen)
	}
	d.groups["edge"] = &groupState{}
	if r := d.at(t, newest, r.Groups["edge"]); len(r.Changes) > mostNamed {
		t.Errorf("%d changes are named", len(r.Changes))
	}
}

// TestADriverThatWasAwayJudgesNobody: a clock that is set, or a machine that stood still, makes all agents look silent.
// They get their time to say something before that halts a wave, and then it does.
func TestADriverThatWasAwayJudgesNobody(t *testing.T) {
	t.Parallel()
	for name, gap := range map[string]time.Duration{"set forward": time.Hour, "set back": -time.Hour} {
		d := testDriver(t)
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		d.clock = func() time.Time { return now }
		group := wave.Group{Base: 10, Wave: &wave.Wave{Target: 12, State: wave.Going, Step: wave.Canaries, Canaries: []string{"a"}, Zone: "az1", Judged: []string{"a"}, Began: now, Since: now}}
		look := func(after time.Duration) wave.Group {
			t.Helper()
			now = now.Add(after)
			d.revision, d.recorded = 12, []string{"edge"}
			d.groups["edge"] = &groupState{selves: []ir.Self{{Name: "a", Zone: "az1", State: weir.Active}}, waved: &wavedState{
				settings: weir.Waves{Watch: weir.Duration(time.Second), Patience: weir.Duration(24 * time.Hour), MaxErrorRise: new(1)}, group: group, base: &groupState{},
			}}
			if _, err := d.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			value, _, err := d.store.Platform(t.Context(), sharedWaves)
			if err != nil {
				t.Fatal(err)
			}
			r, err := decodeWaves(value)
			if err != nil {
				t.Fatal(err)
			}
			group = r.Groups["edge"]
			return group
		}
		if err := changeWaves(t.Context(), d.store, func(r *waveRecord) error { r.Groups["edge"] = group; return nil }); err != nil {
			t.Fatal(err)
		}
		look(0) // takes over, and watches anew
		if g := look(time.Second); g.Wave.State != wave.Going {
			t.Errorf("%s: who has still to find a server that has just begun: %+v", name, g.Wave)
		}
		if g := look(gap); g.Wave.State != wave.Going {
			t.Errorf("%s: at once %+v", name, g.Wave)
		}
		for range int(heardWithin / time.Second) {
			look(time.Second)
		}
		if g := look(time.Second); g.Wave.Since.After(now) {
			t.Errorf("%s: the step begins at %s, which is yet to come", name, g.Wave.Since)
		}
		if g := look(time.Second); g.Wave.State != wave.Halted {
			t.Errorf("%s: who says nothing all the time is not missed: %+v", name, g.Wave)
		}
	}
}
