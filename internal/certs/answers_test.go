package certs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"weir/internal/weirtest"
)

// gate is an Answerer that lets one list through at a time, when it is told to.
type gate struct {
	asked, open chan struct{}

	mu    sync.Mutex
	lists [][]string
	err   error
}

func (g *gate) Answer(_ context.Context, list []Challenge) error {
	g.asked <- struct{}{}
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	tokens := []string{}
	for _, c := range list {
		tokens = append(tokens, c.Token)
	}
	slices.Sort(tokens)
	g.lists = append(g.lists, tokens)
	return g.err
}

func (*gate) Missing([]string) []string { return nil }

// Orders that come while load balancers are being told of another one are told of together, and each returns when load
// balancers know of it; what is over goes with what is told next.
func TestChallengesAreToldTogether(t *testing.T) {
	t.Parallel()
	g := &gate{asked: make(chan struct{}), open: make(chan struct{})}
	a := &answers{to: g}
	one := func(token string) []Challenge { return []Challenge{{Name: "www.example.com", Token: token}} }
	var all sync.WaitGroup
	add := func(token string) {
		all.Go(func() {
			if err := a.add(t.Context(), one(token)); err != nil {
				t.Error(err)
			}
		})
	}
	add("first")
	<-g.asked
	for n := range 20 {
		add(fmt.Sprintf("more%02d", n))
	}
	weirtest.Eventually(t, weirtest.Patience, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.list) != 21 {
			return fmt.Errorf("%d are wanted", len(a.list))
		}
		return nil
	})
	a.drop(one("first"))
	g.open <- struct{}{}
	<-g.asked
	g.open <- struct{}{}
	all.Wait()
	if len(g.lists) != 2 || !slices.Equal(g.lists[0], []string{"first"}) || len(g.lists[1]) != 20 || slices.Contains(g.lists[1], "first") {
		t.Errorf("told were %q", g.lists)
	}
	// All is told: nobody is told again.
	if err := a.tell(t.Context()); err != nil || len(g.lists) != 2 {
		t.Errorf("told were %q, %v", g.lists, err)
	}
	// What could not be told is told again.
	g.err = errors.New("no store")
	a.drop(one("more00"))
	for range 2 {
		told := make(chan error)
		go func() { told <- a.tell(t.Context()) }()
		<-g.asked
		g.open <- struct{}{}
		if err := <-told; !errors.Is(err, g.err) {
			t.Errorf("told, and the error is %v", err)
		}
	}
}
