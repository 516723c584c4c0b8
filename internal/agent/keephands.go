package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"weir"
	"weir/internal/drift"
	"weir/internal/haproxy"
)

// handsFile keeps what other hands did and is to be left alone, for an agent that starts anew while HAProxy goes on.
const handsFile = "drift.json"

// keptHand is one thing with when it was first seen.
type keptHand struct {
	drift.Item
	Since time.Time
	// RawName and RawIs are Name and Is where JSON can't hold them: a map's entries may be of any bytes.
	RawName, RawIs []byte `json:",omitempty"`
}

func keepHand(item drift.Item, since time.Time) keptHand {
	k := keptHand{Item: item, Since: since}
	if !utf8.ValidString(item.Name) {
		k.RawName = []byte(item.Name)
	}
	if !utf8.ValidString(item.Is) {
		k.RawIs = []byte(item.Is)
	}
	return k
}

func (k keptHand) item() drift.Item {
	item := k.Item
	if k.RawName != nil {
		item.Name = string(k.RawName)
	}
	if k.RawIs != nil {
		item.Is = string(k.RawIs)
	}
	return item
}

// keepHands writes what is to be left alone to disk, or takes the file away when nothing is.
func (a *Agent) keepHands() {
	e, path := a.engine, filepath.Join(a.opts.Dir, handsFile)
	var kept []keptHand
	if e.mode == weir.DriftReport {
		for _, item := range e.hands.items {
			if item.Kind != drift.File {
				kept = append(kept, keepHand(item, e.hands.since[item.Place]))
			}
		}
	}
	if len(kept) == 0 {
		_ = os.Remove(path) // what is left there holds for nothing that HAProxy has no more
		return
	}
	raw, err := json.Marshal(kept)
	if err == nil {
		err = replace(path, string(raw))
	}
	if err != nil {
		a.log.Warn("an agent that starts anew would undo what another hand did, since it can't be kept what that is", "error", err)
	}
}

// recallHands notes again what an earlier run of the agent kept, as far as HAProxy still has it.
func (e *engine) recallHands(have haproxy.Config) {
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(e.folder.dir), handsFile))
	var kept []keptHand
	if err != nil || json.Unmarshal(raw, &kept) != nil {
		return
	}
	var items []drift.Item
	since := map[drift.Place]time.Time{}
	for _, k := range kept {
		item := k.item()
		items = append(items, item)
		since[item.Place] = k.Since
	}
	e.hands.items, e.hands.since = drift.Still(items, have), since
}
