package store

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// The server is killed again and again while it seals anew and others write; each goes on where the one before was.
func TestKilledWhileSealingAnew(t *testing.T) {
	t.Parallel()
	s, err := tryOpen(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	keepThings(t, s)
	dir, before := s.opts.Dir, everything(t, s)
	first := *dataRef(t, s, "many-1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rounds, furthest := 0, 0
	for finished := false; !finished; rounds++ {
		if rounds == 60 {
			t.Fatal("it does not come to its end")
		}
		var done int
		done, finished = anewAndKill(t, dir)
		if !finished && done < furthest {
			t.Errorf("it was at %d, and is back at %d", furthest, done)
		}
		furthest = max(furthest, done)
	}
	if rounds < 3 {
		t.Errorf("the kills proved nothing: %d rounds", rounds)
	}
	s = openIn(t, dir, withRing(t, newKey))
	allUnder(t, s, ringOf(t, newKey).CurrentID())
	checkSealedAnew(t, s, before, first)
}

// anewAndKill runs a server until it has come some way, and tells how far it was.
func anewAndKill(t *testing.T, dir string) (done int, finished bool) {
	t.Helper()
	killedAfter(t, anewDir, dir, anewLines, func(line string) {
		if line == "finished" {
			finished = true
		} else if _, err := fmt.Sscan(line, &done); err != nil {
			t.Error(err)
		}
	})
	return done, finished
}

// anewLines is how many lines of the server are read before the one at which it is killed.
const anewLines = 4

// sealAnewUntilKilled prints how far it is, and "finished". However late the kill comes, no more is done than one batch
// after the line that it is for, so that every round ends in the middle.
func sealAnewUntilKilled(dir string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	ring, err := parseRing(newKey, oldKey)
	if err != nil {
		fail(err)
	}
	s, err := Open(ctx, Options{Dir: dir, Keyring: ring})
	if err != nil {
		fail(err)
	}
	go s.Announce(ctx, func() Member { return Member{SealingKeys: s.SealingKeys()} }, nil)
	for said := 0; ; {
		if said > anewLines {
			select {}
		}
		if _, err := s.SwitchSealing(ctx); err != nil {
			fail(err)
		}
		state, at, err := s.readState(ctx)
		switch {
		case err != nil:
			fail(err)
		case state.Key != ring.CurrentID(): // this server is not announced yet
		case len(state.Older) == 0:
			fmt.Println("finished")
			os.Exit(0)
		case state.Cursor == "":
			err = s.startAnew(ctx, state, at)
		default:
			fmt.Println(state.Done)
			said++
			err = s.anewBatch(ctx, state, at)
		}
		if err != nil {
			fail(err)
		}
	}
}
