package server

import (
	"log/slog"
	"testing"
	"time"

	"weir"
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
