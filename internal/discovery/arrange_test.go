package discovery

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestArrange(t *testing.T) {
	t.Parallel()
	found := []Found{{ID: "b"}, {ID: "a"}}
	if err := Arrange(found); err != nil || found[0].ID != "a" {
		t.Errorf("got %v, %v", found, err)
	}
	for want, bad := range map[string][]Found{
		`"a" is there twice`:  {{ID: "a"}, {ID: "b"}, {ID: "a"}},
		"has no name":         {{ID: "a"}, {}},
		"100001 entries: mor": make([]Found, MaxFound+1),
	} {
		if err := Arrange(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	most := make([]Found, MaxFound)
	for i := range most {
		most[i].ID = strconv.Itoa(i)
	}
	if err := Arrange(most); err != nil {
		t.Error(err)
	}
	if err := Arrange(append(most, Found{ID: "x"})); !errors.Is(err, ErrTooMuch) {
		t.Errorf("got %v, want %v", err, ErrTooMuch)
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	one := func(id string, state State, fields map[string]string) []Found {
		return []Found{{ID: id, State: state, Fields: fields}}
	}
	lists := [][]Found{
		nil,
		one("a", Ready, nil),
		one("a", NotReady, nil),
		one("b", Ready, nil),
		one("a", Ready, map[string]string{"x": "y"}),
		one("a", Ready, map[string]string{"x": ""}),
		one("a", Ready, map[string]string{"xy": ""}),
		one("a", Ready, map[string]string{"x": "y", "z": "w"}),
		one("a", Ready, map[string]string{"x": "w", "z": "y"}),
		append(one("a", Ready, nil), Found{ID: "b"}),
	}
	for i, a := range lists {
		for j, b := range lists {
			if (Sum(a) == Sum(b)) != (i == j) {
				t.Errorf("sums of %v and %v", a, b)
			}
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	least, most := Clock{Chance: func() float64 { return 0.999999999 }}, Clock{Chance: func() float64 { return 0 }}
	for failures, want := range []time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		if want == 0 {
			continue
		}
		if got := most.Backoff(failures); got != want {
			t.Errorf("after %d: at most %s, want %s", failures, got, want)
		}
		if got := least.Backoff(failures).Round(time.Millisecond); got != want*3/4 {
			t.Errorf("after %d: at least %s, want %s", failures, got, want*3/4)
		}
	}
	if d := (Clock{}).Backoff(3); d < 3*time.Second || d > 4*time.Second {
		t.Errorf("by chance: %s", d)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var asked []time.Duration
	clock := Clock{After: func(d time.Duration) <-chan time.Time {
		asked = append(asked, d)
		over := make(chan time.Time, 1)
		over <- time.Time{}
		return over
	}}
	if !clock.Pause(ctx, time.Hour) || !clock.Pause(ctx, 0) || !(Clock{}).Pause(ctx, time.Nanosecond) {
		t.Error("a pause ends what was not ended")
	}
	if len(asked) != 1 || asked[0] != time.Hour {
		t.Errorf("waited for %v", asked)
	}
	cancel()
	if clock.Pause(ctx, 0) || clock.Pause(ctx, time.Hour) || (Clock{}).Pause(ctx, time.Hour) {
		t.Error("a pause goes on after the end")
	}
	if (Clock{}).Now().IsZero() {
		t.Error("the machine's clock stands")
	}
}
