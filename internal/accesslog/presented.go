package accesslog

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Presented is until when the certificate is good that a partner showed at an address.
type Presented struct {
	Service string    `json:"service"` // partner.environment.service
	At      string    `json:"at"`      // address:port
	Until   time.Time `json:"until"`
	Seen    time.Time `json:"seen"`
}

const (
	// presentedRoom is of how many addresses it is kept.
	presentedRoom = 4096
	// presentedFor is how long an address counts that nobody has called again.
	presentedFor = 24 * time.Hour
	// untilForm is how HAProxy writes the end of a certificate.
	untilForm = "060102150405Z"
)

func (p Presented) compare(o Presented) int {
	return cmp.Or(strings.Compare(p.Service, o.Service), strings.Compare(p.At, o.At))
}

// notePresented notes what certificate the partner showed, as far as the line says.
func (t *table) notePresented(l *Line, service string) {
	if len(l.Until) == 0 || len(l.At) == 0 || len(service) > maxName {
		return
	}
	until, err := time.Parse(untilForm, string(l.Until))
	if err != nil {
		return
	}
	key := Presented{Service: service, At: string(l.At)}
	seen := time.UnixMilli(l.AcceptedMS).UTC()
	p := t.presented[key]
	if p == nil {
		if len(t.presented) >= presentedRoom {
			t.forgetPresented(seen)
		}
		if len(t.presented) >= presentedRoom {
			return
		}
		made := key
		p = &made
		t.presented[key] = p
	}
	if !seen.Before(p.Seen) {
		p.Until, p.Seen = until, seen
	}
}

// forgetPresented drops what was not seen for a day.
func (t *table) forgetPresented(now time.Time) {
	for key, p := range t.presented {
		if now.Sub(p.Seen) > presentedFor {
			delete(t.presented, key)
		}
	}
}

// mergedPresented puts two lists together, of each address what was seen last, in order.
func mergedPresented(a, b []Presented) []Presented {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(x, y Presented) int { return cmp.Or(x.compare(y), y.Seen.Compare(x.Seen)) })
	return slices.CompactFunc(all, func(x, y Presented) bool { return x.compare(y) == 0 })
}
