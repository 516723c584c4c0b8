package agent

import (
	"time"

	"weir/internal/link"
	"weir/internal/plan"
)

// passes remembers what was done to bring HAProxy to the newest states. The loop's goroutine uses it.
type passes struct {
	// list is replaced, never changed: reports hold it.
	list []link.PassReport
	// undone is what passes did that did not come to their end.
	undone  link.PassReport
	reasons []plan.Reason
	epoch   string // of the state of the last in the list
}

// took counts what a pass did.
func (p *passes) took(out outcome) {
	p.undone.Commands += len(out.Plan.Ops)
	p.undone.Started = p.undone.Started || out.Started
	p.reasons = append(p.reasons, out.Plan.Reload...)
}

// arrived ends a pass: HAProxy was read back to have a state. What is done again for the same state, as to undo what other
// hands did, is no part of the way there.
func (p *passes) arrived(s link.State, waiting int, now time.Time) {
	one := p.undone
	p.undone = link.PassReport{}
	reasons := p.reasons
	p.reasons = nil
	if n := len(p.list); n > 0 {
		if last := &p.list[n-1]; p.epoch == s.Epoch && last.Revision == s.Revision && last.Hash == s.Hash {
			return
		}
		one.Number = p.list[n-1].Number
	}
	one.Number++
	one.Revision, one.Hash, one.At, one.Waiting = s.Revision, s.Hash, now, min(waiting, one.Commands)
	for _, r := range reasons {
		one.Reload = append(one.Reload, link.ReloadReason{Object: r.Owner, Text: r.Text})
	}
	keep := p.list[max(0, len(p.list)-link.MaxPasses+1):]
	list := make([]link.PassReport, 0, len(keep)+1)
	p.list, p.epoch = append(append(list, keep...), one), s.Epoch
}
