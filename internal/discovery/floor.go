package discovery

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Floor says how much of what a source had it can take away without being doubted.
type Floor struct {
	// Percent and Count are borne: a fall is doubted that is more than both.
	Percent, Count int
	// Hold is how long what is gone must stay so until that is believed all the same.
	Hold time.Duration
	// Window is for how long falls are summed up.
	Window time.Duration
}

// group is what a floor is held against: all of a source, or one of its parts.
type group struct {
	// good is how many the store has that may take traffic.
	good int
	// base is how many there were when the source was doubted first; 0 while it is not.
	base int
	// highs are how many there were, falling, each from a time on.
	highs []High
}

// High is how many good servers there were from a time on.
type High struct {
	At   time.Time `json:"at"`
	Good int       `json:"good"`
}

// left notes that a server is of another part: that is no fall.
func (g *group) left() {
	g.good--
	for i := range g.highs {
		g.highs[i].Good--
	}
}

// samples is how finely a window is divided.
const samples = 64

// note writes down how many there are now, and forgets what was before the window.
func (g *group) note(now time.Time, window time.Duration) {
	for len(g.highs) > 1 && now.Sub(g.highs[1].At) > window {
		g.highs = g.highs[1:]
	}
	if len(g.highs) == 1 && now.Sub(g.highs[0].At) > window && g.highs[0].Good >= g.good {
		g.highs = nil // it has been as low as that, or lower, for all of the window
	}
	for len(g.highs) > 0 && g.highs[len(g.highs)-1].Good <= g.good {
		g.highs = g.highs[:len(g.highs)-1]
	}
	// Of falls that follow each other closely one is enough: the higher one stands for longer.
	if n := len(g.highs); n > 0 && now.Sub(g.highs[n-1].At) < window/samples {
		return
	}
	g.highs = append(g.highs, High{now, g.good})
}

// doubts says why it is not believed that of the good servers so many are gone and so many have come; "" when it is.
// While something is doubted it is held against what there was when that began.
func (f Floor) doubts(g *group, good, gone, came int, whole bool) string {
	base := good
	if g.base > 0 {
		base = g.base // what has come since does not make a fall smaller
	}
	why := f.why(g, base, good-gone+came, gone, whole)
	if why == "" {
		g.base = 0
	} else if g.base == 0 {
		g.base = good
	}
	return why
}

func (f Floor) why(g *group, base, after, gone int, whole bool) string {
	high := base
	if len(g.highs) > 0 {
		high = max(high, g.highs[0].Good)
	}
	switch {
	case gone == 0:
		return ""
	case whole && after <= 0:
		return fmt.Sprintf("all %d servers that it had are gone or not ready", base)
	case f.beyond(gone, base):
		return fmt.Sprintf("%d of the %d servers that it had are gone or not ready at once", gone, base)
	case f.beyond(high-after, high):
		return fmt.Sprintf("%d of %d servers would have gone within %s", high-after, high, f.Window)
	}
	return ""
}

func (f Floor) beyond(fall, of int) bool { return fall > f.Count && fall*100 > f.Percent*of }

// believed forgets what there was before, once a fall was believed.
func (g *group) believed() { g.base, g.highs = 0, nil }

// Doubt is what a source says is gone and is not believed to be.
type Doubt struct {
	// Number is another one whenever more is gone; who confirms says which one was seen.
	Number int64 `json:"number,omitempty"`
	// Why is a sentence for people, Count how many servers are held, Names some of them, sorted.
	Why   string   `json:"why,omitempty"`
	Count int      `json:"count,omitempty"`
	Names []string `json:"names,omitempty"`
	// Since is when the first of them was gone, Until when the next one is believed to be.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Gone are since when each is; of very many nothing is kept, and for a successor their time begins anew.
	Gone []GoneSince `json:"gone,omitempty"`
}

// GoneSince are servers that are gone since a time, sorted.
type GoneSince struct {
	At    time.Time `json:"at"`
	Names []string  `json:"names"`
}

// The bounds of what is kept and told of a doubt.
const (
	mostGone  = 5000
	mostNamed = 20
)

// since gives since when each of the servers is gone of which that is kept.
func (d *Doubt) since() map[string]time.Time {
	all := map[string]time.Time{}
	for _, g := range d.Gone {
		for _, name := range g.Names {
			all[name] = g.At
		}
	}
	return all
}

// doubtOf tells of the servers that are held; before is what was told last.
func doubtOf(held []*slot, why string, hold time.Duration, before Doubt, more bool) Doubt {
	d := Doubt{Number: before.Number}
	if more {
		d.Number++
	}
	if len(held) == 0 {
		return d
	}
	d.Why, d.Count = why, len(held)
	slices.SortFunc(held, func(a, b *slot) int {
		if c := a.since.Compare(b.since); c != 0 {
			return c
		}
		return byName(a, b)
	})
	d.Since, d.Until = held[0].since, held[0].since.Add(hold)
	if len(held) <= mostGone {
		for _, s := range held {
			if n := len(d.Gone); n == 0 || !d.Gone[n-1].At.Equal(s.since) {
				d.Gone = append(d.Gone, GoneSince{At: s.since})
			}
			last := &d.Gone[len(d.Gone)-1]
			last.Names = append(last.Names, s.name)
		}
	}
	slices.SortFunc(held, byName)
	for _, s := range held[:min(len(held), mostNamed)] {
		d.Names = append(d.Names, s.name)
	}
	return d
}

func byName(a, b *slot) int { return strings.Compare(a.name, b.name) }
