package certs

import (
	"context"
	"slices"
	"sync"

	"weir/internal/acme"
)

// answers are the http-01 challenges that load balancers are to answer. They are told the whole list each time, so orders
// that come together are told together, and what is over goes with the next one that is told.
type answers struct {
	to Answerer

	mu    sync.Mutex
	list  []Challenge
	edits int

	telling sync.Mutex
	told    int // how many edits the list had that was told last
}

// answersOf are what load balancers are to answer for an order.
func answersOf(o acme.Order) []Challenge {
	var list []Challenge
	for _, c := range o.Challenges() {
		list = append(list, Challenge{Name: c.Name, Token: c.Token, Answer: c.KeyAuthorization})
	}
	return list
}

// add has challenges answered, and returns when load balancers were told.
func (a *answers) add(ctx context.Context, more []Challenge) error {
	a.edit(func(list []Challenge) []Challenge {
		return append(slices.DeleteFunc(list, among(more)), more...)
	})
	return a.tell(ctx)
}

// drop has challenges answered no longer, from the next tell on.
func (a *answers) drop(less []Challenge) {
	a.edit(func(list []Challenge) []Challenge { return slices.DeleteFunc(list, among(less)) })
}

func among(list []Challenge) func(Challenge) bool {
	return func(c Challenge) bool {
		return slices.ContainsFunc(list, func(o Challenge) bool { return o.Token == c.Token })
	}
}

func (a *answers) edit(f func(list []Challenge) []Challenge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = f(slices.Clone(a.list))
	a.edits++
}

// tell lets load balancers know of all edits of before, unless they were told meanwhile.
func (a *answers) tell(ctx context.Context) error {
	a.mu.Lock()
	wanted := a.edits
	a.mu.Unlock()
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.told >= wanted {
		return nil
	}
	a.mu.Lock()
	list, edits := a.list, a.edits
	a.mu.Unlock()
	if err := a.to.Answer(ctx, list); err != nil {
		return err
	}
	a.told = edits
	return nil
}
