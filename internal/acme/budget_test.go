package acme

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// roundTrip gives a budget as another process reads it.
func roundTrip(t testing.TB, b Budget) Budget {
	t.Helper()
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var again Budget
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return again
}

// TestBudgetHolds: whoever asks at random times and waits when told to never spends more than a limit in any stretch of
// its length; waiting is enough, and no longer than needed.
func TestBudgetHolds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		limits := []Limit{
			{Scope: PerAccount, Count: 1 + r.IntN(6), Per: time.Duration(1+r.IntN(100)) * time.Second},
			{Scope: PerDomain, Count: 1 + r.IntN(4), Per: time.Duration(1+r.IntN(500)) * time.Second},
			{Scope: PerNames, Count: 1 + r.IntN(3), Per: time.Duration(1+r.IntN(900)) * time.Second, Except: []Purpose{Replacing}},
			{Scope: PerFailure, Count: 1 + r.IntN(3), Per: time.Duration(1+r.IntN(300)) * time.Second},
		}
		var b Budget
		now := start
		spent := map[string][]time.Time{}
		note := func(l Limit, names []string) {
			for _, k := range l.keys(names) {
				spent[l.id()+k.key] = append(spent[l.id()+k.key], now)
			}
		}
		for range 150 {
			now = now.Add(time.Duration(r.IntN(20_000)) * time.Millisecond)
			names := []string{fmt.Sprintf("n%d.example%d.com", r.IntN(3), r.IntN(2)), fmt.Sprintf("n%d.example.co.uk", r.IntN(2))}[:1+r.IntN(2)]
			purpose := []Purpose{Fresh, Renewing, Replacing}[r.IntN(3)]
			when, why := b.Next(now, limits, names, purpose)
			if when.Before(now) || when.Equal(now) != (why == "") {
				t.Fatalf("seed %d: at %s told to wait until %s for %q", seed, now, when, why)
			}
			if when.After(now) {
				if early, _ := b.Next(when.Add(-time.Millisecond), limits, names, purpose); early.Before(when) {
					t.Fatalf("seed %d: told to wait until %s, and it is free at %s", seed, when, early)
				}
				if late, why := b.Next(when, limits, names, purpose); !late.Equal(when) {
					t.Fatalf("seed %d: after waiting until %s told to wait until %s for %s", seed, when, late, why)
				}
				if r.IntN(3) == 0 {
					continue
				}
				now = when
			}
			b = roundTrip(t, b.Spend(now, limits, names, purpose))
			for _, l := range limits[:3] {
				if l.Scope != PerNames || purpose != Replacing {
					note(l, names)
				}
			}
			if r.IntN(3) == 0 {
				b = roundTrip(t, b.Fail(now, limits, names[:1]))
				note(limits[3], names[:1])
			}
		}
		for _, l := range limits {
			for key, times := range spent {
				if rest, ok := strings.CutPrefix(key, l.id()); ok {
					checkWindow(t, seed, l, rest, times)
				}
			}
		}
	}
}

func checkWindow(t *testing.T, seed uint64, l Limit, key string, times []time.Time) {
	t.Helper()
	for i := l.Count; i < len(times); i++ {
		if times[i].Sub(times[i-l.Count]) < l.Per {
			t.Fatalf("seed %d: %d of %s %q within %s of %s", seed, l.Count+1, l.Scope, key, times[i].Sub(times[i-l.Count]), l.Per)
		}
	}
}

// TestBudgetNoticesItself: the check above finds a spender who does not wait.
func TestBudgetNoticesItself(t *testing.T) {
	t.Parallel()
	l := Limit{Scope: PerAccount, Count: 2, Per: time.Minute}
	var b Budget
	for i := range 3 {
		now := start.Add(time.Duration(i) * time.Second)
		when, why := b.Next(now, []Limit{l}, []string{"a.example.com"}, Fresh)
		if (i == 2) != when.After(now) || (i == 2) != strings.Contains(why, "2 orders in 1m for the account") {
			t.Errorf("order %d waits until %s for %q", i, when, why)
		}
		b = b.Spend(now, []Limit{l}, []string{"a.example.com"}, Fresh)
	}
}

// TestLetsEncryptStorm: five thousand renewals at once are held to what the CA allows, and go at once where it takes
// note of what they replace; a limit of the admin's own bounds these too.
func TestLetsEncryptStorm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		purpose Purpose
		limits  []Limit
		want    int // in the first three hours
	}{
		{Fresh, LetsEncrypt(), 300},
		{Renewing, LetsEncrypt(), 1000},
		{Replacing, LetsEncrypt(), 1000},
		{Replacing, append(LetsEncrypt(), Limit{Scope: PerAccount, Count: 50, Per: time.Hour}), 150},
	} {
		var b Budget
		begun := 0
		now := start
		for i := range 1000 {
			names := []string{fmt.Sprintf("www.example%d.com", i)}
			when, _ := b.Next(now, c.limits, names, c.purpose)
			if when.After(start.Add(3 * time.Hour)) {
				break
			}
			now = when
			b = b.Spend(now, c.limits, names, c.purpose)
			begun++
		}
		if begun != c.want {
			t.Errorf("%s: %d orders in three hours, want %d", c.purpose, begun, c.want)
		}
	}
}

