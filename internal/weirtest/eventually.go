package weirtest

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what ought to take a second at most: longer than a machine takes for it that is
// busy with ten other things. Who waits for less fails by chance there, and no sooner anywhere else.
const Patience = 90 * time.Second

// Eventually calls f again and again until it returns nil, and fails the test with f's last
// error when that has not come within timeout. The timeout is a bound for a broken product,
// not a measurement: it is Patience, unless the test is about a failure to come.
func Eventually(t testing.TB, timeout time.Duration, f func() error) {
	t.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	pause := 2 * time.Millisecond
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			// The event may have come while this goroutine was not running.
			if err = f(); err == nil {
				return
			}
			t.Fatalf("not within %s: %v", timeout, err)
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}
