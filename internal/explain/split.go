package explain

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// splitCookie is the cookie that holds the number by which clients keep their leg; more than this of it is not looked at.
const (
	splitCookie        = "WEIRSPLIT"
	longestSplitCookie = 32
)

// leg is a backend that a request may go to, with its share in thousandths.
type leg struct {
	backend string
	share   int
}

// divide gives the legs that a request for a backend may go to: one alone where nothing is divided, or where the client
// is known.
func (w *walk) divide(backend string) []leg {
	i := slices.IndexFunc(w.node.Splits, func(s ir.Split) bool { return s.Site == w.site.Name && s.Backend == backend })
	if i < 0 || !w.http() {
		return []leg{{backend, weir.SplitShares}}
	}
	s := &w.node.Splits[i]
	object := "Split/" + s.Name
	if s.Schedule != "" && !w.holds(s.Schedule) {
		w.step("split", object, "schedule", "nothing is divided: Schedule/%s does not hold at %s", s.Schedule, w.q.At.UTC().Format(time.RFC3339))
		return []leg{{backend, weir.SplitShares}}
	}
	shares := s.Shares(w.q.At)
	field := "legs"
	for i := range s.Steps {
		if !w.q.At.Before(s.Steps[i].At) {
			field = fmt.Sprintf("steps[%d]", i)
		}
	}
	if who := w.draws(s); who != "" && shares[0] < weir.SplitShares {
		roll := int(xxh32(who+"/"+s.Name) % weir.SplitShares)
		to := 0
		for _, r := range weir.SplitRanges(shares) {
			if roll >= r.From && roll <= r.To {
				to = r.Leg
			}
		}
		w.step("split", object, "sticky", "%s of the client leads to backend %s", s.Sticky, s.Legs[to].Backend)
		return []leg{{s.Legs[to].Backend, weir.SplitShares}}
	}
	var legs []leg
	var words []string
	for i, l := range s.Legs {
		if shares[i] > 0 {
			legs = append(legs, leg{l.Backend, shares[i]})
			words = append(words, fmt.Sprintf("%s to backend %s", percent(float64(shares[i])/10), l.Backend))
		}
	}
	w.step("split", object, field, "%s", strings.Join(words, ", "))
	return legs
}

// draws gives what a known client's leg is worked out from, "" for chance.
func (w *walk) draws(s *ir.Split) string {
	switch s.Sticky {
	case weir.StickySource:
		if a, err := netip.ParseAddr(w.forwardedFor()); err == nil {
			return a.String()
		}
		return w.q.From.String()
	case weir.StickyCookie:
		v, _ := w.header.cookie(splitCookie)
		return v[:min(len(v), longestSplitCookie)]
	}
	return ""
}

func percent(p float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", p), ".0") + " %"
}

// serve finds who serves a request for the backend of the answer, or for each of the legs that it is divided among.
func (w *walk) serve() {
	legs := w.divide(w.trace.Answer.Backend)
	if len(legs) == 1 {
		w.trace.Answer.Backend = legs[0].backend
		w.zone()
		return
	}
	a := w.trace.Answer
	outcomes := map[Outcome]bool{}
	for _, l := range legs {
		one := *w
		one.trace.Answer = a
		one.trace.Answer.Backend, one.trace.Answer.Zones = l.backend, nil
		one.zone()
		got := one.trace.Answer
		w.trace.Steps, outcomes[got.Outcome] = one.trace.Steps, true
		if got.Outcome == Maintenance {
			w.unsure("which service of the Split serves it; %s is in maintenance", l.backend)
		}
		share := float64(l.share) / weir.SplitShares
		if got.Outcome != Served {
			a.Unserved += 100 * share
		}
		for _, p := range got.Pools() {
			p.Backend, p.Percent = l.backend, p.Percent*share
			a.Zones = append(a.Zones, *p)
		}
	}
	a.Outcome = Served
	if !outcomes[Served] {
		if a.Outcome = Unserved; outcomes[Tried] {
			a.Outcome = Tried
		}
	}
	w.trace.Answer = a
	if a.Outcome == Unserved {
		w.nobody()
	}
}

// xxh32 is XXH32 with the seed 0, as HAProxy's converter gives it.
func xxh32(text string) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	b := []byte(text)
	h := uint32(p5)
	if len(b) >= 16 {
		one, two := uint32(p1), uint32(p2)
		lanes := [4]uint32{one + two, two, 0, -one}
		for ; len(b) >= 16; b = b[16:] {
			for i := range lanes {
				lanes[i] = bits.RotateLeft32(lanes[i]+binary.LittleEndian.Uint32(b[4*i:])*p2, 13) * p1
			}
		}
		h = bits.RotateLeft32(lanes[0], 1) + bits.RotateLeft32(lanes[1], 7) + bits.RotateLeft32(lanes[2], 12) + bits.RotateLeft32(lanes[3], 18)
	}
	h += uint32(len(text))
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*p3, 17) * p4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h ^= h >> 15
	h *= p2
	h ^= h >> 13
	h *= p3
	return h ^ h>>16
}
