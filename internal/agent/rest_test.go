package agent

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// atRest notes that the files rest, as the health watch does, and ends agent and HAProxy.
func (b *bed) atRest() {
	b.t.Helper()
	client := b.process.Client()
	if err := client.DumpServersState(b.t.Context(), b.folder.path(haproxy.StateFile)); err != nil {
		b.t.Fatal(err)
	}
	if _, ok := b.rest.due(time.Now()); ok {
		b.t.Error("files that have just changed are said to rest")
	}
	want, ok := b.rest.due(time.Now().Add(restAfter))
	if !ok {
		b.t.Fatal("the files never rest")
	}
	if err := b.rest.note(b.folder.dir, want); err != nil {
		b.t.Fatal(err)
	}
	if _, again := b.rest.due(time.Now().Add(2 * restAfter)); again {
		b.t.Error("files that rest are noted again")
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), longWait)
	defer cancel()
	if err := b.process.Stop(ctx); err != nil {
		b.t.Fatal(err)
	}
	b.process = nil
}

// risen gives another agent in the same folder, and what it has started before it knew anything.
func (b *bed) risen(h weirtest.HAProxy) (*bed, early) {
	b.t.Helper()
	next := *b
	next.engine = openEngine(b.t, h, b.env.Version, filepath.Dir(b.folder.dir))
	first := readRested(next.options.Dir).start(b.t.Context(), next.options)
	if first.err != nil {
		b.t.Fatal(first.err)
	}
	given := make(chan early, 1)
	given <- first
	next.early = given
	b.t.Cleanup(func() {
		if first.process != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = first.process.Stop(ctx)
		}
	})
	return &next, first
}

func TestHAProxyStartsFromFilesAtRest(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("one", 40)
		b.converge()
		b.serves("one")
		b.atRest()
		next, first := b.risen(h)
		if first.process == nil {
			t.Fatal("nothing was started")
		}
		next.serves("one") // before anybody has said what is wanted
		if err := next.resume(t.Context(), next.node.Resources()); err != nil {
			t.Fatal(err)
		}
		if out := next.converge(); !out.idle() || next.reloads.Count != 0 || next.reloads.Starts != 1 {
			t.Errorf("something was left to do: %+v, %+v", out, next.reloads)
		}
		next.settled()
	})
}

// An agent that is killed between what is wanted and the files starts the old ones, and ends where it would have.
func TestWhatIsNewerThanTheFilesAtRestIsMadeUpFor(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("one", 40, 41)
		b.site("two", 42)
		b.converge()
		b.serves("one")
		b.atRest()
		b.node.Pools[0].Servers[0].Weight = 7
		b.node.Pools[0].Servers[1].Maintenance = true
		b.node.Pools, b.node.Sites = b.node.Pools[:1], b.node.Sites[:1]
		b.site("three", 43)
		next, first := b.risen(h)
		if first.process == nil {
			t.Fatal("nothing was started")
		}
		if err := next.resume(t.Context(), next.node.Resources()); err != nil {
			t.Fatal(err)
		}
		next.converge()
		next.serves("one")
		next.serves("three")
		next.settled()
		if status, err := next.get("two.example", "/"); err != nil || status != 404 {
			t.Errorf("a site that is gone answers %d, %v", status, err)
		}
	})
}

func TestOtherFilesThanThoseAtRestAreNotStarted(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	b := newBed(t, h)
	b.site("one", 40)
	b.converge()
	b.serves("one")
	b.atRest()
	for name, spoil := range map[string]func(path string) error{
		"cut off": func(path string) error { return os.Truncate(path, 20) },
		"gone":    os.Remove,
	} {
		for _, file := range []string{haproxy.ConfigFile, "maps/vips.map", haproxy.PlaceholderCert, restFile} {
			whole, err := os.ReadFile(b.folder.path(file))
			if err == nil {
				err = spoil(b.folder.path(file))
			}
			if err != nil {
				t.Fatal(err)
			}
			if first := readRested(b.options.Dir).start(t.Context(), b.options); first.process != nil || first.err != nil {
				t.Errorf("%s is %s, and HAProxy was started: %v", file, name, first.err)
			}
			if err := os.WriteFile(b.folder.path(file), whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Who changes them says so before.
	b.rest.stir()
	if b.rest.still(b.want) {
		t.Error("files that are about to change rest")
	}
	if _, ok := b.rest.due(time.Now().Add(time.Hour)); ok {
		t.Error("files that were changed and not brought to an end rest")
	}
}

// TestRestGivesWay: files that are about to change are neither read nor brought to disk to say what they were.
func TestRestGivesWay(t *testing.T) {
	var r rest
	want := haproxy.Config{Sections: []haproxy.Section{{}}}
	dir := t.TempDir() // with no file in it
	r.settle(want, time.Unix(0, 0))
	if _, ok := r.due(time.Unix(60, 0)); !ok || r.note(dir, want) == nil {
		t.Error("files that are not there rest")
	}
	if r.stir(); r.note(dir, want) != nil {
		t.Error("files are looked at that change")
	}
}
