package discovery

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Record is what is kept of a source for whoever watches it next.
type Record struct {
	Penalties map[string]Penalty `json:"penalties,omitempty"`
	Highs     []High             `json:"highs,omitempty"`
	Doubt     Doubt              `json:"doubt,omitzero"`
}

// mostPenalties is how many penalties are kept.
const mostPenalties = 5000

// Record gives what is to be kept.
func (r *Roster) Record() Record {
	record := Record{Highs: slices.Clone(r.all.highs), Doubt: r.doubt, Penalties: r.damper.Penalties()}
	if len(record.Penalties) > mostPenalties {
		names := slices.SortedFunc(maps.Keys(record.Penalties), func(a, b string) int {
			if x, y := record.Penalties[a].Count, record.Penalties[b].Count; x != y {
				if x > y {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		some := make(map[string]Penalty, mostPenalties)
		for _, name := range names[:mostPenalties] {
			some[name] = record.Penalties[name]
		}
		record.Penalties = some
		return record
	}
	record.Penalties = maps.Clone(record.Penalties)
	return record
}

// Summary is what people want to know of what a source says.
type Summary struct {
	// Found are all instances, Ready, NotReady and Draining are as the source has them, in Parts parts.
	Found, Ready, NotReady, Draining, Parts int
	// Complete says that all parts have been read since this began.
	Complete bool
	// Servers are those in the store that the source writes, Good those of them that may take traffic.
	Servers, Good int
	// LeftOut are instances that are no servers; Left some of them.
	LeftOut int
	Left    []LeftOut
	// DampedCount are kept out for coming and going; Damped some of them.
	DampedCount int
	Damped      []Damped
}

// LeftOut is an instance that is no server, and why.
type LeftOut struct {
	What string
	Why  string
}

// Damped is a server that is kept out for a while.
type Damped struct {
	Name  string
	Until time.Time
}

// Summary tells what the source says, and what became of it.
func (r *Roster) Summary(now time.Time) Summary {
	sum := Summary{Parts: len(r.parts), Complete: r.complete, LeftOut: len(r.left) + len(r.refused)}
	for _, list := range r.parts {
		for _, in := range list {
			switch in.state {
			case Ready:
				sum.Ready++
			case NotReady:
				sum.NotReady++
			case Draining:
				sum.Draining++
			}
		}
		sum.Found += len(list)
	}
	for _, s := range r.slots {
		if s.ours {
			sum.Servers++
		}
	}
	sum.Good = r.all.good
	for in, why := range r.left {
		sum.Left = keep(sum.Left, LeftOut{What: Clip(in.part) + " " + Clip(in.id), Why: why}, compareLeft)
	}
	for name, why := range r.refused {
		sum.Left = keep(sum.Left, LeftOut{What: "Server/" + name, Why: why}, compareLeft)
	}
	for name := range r.damper.Penalties() {
		if until, out := r.damper.Out(name, now); out {
			sum.DampedCount++
			sum.Damped = keep(sum.Damped, Damped{name, until}, func(a, b Damped) int { return strings.Compare(a.Name, b.Name) })
		}
	}
	return sum
}

func compareLeft(a, b LeftOut) int { return strings.Compare(a.What, b.What) }

// keep puts one in its place among the first few.
func keep[T any](list []T, one T, compare func(a, b T) int) []T {
	at, _ := slices.BinarySearchFunc(list, one, compare)
	if at == mostNamed {
		return list
	}
	list = slices.Insert(list, at, one)
	return list[:min(len(list), mostNamed)]
}

// Doubt is what is held at present.
func (r *Roster) Doubt() Doubt { return r.doubt }
