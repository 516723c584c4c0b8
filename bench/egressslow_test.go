package bench

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// besideASlowOne gives the 99th percentile of the calls to a partner while another hangs that many call, against that of
// calls while the other answers the same callers, and the milliseconds after which those are refused for whom the one that
// hangs has no room.
func (w *egressWorld) besideASlowOne() (ratio, refused float64) {
	calm := w.caller(true, "out.bench.example", w.fleetTLS(), w.inside)
	quick := func() float64 {
		var took []float64
		for range callsBeside {
			took = append(took, w.ask(calm, w.out("quick", "high"), http.StatusOK))
		}
		return percentile(took, 99)
	}
	var ratios, refusals []float64
	for range slowRounds {
		var of [2]float64
		for i, hangs := range []bool{false, true} {
			w.hangs.Store(hangs)
			quiet, said := w.callTheOther(hangs)
			of[i] = quick()
			quiet()
			if hangs {
				refusals = append(refusals, said()...)
			}
		}
		ratios = append(ratios, of[1]/of[0])
	}
	w.t.Logf("of the slowest beside a slow partner: %.3g; %d calls to that were refused, half within %.3g ms, 99 %% within %.3g ms", ratios, len(refusals), median(refusals), percentile(refusals, 99))
	return median(ratios), median(refusals)
}

// callTheOther has many call the other partner, each some ten times a second, and returns when all have had an answer or, of
// one that hangs, when it has all the calls that it may have. The first function ends that, the second gives the milliseconds
// of answers.
func (w *egressWorld) callTheOther(hangs bool) (quiet func(), said func() []float64) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var mu sync.Mutex
	var took []float64
	want := http.StatusOK
	if hangs {
		want = http.StatusServiceUnavailable
	}
	for range slowCallers {
		all.Go(func() {
			c := w.caller(true, "out.bench.example", w.fleetTLS(), w.inside)
			c.Timeout = 0
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				began := time.Now()
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.out("hanging", "low"), nil)
				if err != nil {
					w.t.Error(err)
					return
				}
				answer, err := c.Do(request)
				if err != nil {
					return // at the end
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				if answer.StatusCode == want {
					mu.Lock()
					took = append(took, milliseconds(time.Since(began)))
					mu.Unlock()
				}
				time.Sleep(time.Duration(50+rand.IntN(100)) * time.Millisecond) // as a client does that was told to come back
			}
		})
	}
	for had := 0; had < slowCallers; {
		time.Sleep(10 * time.Millisecond)
		mu.Lock()
		had = len(took)
		mu.Unlock()
	}
	mu.Lock()
	took = nil // of new connections
	mu.Unlock()
	return func() { cancel(); all.Wait() }, func() []float64 { return took }
}
