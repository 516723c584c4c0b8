package filesd

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

const token = "canary-1b2f"

// bed is a source that is watched step by step: each look ends with a pause, which goes on until the test says so.
type bed struct {
	t      *testing.T
	told   []string
	pauses chan pause
	last   pause
	end    context.CancelFunc
	ended  chan struct{}
}

type pause struct {
	d    time.Duration
	over chan time.Time
}

// watchIt starts a source, at a time at which all files have just been touched unless c has another.
func watchIt(t *testing.T, c Config) *bed {
	t.Helper()
	b := &bed{t: t, pauses: make(chan pause), ended: make(chan struct{})}
	if c.Clock.Time == nil {
		c.Clock.Time = func() time.Time { return time.Unix(0, 0) }
	}
	c.Clock.Chance = func() float64 { return 0 }
	ctx, cancel := context.WithCancel(t.Context())
	b.end = cancel
	c.Clock.After = func(d time.Duration) <-chan time.Time {
		p := pause{d, make(chan time.Time, 1)}
		select {
		case b.pauses <- p:
		case <-ctx.Done():
		}
		return p.over
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(b.ended)
		s.Watch(ctx, b)
	}()
	t.Cleanup(func() {
		cancel()
		<-b.ended
	})
	return b
}

// look lets the source look once, and gives what it told of that.
func (b *bed) look() string {
	b.t.Helper()
	if b.last.over != nil {
		b.last.over <- time.Time{}
	}
	select {
	case b.last = <-b.pauses:
	case <-time.After(weirtest.Patience):
		b.t.Fatal("it does not come to an end of its look")
	}
	told := strings.Join(b.told, "; ")
	b.told = nil
	if strings.Contains(told, token) {
		b.t.Fatalf("a secret shows: %s", told)
	}
	return told
}

func (b *bed) want(wanted ...string) {
	b.t.Helper()
	for _, want := range wanted {
		if got := b.look(); got != want {
			b.t.Fatalf("told %q, want %q", got, want)
		}
	}
}

func (b *bed) failed(parts ...string) {
	b.t.Helper()
	got := b.look()
	for _, want := range append(parts, "failed: ") {
		if !strings.Contains(got, want) {
			b.t.Fatalf("told %q, want %q in it", got, want)
		}
	}
	if len(got) > 800 || strings.ContainsAny(got, "\n\x00") {
		b.t.Errorf("it is not for people: %q", got)
	}
}

func (b *bed) Part(name string, found []discovery.Found) {
	b.told = append(b.told, "part "+name+": "+words(found))
}
func (b *bed) Whole(parts []string) { b.told = append(b.told, "whole: "+strings.Join(parts, " ")) }
func (b *bed) Alive()               { b.told = append(b.told, "alive") }
func (b *bed) Failed(err error)     { b.told = append(b.told, "failed: "+err.Error()) }

// words are IDs and fields, without those that stand in the ID already.
func words(found []discovery.Found) string {
	var all []string
	for _, f := range found {
		one := []string{f.ID}
		for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
			if strings.HasPrefix(name, "label.") {
				one = append(one, strings.TrimPrefix(name, "label.")+"="+f.Fields[name])
			}
		}
		all = append(all, strings.Join(one, " "))
	}
	return strings.Join(all, ", ")
}
