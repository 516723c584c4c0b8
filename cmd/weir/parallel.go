package main

import "sync"

// inParallel calls f for 0 to n-1, so many at once, and returns when all are done.
func inParallel(n, atOnce int, f func(i int)) {
	var wg sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	wg.Wait()
}
