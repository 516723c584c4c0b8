package haproxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HAProxy finds a number among ranges (map_int), so that what goes by time is one look: each site that anything goes by
// time at has a place of its own on the line of numbers, and a moment is a point there. docs/decisions/0047-schedules.md
// says why it is so.
const (
	mapClocks = "maps/clocks.map" // site that something goes by time at → where its moments begin
	mapTimes  = "maps/times.map"  // from:to, moments of sites → the schedules that hold then, with "+" between
)

// moments is how many seconds a place has room for, from 1970 on.
const moments = 1 << 33

// window is a time during which something is so at a site; an end that is open is 0 or moments.
type window struct {
	name        string
	from, until int64
}

// point gives a moment as a point within a place, or a default for one that is not said.
func point(t time.Time, missing int64) int64 {
	if t.IsZero() {
		return missing
	}
	return min(max(t.Unix(), 0), moments)
}

// segment is a time during which the same windows hold, from its first second to its last.
type segment struct {
	from, to int64
	names    []string
}

// segments cuts time at the ends of windows, and leaves out when none holds.
func segments(list []window) (out []segment) {
	var cuts []int64
	for _, w := range list {
		cuts = append(cuts, w.from, w.until)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i := 1; i < len(cuts); i++ {
		s := segment{from: cuts[i-1], to: cuts[i] - 1}
		for _, w := range list {
			if w.from <= s.from && s.to < w.until {
				s.names = append(s.names, w.name)
			}
		}
		if len(s.names) > 0 {
			slices.Sort(s.names)
			s.names = slices.Compact(s.names)
			out = append(out, s)
		}
	}
	return out
}

// siteTimes is what goes by time at a site.
type siteTimes struct {
	segments []segment
	// sets are the names that hold at some time together, each set once, as the map's values have it.
	sets []timeSet
}

type timeSet struct {
	id    string
	names []string
}

// with gives the sets that hold a name.
func (t *siteTimes) with(name string) (ids []string) {
	if t == nil {
		return nil
	}
	for _, s := range t.sets {
		if slices.Contains(s.names, name) {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// findTimes finds out which windows each site goes by.
func (r *renderer) findTimes() {
	schedules := make(map[string]window, len(r.node.Schedules))
	for _, s := range r.node.Schedules {
		schedules[s.Name] = window{s.Name, point(s.From, 0), point(s.Until, moments)}
	}
	of := map[string]map[string]window{}
	note := func(site string, w window) {
		if of[site] == nil {
			of[site] = map[string]window{}
		}
		of[site][w.name] = w
	}
	named := func(site, schedule string) {
		if w, ok := schedules[schedule]; ok {
			note(site, w)
		}
	}
	for i := range r.node.Sites {
		s := &r.node.Sites[i]
		for j := range s.Routes {
			named(s.Name, s.Routes[j].Match.Schedule)
		}
		if s.Maintenance != nil {
			named(s.Name, s.Maintenance.Schedule)
		}
		for _, l := range r.node.Limits {
			if slices.Contains(s.RateLimits, l.Name) {
				for _, at := range l.Schedules {
					named(s.Name, at.Schedule)
				}
			}
		}
	}
	for _, s := range r.node.Shifts {
		if s.From.IsZero() || r.node.Group.Slot(s.Zone) == 0 {
			continue
		}
		for _, site := range s.Sites {
			note(site, window{shiftWindow(s.Name), point(s.From, 0), point(s.ExpiresAt, moments)})
		}
	}
	r.times = make(map[string]*siteTimes, len(of))
	for site, windows := range of {
		list := make([]window, 0, len(windows))
		for _, w := range windows {
			list = append(list, w)
		}
		t := &siteTimes{segments: segments(list)}
		for i := range t.segments {
			if id := strings.Join(t.segments[i].names, "+"); !slices.ContainsFunc(t.sets, func(s timeSet) bool { return s.id == id }) {
				t.sets = append(t.sets, timeSet{id, t.segments[i].names})
			}
		}
		slices.SortFunc(t.sets, func(a, b timeSet) int { return cmp.Compare(a.id, b.id) })
		r.times[site] = t
	}
}

// shiftWindow names the window of a ZoneShift that has still to begin when it is made; no schedule has such a name.
func shiftWindow(name string) string { return "~" + name }

// scheduled says that something goes by time at some site of the group, of which there are rules only then.
func (r *renderer) scheduled() bool { return len(r.times) > 0 }

// ownPlaces gives each name a number below 1 << bits of its own, which others that come and go leave as it is, all but
// surely.
func ownPlaces(names []string, bits int) map[string]int64 {
	names = slices.Sorted(slices.Values(names))
	taken, out := map[int64]bool{}, make(map[string]int64, len(names))
	for _, name := range names {
		sum := sha256.Sum256([]byte(name))
		n := int64(binary.BigEndian.Uint64(sum[:]) >> (64 - bits))
		for taken[n] || n == 0 {
			n = (n + 1) % (1 << bits)
		}
		taken[n], out[name] = true, n
	}
	return out
}

// timeMaps puts down when what holds.
func (r *renderer) timeMaps() {
	names := make([]string, 0, len(r.times))
	for site := range r.times {
		names = append(names, site)
	}
	for site, n := range ownPlaces(names, 29) {
		base, owner := n*moments, "Site/"+site
		r.put(mapClocks, site, strconv.FormatInt(base, 10), owner)
		for _, s := range r.times[site].segments {
			r.put(mapTimes, stretch(base, s.from, s.to), strings.Join(s.names, "+"), owner)
		}
	}
}

// stretch is a key that is found by every number from one to another, both within a place.
func stretch(base, from, to int64) string { return fmt.Sprintf("%d:%d", base+from, base+to) }

// timeRules find out which schedules of the site in txn.site hold, as one word.
func (r *renderer) timeRules(rule adder) {
	if !r.scheduled() {
		return
	}
	rule("set-var(txn.clock) var(txn.site),map_str(%s)", opt(mapClocks))
	rule("set-var(txn.times) date,add(txn.clock),map_int(%s) if { var(txn.clock) -m found }", opt(mapTimes))
}

// timely gives the word that stands for a site's name where the map's entries of those at which something goes by time
// are looked up, one for each set that holds a schedule.
func timely(site, set string) string { return site + "|" + set }
