package haproxy

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// hours are the Schedules that the rules of the same calls go by together.
type hours struct {
	// base is where their moments begin.
	base int64
	// sets are those that hold at some time together, each set once.
	sets [][]string
}

// schedulesOf gives the Schedules that some of the rules of a call go by, sorted.
func schedulesOf(list []grant) (names []string) {
	for _, g := range list {
		if g.schedule != "" {
			names = append(names, g.schedule)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// schedulesSet names a set of Schedules, as keys of maps begin with it.
func schedulesSet(names []string) string {
	name := strings.Join(names, "+")
	if len(name) > 200 {
		sum := sha256.Sum256([]byte(name))
		return fmt.Sprintf("times:%x", sum[:16])
	}
	return name
}

// hours puts down when which Schedules hold, by the set of all that the rules of a call go by. Each such set has a place of
// its own on the line of numbers, as a site has that something goes by time at; thousands of calls share it.
func (r *renderer) hours(grants map[string][]grant) map[string]*hours {
	members := map[string][]string{}
	for _, list := range grants {
		if names := schedulesOf(list); len(names) > 0 {
			members[schedulesSet(names)] = names
		}
	}
	places := ownPlaces(sortedKeys(members), 29)
	all := make(map[string]*hours, len(members))
	for set, names := range members {
		h := &hours{base: places[set] * moments}
		var windows []window
		for _, s := range r.node.Schedules {
			if slices.Contains(names, s.Name) {
				windows = append(windows, window{s.Name, point(s.From, 0), point(s.Until, moments)})
			}
		}
		seen := map[string]bool{}
		for _, at := range segments(windows) {
			now := schedulesSet(at.names)
			r.put(mapEgressHours, stretch(h.base, at.from, at.to), now, "Schedule/"+at.names[0])
			if !seen[now] {
				seen[now], h.sets = true, append(h.sets, at.names)
			}
		}
		all[set] = h
	}
	return all
}

// grants puts down what is let through for one key: at any time, and for each set of Schedules that hold together.
func (r *renderer) grants(key, pool string, list []grant, times map[string]*hours) {
	h := times[schedulesSet(schedulesOf(list))]
	if h == nil {
		r.grant(key, pool, "", list)
		return
	}
	holding := func(names []string) (hold []grant) {
		for _, g := range list {
			if g.schedule == "" || slices.Contains(names, g.schedule) {
				hold = append(hold, g)
			}
		}
		return hold
	}
	where := "|" + strconv.FormatInt(h.base, 10)
	if always := holding(nil); len(always) > 0 {
		r.grant(key, pool, where, always)
	} else {
		r.put(mapEgressRules, key, strings.Join([]string{pool, "never", list[0].rule}, "|")+where+"|"+list[0].schedule, "EgressRule/"+list[0].rule)
	}
	for _, names := range h.sets {
		r.grant(schedulesSet(names)+"|"+key, pool, "", holding(names))
	}
}
