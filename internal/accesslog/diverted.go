package accesslog

import (
	"bytes"
	"cmp"
	"strings"
)

// Diverted counts what Splits did that keep requests from a leg that fails.
type Diverted struct {
	Site    string `json:"site"`
	Split   string `json:"split"`
	Backend string `json:"backend"`           // of the leg
	Aborts  uint64 `json:"aborts,omitzero"`   // how often the leg was put out
	Diverts uint64 `json:"requests,omitzero"` // that would have gone to it and went to the first leg
}

// The words of lines for what a split did, before "split/backend".
const (
	abortsWord  = "out"
	divertsWord = "away"
)

func (d Diverted) compare(o Diverted) int {
	return cmp.Or(strings.Compare(d.Site, o.Site), strings.Compare(d.Split, o.Split), strings.Compare(d.Backend, o.Backend))
}

// countDiverted counts a word of a line, and says whether it was one of a split.
func (t *table) countDiverted(site, does, name []byte) bool {
	aborts := string(does) == abortsWord
	if !aborts && string(does) != divertsWord {
		return false
	}
	split, backend, _ := bytes.Cut(name, []byte{'/'})
	d := t.divertedOf(site, split, backend)
	if aborts {
		d.Aborts++
	} else {
		d.Diverts++
	}
	return true
}

// divertedOf finds the counts of a leg, those of Other when there is no room for more.
func (t *table) divertedOf(site, split, backend []byte) *Diverted {
	key := Diverted{Site: string(site), Split: string(split), Backend: string(backend)}
	if len(site) > maxName || len(split) > maxName || len(backend) > maxName {
		key = Diverted{Site: Other, Split: Other, Backend: Other}
	}
	if t.diverted[key] == nil && len(t.diverted) >= t.room {
		key = Diverted{Site: Other, Split: Other, Backend: Other}
	}
	d := t.diverted[key]
	if d == nil {
		d = &Diverted{Site: key.Site, Split: key.Split, Backend: key.Backend}
		t.diverted[key] = d
	}
	return d
}

func (d Diverted) plus(o Diverted) Diverted {
	d.Aborts += o.Aborts
	d.Diverts += o.Diverts
	return d
}

func (d Diverted) since(o Diverted) Diverted {
	if d.Aborts >= o.Aborts && d.Diverts >= o.Diverts {
		d.Aborts -= o.Aborts
		d.Diverts -= o.Diverts
	}
	return d
}

func (d Diverted) none() bool { return d.Aborts+d.Diverts == 0 }
