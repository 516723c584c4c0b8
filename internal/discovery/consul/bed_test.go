package consul

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

// bed is a source that is watched. What it tells, and each pause that it makes, wait here to be looked at.
type bed struct {
	t      *testing.T
	told   chan told
	found  []discovery.Found // of the part that was looked at last
	pauses chan pause
	end    context.CancelFunc
	ended  chan struct{}
}

type told struct {
	text  string
	found []discovery.Found
}

type pause struct {
	d    time.Duration
	over chan time.Time
}

func watchIt(t *testing.T, c Config) *bed {
	t.Helper()
	b := &bed{t: t, told: make(chan told, 10000), pauses: make(chan pause, 10000), ended: make(chan struct{})}
	c.Token = token
	c.Clock = discovery.Clock{
		Time:   func() time.Time { return time.Unix(1e9, 0) },
		Chance: func() float64 { return 0 },
		After: func(d time.Duration) <-chan time.Time {
			p := pause{d, make(chan time.Time, 1)}
			b.pauses <- p
			return p.over
		},
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.end = cancel
	go func() {
		defer close(b.ended)
		s.Watch(ctx, b)
		b.told <- told{text: "end"}
	}()
	t.Cleanup(func() {
		cancel()
		<-b.ended
	})
	return b
}

// want fails the test unless that is what is told next.
func (b *bed) want(wanted ...string) {
	b.t.Helper()
	for _, want := range wanted {
		if got := b.next(); got != want {
			b.t.Fatalf("told %q, want %q", got, want)
		}
	}
}

func (b *bed) next() string {
	b.t.Helper()
	select {
	case got := <-b.told:
		if got.found != nil {
			b.found = got.found
		}
		return got.text
	case <-time.After(weirtest.Patience):
		b.t.Fatal("nothing is told")
		return ""
	}
}

// failed waits for a failure, and gives it.
func (b *bed) failed(parts ...string) string {
	b.t.Helper()
	got := b.next()
	for _, want := range append(parts, "failed: ") {
		if !strings.Contains(got, want) {
			b.t.Fatalf("told %q, want %q in it", got, want)
		}
	}
	if strings.Contains(got, token) {
		b.t.Fatalf("the token shows: %q", got)
	}
	return got
}

// pause waits for the next pause, which goes on until its channel is written to.
func (b *bed) pause() pause {
	b.t.Helper()
	select {
	case p := <-b.pauses:
		return p
	case <-time.After(weirtest.Patience):
		b.t.Fatal("there is no pause")
		return pause{}
	}
}

func (b *bed) Part(name string, found []discovery.Found) {
	words := []string{"part " + name + ":"}
	for _, f := range found {
		words = append(words, f.ID+" "+f.State.String())
	}
	b.told <- told{strings.Join(words, " "), found}
}
func (b *bed) Whole(parts []string) { b.told <- told{text: "whole: " + strings.Join(parts, " ")} }
func (b *bed) Alive()               { b.told <- told{text: "alive"} }
func (b *bed) Failed(err error)     { b.told <- told{text: "failed: " + err.Error()} }

func fieldsOf(f discovery.Found) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		words = append(words, name+"="+f.Fields[name])
	}
	return strings.Join(words, " ")
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	weirtest.Eventually(t, weirtest.Patience, f)
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
