package link

import (
	"slices"
	"time"
)

// PassReport is what an agent did to bring HAProxy to a state, until that was read back; tries that failed on the way
// are part of it.
type PassReport struct {
	// Number counts the passes since the agent began.
	Number uint64 `json:"number"`
	// Revision and Hash name the state.
	Revision int64 `json:"revision"`
	Hash     Hash  `json:"hash"`
	// At is when it had been read back, by the agent's clock.
	At time.Time `json:"at"`
	// Commands counts run-time commands; Waiting of them are removals that wait for connections to end.
	Commands int `json:"commands,omitempty"`
	Waiting  int `json:"waiting,omitempty"`
	// Started says that HAProxy was started with it, Reload why HAProxy was reloaded.
	Started bool           `json:"started,omitempty"`
	Reload  []ReloadReason `json:"reload,omitempty"`
}

// ReloadReason is one cause of a reload; Object is as "Site/www", empty when several cause it, or Weir itself.
type ReloadReason struct {
	Object string `json:"object,omitempty"`
	Text   string `json:"text"`
}

// MaxPasses is how many passes a report has room for, the newest.
const MaxPasses = 32

// boundPasses keeps the newest, with as many reasons each as people read.
func boundPasses(list []PassReport) []PassReport {
	list = slices.Clone(list[max(0, len(list)-MaxPasses):])
	for i := range list {
		reasons := slices.Clone(list[i].Reload[:min(len(list[i].Reload), maxReasons)])
		for j := range reasons {
			reasons[j].Object, reasons[j].Text = cutText(reasons[j].Object), cutText(reasons[j].Text)
		}
		list[i].Reload = reasons
	}
	return list
}

// samePasses tells whether two lists of one agent's passes are one: numbers are given once.
func samePasses(a, b []PassReport) bool {
	return len(a) == len(b) && (len(a) == 0 || a[0].Number == b[0].Number && a[len(a)-1].Number == b[len(b)-1].Number)
}
