package accesslog

import (
	"bytes"
	"cmp"
	"strings"
)

// Limited counts the requests and connections of a site that were over one of its rate limits.
type Limited struct {
	Site       string `json:"site"`
	RateLimit  string `json:"rateLimit"`
	Soft       uint64 `json:"soft,omitzero"`       // answered with a page
	Hard       uint64 `json:"hard,omitzero"`       // closed without an answer
	ShadowSoft uint64 `json:"shadowSoft,omitzero"` // would have been answered with a page
	ShadowHard uint64 `json:"shadowHard,omitzero"` // would have been closed
}

func (l Limited) compare(o Limited) int {
	return cmp.Or(strings.Compare(l.Site, o.Site), strings.Compare(l.RateLimit, o.RateLimit))
}

func (l Limited) plus(o Limited) Limited {
	l.Soft += o.Soft
	l.Hard += o.Hard
	l.ShadowSoft += o.ShadowSoft
	l.ShadowHard += o.ShadowHard
	return l
}

func (l Limited) since(o Limited) Limited {
	if l.Soft < o.Soft || l.Hard < o.Hard || l.ShadowSoft < o.ShadowSoft || l.ShadowHard < o.ShadowHard {
		return l
	}
	l.Soft -= o.Soft
	l.Hard -= o.Hard
	l.ShadowSoft -= o.ShadowSoft
	l.ShadowHard -= o.ShadowHard
	return l
}

func (l Limited) none() bool { return l == Limited{Site: l.Site, RateLimit: l.RateLimit} }

// count counts by the word with which the rules in haproxy.cfg say what they do: the status of the page, cut, or soft and
// hard in shadow mode.
func (l *Limited) count(does []byte) {
	switch string(does) {
	case "cut":
		l.Hard++
	case "soft":
		l.ShadowSoft++
	case "hard":
		l.ShadowHard++
	default:
		l.Soft++
	}
}

// countLimited counts the limits that a line was over, "429:edge,hard:other,", and what splits did, "away:new/canary,".
func (t *table) countLimited(l *Line) {
	rest := l.Limited
	for len(rest) > 0 {
		var one []byte
		one, rest, _ = bytes.Cut(rest, []byte{','})
		does, name, ok := bytes.Cut(one, []byte{':'})
		if ok && !t.countDiverted(l.Site, does, name) {
			t.limited(l.Site, name).count(does)
		}
	}
}

// limited finds the counts of a limit at a site, those of Other when there is no room for more.
func (t *table) limited(site, name []byte) *Limited {
	if len(site) > maxName || len(name) > maxName {
		site, name = []byte(Other), []byte(Other)
	}
	t.key = append(append(append(t.key[:0], site...), 0), name...)
	if l := t.limits[string(t.key)]; l != nil {
		return l
	}
	if len(t.limits) >= t.room && string(name) != Other {
		return t.limited([]byte(Other), []byte(Other))
	}
	l := &Limited{Site: string(site), RateLimit: string(name)}
	t.limits[string(t.key)] = l
	return l
}