// TestLetsEncryptLimits, one by one.
func TestLetsEncryptLimits(t *testing.T) {
	t.Parallel()
	limits := LetsEncrypt()
	count := func(names func(i int) []string, purpose Purpose, fail bool) (n int, why string) {
		var b Budget
		for ; n < 1000; n++ {
			when, w := b.Next(start, limits, names(n), purpose)
			if when.After(start) {
				return n, w
			}
			if fail {
				b = b.Fail(start, limits, names(n))
			} else {
				b = b.Spend(start, limits, names(n), purpose)
			}
		}
		return n, ""
	}
	for _, c := range []struct {
		name    string
		names   func(i int) []string
		purpose Purpose
		fail    bool
		want    int
		why     string
	}{
		{"a domain", func(i int) []string { return []string{fmt.Sprintf("n%d.shop.example.co.uk", i)} }, Fresh, false, 50, "50 orders in 7 days for example.co.uk"},
		{"the same names", func(i int) []string {
			return []string{[]string{"a.example.com", "A.example.com"}[i%2], "b.example.com"}
		}, Renewing, false, 5, "5 orders in 7 days for the same names"},
		{"the same names in another order", func(i int) []string {
			return []string{[]string{"a.x.org", "b.x.org"}[i%2], []string{"b.x.org", "a.x.org"}[i%2]}
		}, Renewing, false, 5, "the same names"},
		{"a name that fails", func(int) []string { return []string{"*.a.example.com"} }, Fresh, true, 5, "5 refusals in 1h for *.a.example.com"},
		{"replaced", func(int) []string { return []string{"a.example.com"} }, Replacing, false, 1000, ""},
	} {
		if n, why := count(c.names, c.purpose, c.fail); n != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %d, then %q; want %d, then %q", c.name, n, why, c.want, c.why)
		}
	}
}

// TestBudgetAndClocks: one that was far ahead does not block for long, one that is set back does not forget.
func TestBudgetAndClocks(t *testing.T) {
	t.Parallel()
	limits := []Limit{{Scope: PerAccount, Count: 1, Per: time.Hour}}
	names := []string{"a.example.com"}
	ahead := Budget{}.Spend(start.Add(365*24*time.Hour), limits, names, Fresh)
	if when, _ := ahead.Next(start, limits, names, Fresh); !when.Equal(start) {
		t.Errorf("a clock that was a year ahead blocks until %s", when)
	}
	hour := Budget{}.Spend(start.Add(time.Hour), limits, names, Fresh)
	if when, _ := hour.Next(start, limits, names, Fresh); when.Before(start.Add(2*time.Hour)) || when.After(start.Add(2*time.Hour+2*time.Second)) {
		t.Errorf("a clock that was an hour ahead blocks until %s", when)
	}
}

// TestBudgetIsPruned: what no limit counts any more is gone with the next order, and another count goes on.
func TestBudgetIsPruned(t *testing.T) {
	t.Parallel()
	var b Budget
	limits := LetsEncrypt()
	for i := range 400 {
		b = b.Spend(start, limits, []string{fmt.Sprintf("n%d.example.com", i)}, Fresh)
	}
	b = b.Spend(start.Add(8*24*time.Hour), limits, []string{"a.example.com"}, Fresh)
	data, err := json.Marshal(b)
	if err != nil || len(data) > 400 {
		t.Errorf("%d bytes are left: %v", len(data), err)
	}
	fewer := []Limit{limits[0]}
	fewer[0].Count = 1
	if when, _ := b.Next(start.Add(8*24*time.Hour), fewer, []string{"b.example.com"}, Fresh); !when.After(start.Add(8 * 24 * time.Hour)) {
		t.Error("a limit that was made smaller has forgotten what was spent")
	}
}

// TestBackoff doubles to its longest, spreads by name, and never waits for what was not asked for.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures := -1; failures < 100; failures++ {
		seen := map[time.Duration]bool{}
		for i := range 50 {
			name := fmt.Sprintf("n%d.example.com", i)
			pause := Backoff(failures, name)
			seen[pause] = true
			middle := time.Duration(0)
			if failures > 0 {
				middle = min(retryFirst<<min(failures-1, 20), retryLast)
			}
			if pause < middle*3/4 || pause > middle*5/4 || pause != Backoff(failures, name) {
				t.Errorf("after %d failures %s waits for %s", failures, name, pause)
			}
		}
		if failures > 0 && len(seen) < 45 {
			t.Errorf("after %d failures 50 names wait in %d ways", failures, len(seen))
		}
	}
}

// TestRetries: the CA's word counts, and a change of the object tries at once.
func TestRetries(t *testing.T) {
	t.Parallel()
	var r Retries
	if !r.Next(start, "a", "v1").IsZero() {
		t.Error("what has not failed waits")
	}
	r = r.Failed(start, "v1", nil)
	if next := r.Next(start, "a", "v1"); next.Sub(start) < 45*time.Second || next.Sub(start) > 75*time.Second {
		t.Errorf("after one failure it waits for %s", next.Sub(start))
	}
	r = r.Failed(start, "v1", &Error{NotBefore: start.Add(time.Hour)})
	for _, name := range []string{"a", "b", "c"} {
		for _, of := range []string{"v1", "v2"} { // a change makes the CA's word not nothing
			if wait := r.Next(start, name, of).Sub(start); wait < time.Hour || wait > 75*time.Minute {
				t.Errorf("the CA wants an hour, and %s waits for %s", name, wait)
			}
		}
	}
	if r.Next(start, "a", "v1").Equal(r.Next(start, "b", "v1")) || r.Failures != 2 {
		t.Errorf("all come at once: %+v", r)
	}
	r = r.Failed(start, "v1", nil)
	if !r.Next(start, "a", "v2").IsZero() {
		t.Error("a change is not tried at once")
	}
	if next := r.Next(start.Add(-48*time.Hour), "a", "v1"); !next.IsZero() {
		t.Errorf("a clock that was two days ahead makes it wait until %s", next)
	}
	if r = r.Failed(start, "v2", nil); r.Failures != 1 {
		t.Errorf("after a change it is failure %d", r.Failures)
	}
}
