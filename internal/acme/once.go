package acme

import (
	"context"
	"sync"
	"sync/atomic"
)

// once1 keeps one value that is got by asking somebody: while one goroutine asks, the others wait for it, but none
// longer than its own context. What that one did not get, they do not ask for either.
type once1[T any] struct {
	turn  chan struct{}
	value T
	have  bool
	// failed counts what was asked in vain, and err is why, the last time.
	failed atomic.Int64
	err    error
}

func newOnce1[T any]() *once1[T] { return &once1[T]{turn: make(chan struct{}, 1)} }

// get returns the value when good says that it will do, and that of ask otherwise.
func (o *once1[T]) get(ctx context.Context, good func(T) bool, ask func(old T, have bool) (T, error)) (T, error) {
	before := o.failed.Load()
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	if o.have && good(o.value) {
		return o.value, nil
	}
	if o.failed.Load() != before {
		var none T
		return none, o.err
	}
	v, err := ask(o.value, o.have)
	switch {
	case err == nil:
		o.value, o.have = v, true
	case ctx.Err() == nil:
		o.err = err
		o.failed.Add(1)
	}
	return v, err
}

// forget drops the value.
func (o *once1[T]) forget() {
	o.turn <- struct{}{}
	o.have = false
	<-o.turn
}

// atOnce bounds how many requests of one order are under way: an order of a hundred names is to be quick, and Let's
// Encrypt gives out nonces to one address at twenty a second.
const atOnce = 8

// each calls f for 0 to n-1, some at once, and returns the error of the lowest number; once there is one it begins no
// further call.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	var mu sync.Mutex
	var wg sync.WaitGroup
	next, failed := 0, false
	for range min(atOnce, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := failed || i >= n
				mu.Unlock()
				if stop {
					return
				}
				if errs[i] = f(i); errs[i] != nil {
					mu.Lock()
					failed = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
