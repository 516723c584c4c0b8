package discovery

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestDamping(t *testing.T) {
	t.Parallel()
	d := UsualDamping()
	var p Penalty
	for i := range 3 {
		if p = d.Fell(p, noon); p.Out {
			t.Fatalf("kept out after %d falls", i+1)
		}
	}
	if p = d.Fell(p, noon); !p.Out {
		t.Fatal("four falls at once are borne")
	}
	until := d.Until(p)
	if rest := until.Sub(noon).Round(time.Second); rest != 2*time.Minute {
		t.Errorf("after four falls it is kept out for %s, want 2m", rest)
	}
	if !d.At(p, until.Add(-time.Second)).Out {
		t.Error("let in too early")
	}
	if d.At(p, until).Out {
		t.Error("kept out at the time at which it is to be let in")
	}
	if got := d.At(p, noon.Add(time.Hour)); got != (Penalty{}) {
		t.Errorf("after an hour there is left: %+v", got)
	}
	if got := d.At(p, noon.Add(-time.Hour)); got != p {
		t.Errorf("a clock that goes back changes the penalty to %+v", got)
	}
	for range 1000 {
		p = d.Fell(p, noon)
	}
	if rest := d.Until(p).Sub(noon).Round(time.Second); rest != 4*time.Minute {
		t.Errorf("after very many falls it is kept out for %s, want 4m", rest)
	}
	if !d.Until(d.Fell(Penalty{}, noon)).IsZero() {
		t.Error("one fall has an end of being kept out")
	}
}

// One that falls once in a minute is never kept out: the sum of halves stays below two.
func TestSlowFallsAreBorne(t *testing.T) {
	t.Parallel()
	d := UsualDamping()
	var p Penalty
	for i := range 1000 {
		if p = d.Fell(p, noon.Add(time.Duration(i)*time.Minute)); p.Out {
			t.Fatalf("kept out after %d minutes", i)
		}
	}
}

func TestDamper(t *testing.T) {
	t.Parallel()
	d := NewDamper(UsualDamping(), nil)
	for range 4 {
		d.Fell("a", noon)
	}
	d.Fell("b", noon)
	until, out := d.Out("a", noon)
	if !out {
		t.Fatal("a is not kept out")
	}
	for _, name := range []string{"b", "c"} {
		if _, out := d.Out(name, noon); out {
			t.Errorf("%s is kept out", name)
		}
	}
	// A successor goes on where it was.
	d = NewDamper(UsualDamping(), d.Penalties())
	in, next := d.Tend(noon.Add(time.Second))
	if len(in) != 0 || next.Sub(until).Abs() > 2*time.Millisecond {
		t.Errorf("at first %v are let in, the next at %s; want none, and %s", in, next, until)
	}
	in, next = d.Tend(next)
	if !slices.Equal(in, []string{"a"}) || !next.IsZero() {
		t.Errorf("then %v are let in, the next at %s; want a, and none", in, next)
	}
	d.Tend(noon.Add(time.Hour))
	if len(d.Penalties()) != 0 {
		t.Errorf("not forgotten: %v", d.Penalties())
	}
}

// Whatever the course, one is kept out for no longer than the bound after its last fall, and is let in at the time said.
func TestDampingOfAnyCourse(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(39, 1))
	d := UsualDamping()
	for range 2000 {
		var p Penalty
		now := noon
		for range r.IntN(40) {
			now = now.Add(time.Duration(r.IntN(90_000)) * time.Millisecond)
			p = d.Fell(p, now)
		}
		if !p.Out {
			continue
		}
		until := d.Until(p)
		if rest := until.Sub(now); rest < time.Minute || rest > 4*time.Minute+time.Second {
			t.Fatalf("kept out for %s after the last fall: %+v", rest, p)
		}
		if d.At(p, until).Out {
			t.Fatalf("kept out beyond %s: %+v", until, p)
		}
	}
}
