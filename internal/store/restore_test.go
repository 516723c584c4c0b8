package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// A backup goes only into an empty store.
func TestRestoreWantsAnEmptyStore(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	raw, _ := backedUp(t, s, p)
	dir := t.TempDir()
	other, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := restoreOf(t, raw, p, Options{Dir: dir}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another server has it open") {
		t.Errorf("into an open store: %v", err)
	}
	apply(t, other, puts(zone("mine", 1))...)
	before := everything(t, other)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = restoreOf(t, raw, p, Options{Dir: dir}).Run(t.Context())
	if weir.KindOf(err) != weir.Conflict || !strings.Contains(err.Error(), "it holds revision 1;") || !strings.Contains(err.Error(), "move the folder away") {
		t.Errorf("into a full store: %v", err)
	}
	if after := everything(t, openIn(t, dir)); after != before {
		t.Errorf("changed by it:\n%s\nwas\n%s", after, before)
	}
}

// While thousands of objects change all the time, in small changes and in large ones, a backup is of one moment: each
// writer's objects are all of one of its changes, and history goes up to it without a gap.
func TestBackupIsOfOneMoment(t *testing.T) {
	t.Parallel()
	s, p := newStore(t), newPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	sizes := map[string]int{"small": 20, "middle": 100, "large": 1000, "huge": 4000}
	if os.Getenv("WEIR_SOAK") != "" {
		sizes["large"], sizes["huge"] = 5000, 5000
	}
	for name, size := range sizes {
		write := func(n int) error {
			writes := puts(secret(name, fmt.Sprintf("%s %d", name, n)))
			for i := range size {
				writes = append(writes, weir.Write{Put: zone(fmt.Sprintf("%s-%d", name, i), n)})
			}
			_, err := s.Apply(ctx, Request{Author: name, Writes: writes})
			return err
		}
		if err := write(1); err != nil {
			t.Fatal(err)
		}
		writers.Go(func() {
			for n := 2; ctx.Err() == nil; n++ {
				if err := write(n); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(size) * 100 * time.Microsecond): // what is kept is restored below
				}
			}
		})
	}
	defer writers.Wait()
	defer cancel()
	var kept [][]byte
	pending := 0
	// One backup as people make it, and others until one falls into a large change.
	raw, info := backedUp(t, s, p)
	kept = append(kept, raw)
	weirtest.Eventually(t, weirtest.Patience, func() error {
		f, err := os.CreateTemp(t.TempDir(), "backup")
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err = s.backup(t.Context(), f, p.to, "test"); err != nil {
			return err
		}
		if info.Pending == 0 {
			return errors.New("no backup fell into a large change")
		}
		pending++
		raw, err := os.ReadFile(f.Name())
		kept = append(kept, raw)
		return err
	})
	cancel()
	writers.Wait()
	for i, raw := range kept {
		info, err := VerifyBackup(bytes.NewReader(raw), p.ids, testKeyring(t))
		if err != nil {
			t.Fatal(err)
		}
		again := restored(t, raw, p)
		if again.Revision() != info.Revision {
			t.Errorf("backup %d: revision %d, said %d", i, again.Revision(), info.Revision)
		}
		whole(t, again, sizes)
	}
	if pending == 0 {
		t.Error("no backup was made while changes were pending")
	}
}

func whole(t *testing.T, s *Store, sizes map[string]int) {
	t.Helper()
	view := s.View()
	for name, size := range sizes {
		first := view.Get(weir.Ref{Kind: "Zone", Name: name + "-0"})
		for i := range size {
			o := view.Get(weir.Ref{Kind: "Zone", Name: fmt.Sprintf("%s-%d", name, i)})
			if o == nil || o.Revision != first.Revision || o.Spec.(*weir.Zone).Capacity != first.Spec.(*weir.Zone).Capacity {
				t.Fatalf("%s is torn: %+v and %+v", name, first, o)
			}
		}
		ref := weir.Ref{Kind: "Secret", Name: name}
		opened, err := s.Secret(t.Context(), ref, sealedRefOf(view.Get(ref)).Generation)
		if want := fmt.Sprintf("%s %d", name, first.Spec.(*weir.Zone).Capacity); err != nil || opened.Text() != want {
			t.Errorf("the secret of %s: %v", name, err)
		}
	}
	changes, err := s.Changes(t.Context(), Filter{Limit: 1000})
	if err != nil || len(changes) == 0 || changes[0].Revision != s.Revision() {
		t.Fatalf("history: %d changes, %v", len(changes), err)
	}
	for i, c := range changes {
		if c.Revision != s.Revision()-int64(i) {
			t.Fatalf("history has a gap at %d", c.Revision)
		}
	}
}

// Onto a cluster of three, and from one.
func TestRestoreOntoACluster(t *testing.T) {
	t.Parallel()
	s, p := withThings(t), newPair(t)
	raw, _ := backedUp(t, s, p)
	e := weirtest.StartEtcd(t, 3)
	cluster := Options{Cluster: &Cluster{Endpoints: e.Endpoints(), TLS: e.TLS()}}
	if _, err := restoreOf(t, raw, p, cluster).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	one, two := onCluster(t, e), onCluster(t, e)
	if want := everything(t, s); everything(t, one) != want || everything(t, two) != want {
		t.Error("restored otherwise")
	}
	again, _ := backedUp(t, two, p)
	if want := everything(t, s); everything(t, restored(t, again, p)) != want {
		t.Error("a backup of the restored cluster is another")
	}
	_, err := restoreOf(t, raw, p, cluster).Run(t.Context())
	if weir.KindOf(err) != weir.Conflict || !strings.Contains(err.Error(), "etcdctl del --prefix weir/v1/") {
		t.Errorf("into a full cluster: %v", err)
	}
}
