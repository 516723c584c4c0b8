package discovery

import (
	"context"
	"math/rand/v2"
	"time"
)

// Clock is the time and the chance that a driver goes by. Its zero value is the machine's; tests give their own.
type Clock struct {
	// Time tells the time.
	Time func() time.Time
	// After gives a channel that something comes from once that long has passed.
	After func(time.Duration) <-chan time.Time
	// Chance gives a number from 0 up to 1, 1 left out.
	Chance func() float64
}

// Now tells the time.
func (c Clock) Now() time.Time {
	if c.Time == nil {
		return time.Now()
	}
	return c.Time()
}

// Pause waits, and says whether ctx still goes on afterwards.
func (c Clock) Pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err() == nil
	}
	after := time.After
	if c.After != nil {
		after = c.After
	}
	select {
	case <-ctx.Done():
		return false
	case <-after(d):
		return ctx.Err() == nil
	}
}

// Spread gives a time between three quarters of d and d, so that what began together does not stay together.
func (c Clock) Spread(d time.Duration) time.Duration {
	chance := rand.Float64
	if c.Chance != nil {
		chance = c.Chance
	}
	return d - time.Duration(chance()*float64(d)/4)
}

// The first and the longest pause after a failure.
const (
	backoffFirst = time.Second
	backoffLast  = time.Minute
)

// Backoff gives the pause after so many failures on end: a second, doubled each time, up to a minute, up to a quarter
// of it less by chance.
func (c Clock) Backoff(failures int) time.Duration {
	d := backoffLast
	if failures < 7 { // 2^6 s are more than a minute
		d = min(backoffFirst<<max(failures-1, 0), backoffLast)
	}
	return c.Spread(d)
}
