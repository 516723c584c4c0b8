package compile

import (
	"cmp"
	"slices"
	"time"

	"weir/internal/ir"
)

// Division is how the traffic of a backend of a site is divided between the zones of a group, as it is worked out from what
// zones can and may take: how many requests there are is another question.
type Division struct {
	Group, Site, Backend string
	// Parts are the zones that have a pool of it, by name.
	Parts []Part
	// Stays says that the shift that is asked about moves nothing, because no other zone is available.
	Stays bool
}

// Part is a zone's part of a site. Usual is its share of 1 with all servers and without shifts, Now as it is, Then with the
// shift that is asked about.
type Part struct {
	Zone, Pool       string
	Usual, Now, Then float64
	// Able of Whole is the weight of the servers that may take traffic.
	Able, Whole float64
}

// Divide gives that of the backends of a node that have pools of zones, by site and name, default first. With up, servers count that the checks see
// up; nil takes all to be. shift is one that nobody has made; nil is none.
func Divide(node *ir.Node, now time.Time, up func(pool, server string) bool, shift *ir.Shift) []Division {
	at := *node
	last := -1
	if shift != nil {
		at.Shifts = append(slices.Clip(at.Shifts), *shift)
		last = len(at.Shifts) - 1
	}
	strengths, homes := strengthsOf(&at, now, up), homesOf(&at)
	var list []Division
	for i := range at.Sites {
		s := &at.Sites[i]
		before, after := goneFrom(&at, s.Name, last, now)
		first := len(list)
		for _, b := range s.Backends {
			if b.Slots == nil {
				continue
			}
			part, stays := divide(s, b, homes, strengths, before, after)
			d := Division{Group: at.Group.Name, Site: s.Name, Backend: b.Name, Stays: stays && !slices.Equal(before, after)}
			for slot, pool := range b.Slots {
				if pool != "" {
					d.Parts = append(d.Parts, Part{at.Group.Zones[slot], pool, part.base[slot], part.now[slot], part.then[slot], strengths[pool].able, strengths[pool].whole})
				}
			}
			list = append(list, d)
		}
		slices.SortFunc(list[first:], byBackend)
	}
	return list
}

// byBackend orders divisions of a site: default, what most requests go to, first.
func byBackend(a, b Division) int {
	switch {
	case a.Backend == b.Backend:
		return 0
	case a.Backend == "default":
		return -1
	case b.Backend == "default":
		return 1
	}
	return cmp.Compare(a.Backend, b.Backend)
}
