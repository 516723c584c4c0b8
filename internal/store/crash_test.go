package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir"
)

// crashDir, when set, makes the test binary a server that writes in that directory until it is killed.
const crashDir = "WEIR_STORE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		writeUntilKilled(dir)
	}
	if dir := os.Getenv(anewDir); dir != "" {
		sealAnewUntilKilled(dir)
	}
	os.Exit(m.Run())
}

const (
	crashWriters = 4
	crashLarge   = 200 // objects of a large change
)

// writeUntilKilled makes changes that are each recognized as whole by their parts having one number, and prints
// "<writer> <number> <revision>" once a change is acknowledged.
func writeUntilKilled(dir string) {
	ring, err := parseTestKeyring()
	if err == nil {
		var s *Store
		if s, err = Open(context.Background(), Options{Dir: dir, Keyring: ring}); err == nil {
			for w := range crashWriters {
				go crashWriter(s, fmt.Sprintf("w%d", w), 3)
			}
			crashWriter(s, "large", crashLarge)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func crashWriter(s *Store, name string, parts int) {
	next := 1
	if o := s.View().Get(weir.Ref{Kind: "Zone", Name: name + "-0"}); o != nil {
		next = o.Spec.(*weir.Zone).Capacity + 1
	}
	for ; ; next++ {
		writes := []weir.Write{{Put: secret(name, fmt.Sprint("secret ", next))}}
		for i := range parts {
			writes = append(writes, weir.Write{Put: zone(fmt.Sprintf("%s-%d", name, i), next)})
		}
		r, err := s.Apply(context.Background(), Request{Author: name, Writes: writes})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%s %d %d\n", name, next, r.Revision)
	}
}

// The server is killed again and again while it writes, small changes and large: what it had acknowledged is
// there each time, no change is there in part, and history, objects and secrets agree.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	rounds := 5
	if os.Getenv("WEIR_SOAK") != "" {
		rounds = 100
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	acknowledged := map[string]int{}
	last := int64(0)
	for round := range rounds {
		last = max(last, runAndKill(t, dir, 20+rnd.IntN(60), acknowledged))
		s, err := tryOpen(t, dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		checkSurvivor(t, s, last, acknowledged)
		if compareTail(t, s); round == rounds-1 {
			compareWithDisk(t, s)
		}
		if err := s.maintain(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
		if taken, chunks := countKeys(t, s, prefixTaken), countKeys(t, s, prefixBody); taken != chunks {
			t.Errorf("round %d: %d large changes have %d bodies: orphans were left", round, taken, chunks)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acknowledged["large"] == 0 || acknowledged["w0"] == 0 {
		t.Errorf("the walk proved nothing: %v", acknowledged)
	}
}

// runAndKill runs a server until it has acknowledged some changes, and gives the last revision it did.
func runAndKill(t *testing.T, dir string, lines int, acknowledged map[string]int) (last int64) {
	t.Helper()
	killedAfter(t, crashDir, dir, lines, func(line string) {
		var writer string
		var number int
		var revision int64
		if k, _ := fmt.Sscan(line, &writer, &number, &revision); k == 3 {
			acknowledged[writer] = number
			last = max(last, revision)
		}
	})
	return last
}

// killedAfter runs the test binary as a server in a directory, as the variable says that names this, and kills it when it
// has said so many lines and one more; all that it says is heard.
func killedAfter(t *testing.T, variable, dir string, lines int, hear func(line string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	for n := 0; scan.Scan(); n++ {
		if n == lines {
			_ = cmd.Process.Kill() // SIGKILL; what it had said before is still read
		}
		hear(scan.Text())
	}
	_ = cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("the server says: %s", stderr.String())
	}
}

func checkSurvivor(t *testing.T, s *Store, last int64, acknowledged map[string]int) {
	t.Helper()
	if s.Revision() < last {
		t.Errorf("the store is at revision %d, acknowledged was %d", s.Revision(), last)
	}
	view := s.View()
	for writer, number := range acknowledged {
		parts := 3
		if writer == "large" {
			parts = crashLarge
		}
		first := 0
		for i := range parts {
			o := view.Get(weir.Ref{Kind: "Zone", Name: fmt.Sprintf("%s-%d", writer, i)})
			if o == nil {
				t.Errorf("part %d of %s is missing", i, writer)
				return
			}
			got := o.Spec.(*weir.Zone).Capacity
			if i == 0 {
				first = got
			}
			if got != first {
				t.Errorf("%s is torn: part 0 has %d, part %d has %d", writer, first, i, got)
				return
			}
		}
		// One more may have been written when the server was killed before it could say so.
		if first < number || first > number+1 {
			t.Errorf("%s is at %d, acknowledged was %d", writer, first, number)
		}
		opens(t, s, writer, dataRef(t, s, writer).Generation, fmt.Sprint("secret ", first))
	}
}
