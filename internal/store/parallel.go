package store

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel calls f for 0 to n-1 on all processors, and gives one of the errors.
func inParallel(n int, f func(i int) error) error {
	// step is how many are taken at a time: of a hundred that take long no processor is to have most.
	const few, step = 64, 8
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
				end := int(next.Add(step))
				for i := end - step; i < min(end, n); i++ {
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
