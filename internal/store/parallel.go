package store

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel calls f for 0 to n-1 on all processors, and gives one of the errors.
func inParallel(n int, f func(i int) error) error {
	const few = 64
	if n <= few {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next  atomic.Int64
		first error
		once  sync.Once
		group sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				end := int(next.Add(few))
				for i := end - few; i < min(end, n); i++ {
					if err := f(i); err != nil {
						once.Do(func() { first = err })
						return
					}
				}
				if end >= n {
					return
				}
			}
		})
	}
	group.Wait()
	return first
}
