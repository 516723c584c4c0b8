package certs

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"weir/internal/acme"
)

const (
	// restAfter is after how many failures on end an authority is left alone; one that does not even show its directory,
	// or the account, is left alone after one.
	restAfter = 3
	// restLongest is how long it is left alone at most before somebody tries.
	restLongest = 15 * time.Minute
)

// rest leaves an authority alone that is not well: of all certificates that wait for it one asks, now and then. It is
// kept in memory: whoever takes over finds out for itself.
type rest struct {
	mu       sync.Mutex
	failures int
	last     acme.Error
	until    time.Time
	// round tells late news of before from those that count.
	round int
}

// ask says whether the authority may be asked now, and why it may not. What came of it is told with the round.
func (r *rest) ask(now time.Time) (round int, left *acme.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures < restAfter {
		return r.round, nil
	}
	if !now.Before(r.until) {
		r.round++
		r.until = now.Add(2 * exchangePatience) // for this one to come back
		return r.round, nil
	}
	left = new(r.last)
	left.NotBefore, left.Retry = r.until, true
	return r.round, left
}

// heard takes note of what came of asking.
func (r *rest) heard(round int, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e *acme.Error
	switch {
	case err != nil && !errors.As(err, &e), e != nil && (e.Type == acme.TypeCanceled || e.Step == acme.StepRenewalInfo):
		return // says nothing of orders
	case !unwell(e):
		r.failures = 0
		return
	case round != r.round:
		return
	}
	r.failures++
	if e.Step == acme.StepDirectory || e.Step == acme.StepAccount {
		r.failures = max(r.failures, restAfter)
	}
	if r.last = *e; r.failures < restAfter {
		return
	}
	r.round++
	r.until = now.Add(min(acme.Backoff(r.failures-restAfter+1, ""), restLongest))
	if e.NotBefore.After(r.until) {
		r.until = e.NotBefore
		if latest := now.Add(restLongest); r.until.After(latest) {
			r.until = latest // it may be about one certificate alone
		}
	}
}

// unwell says that a failure is likely to be all certificates' of an authority.
func unwell(e *acme.Error) bool {
	return e != nil && (e.Step == acme.StepDirectory || e.Step == acme.StepAccount ||
		e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests ||
		slices.Contains([]string{acme.TypeUnreachable, acme.TypeTimeout, acme.TypeBadAnswer, "rateLimited", "serverInternal"}, e.Type))
}

// speak has something asked of an issuer's authority, unless that is left alone.
func (k *Keeper) speak(i *issuer, ask func() error) error {
	round, left := i.rest.ask(k.opts.Clock())
	if left != nil {
		return left
	}
	err := ask()
	i.rest.heard(round, err, k.opts.Clock())
	return err
}
