package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"weir/internal/hapctl"
	"weir/internal/link"
	"weir/internal/plan"
)

// reporter holds what the control plane is told; the loop and the health watch both write it.
type reporter struct {
	mu     sync.Mutex
	report link.Report
	client *hapctl.Client
	master int // HAProxy's, as a process
	runs   *hapctl.Process
	zones  map[string]string
	passes passes
	// mute says why HAProxy is taken not to answer, since when; misses counts what it has not answered in a row.
	mute   string
	misses int
}

func (r *reporter) process(p *hapctl.Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client, r.master, r.mute, r.misses, r.runs = nil, 0, "", 0, p
	if p != nil {
		r.client, r.master = p.Watch(), p.Pid()
	}
}

// summed notes what HAProxy has counted; the next report has it.
func (r *reporter) summed(text json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Figures = text
}

func (r *reporter) applying(s link.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Seen = s.Revision
}

// passed notes the end of a pass and sends it at once.
func (r *reporter) passed(a *Agent, s link.State, out outcome, err error) {
	e := a.engine
	r.mu.Lock()
	rep := &r.report
	rep.Agent, rep.HAProxy, rep.Started, rep.Seen, rep.Epoch = a.opts.Version, a.haproxy, a.started, s.Revision, s.Epoch
	rep.Reloads = link.ReloadReport{Count: e.reloads.Count, Last: e.reloads.Last, Reasons: e.reloads.Reasons}
	if executed := planLines(out.Plan); len(executed) > 0 {
		rep.Plan = executed
	}
	rep.Spare, rep.Ended = e.spare(), e.ended
	rep.Resources = resourceReport(s, e, err)
	r.passes.took(out)
	if err == nil {
		rep.State, rep.Message, rep.Revision, rep.Hash = link.Converged, "", s.Revision, s.Hash
		r.passes.arrived(s, len(e.waiting), a.opts.Clock())
		rep.Passes = r.passes.list
	} else {
		rep.State, rep.Message = link.Failed, r.silence(err)
		if e.process == nil && !errors.Is(err, hapctl.ErrNoAnswer) {
			rep.State = link.Starting
		}
		if h := (*hostError)(nil); errors.As(err, &h) && h.handedBack {
			rep.State = link.HandedBack
		} else if h != nil && h.failed {
			rep.State = link.Failed
		}
	}
	rep.Drift = e.hands.tell(e.mode, a.opts.Clock())
	if err == nil {
		r.zones = e.zones
	}
	copied := r.told()
	r.mu.Unlock()
	a.client.Report(copied)
}

// interrupted counts what a pass did that a newer state ended.
func (r *reporter) interrupted(out outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passes.took(out)
}

// proved sends what has become known of certificates since a pass that went well, at once.
func (r *reporter) proved(a *Agent, s link.State) {
	r.mu.Lock()
	told := r.report.State == link.Converged && r.report.Revision == s.Revision && r.report.Hash == s.Hash
	if told {
		r.report.Resources = resourceReport(s, a.engine, nil)
	}
	copied := r.told()
	r.mu.Unlock()
	if told {
		a.client.Report(copied)
	}
}

// drifted sends what other hands did, at once.
func (r *reporter) drifted(a *Agent) {
	r.mu.Lock()
	r.report.Drift = a.engine.hands.tell(a.engine.mode, a.opts.Clock())
	copied := r.told()
	r.mu.Unlock()
	if copied.State != "" {
		a.client.Report(copied)
	}
}

// told is the report as it goes out: while HAProxy doesn't answer, what was read back of it before is worth little.
func (r *reporter) told() link.Report {
	rep := r.report
	if r.mute != "" && rep.State == link.Converged {
		rep.State, rep.Message = link.Failed, r.mute
	}
	return rep
}

// silence says what it means that HAProxy can't be asked.
func (r *reporter) silence(err error) string {
	if r.master == 0 || !errors.Is(err, hapctl.ErrNoAnswer) || !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return fmt.Sprintf("HAProxy serves on, but its run-time socket was removed, so nothing can be changed or seen (%v); only a start makes it again: at a quiet moment end its master, process %d, which is started again with all that it had", err, r.master)
}

func planLines(p plan.Plan) []string {
	var lines []string
	for _, reason := range p.Reload {
		lines = append(lines, "reload: "+reason.String())
	}
	for _, op := range p.Ops {
		lines = append(lines, op.String())
	}
	return lines
}

// resourceReport names what is not as wished.
func resourceReport(s link.State, e *engine, err error) link.ResourceReport {
	rep := link.ResourceReport{Deviations: map[string]link.Deviation{}}
	for id, h := range e.quarantine.held {
		message, reason := "HAProxy refuses it: "+h.Reason, link.Refused
		if h.Passes != "" {
			message = h.Reason
		}
		if h.TooNew {
			message, reason = "it "+h.Reason+"; upgrade the agent", link.TooNew
		}
		if len(h.Good) > 0 {
			message += "; its last good form stays"
		} else {
			message += "; nothing stands in for it"
			reason = link.RefusedAtFirst
		}
		rep.Deviations[id] = link.Deviation{State: link.Quarantined, Reason: reason, Message: message, Since: h.Since}
	}
	for id, u := range e.unbindables(s.Resources) {
		reason := link.CannotBind
		if u.udp {
			reason = link.CannotBindUDP
		}
		rep.Deviations[id] = link.Deviation{State: link.Quarantined, Reason: reason, Message: u.message, Since: u.since}
	}
	for id, why := range e.halfKnown {
		rep.Deviations[id] = link.Deviation{State: link.Quarantined, Reason: link.TooNew, Message: "it " + why + "; upgrade the agent; the rest of it is heeded"}
	}
	rep.Quarantined = len(rep.Deviations)
	if err != nil {
		rep.Pending = len(s.Resources) - rep.Quarantined
		return rep
	}
	for id, d := range e.prover.unshown() {
		if _, held := rep.Deviations[id]; !held {
			rep.Deviations[id] = d
			rep.Pending++
		}
	}
	rep.Programmed = len(s.Resources) - rep.Quarantined - rep.Pending
	return rep
}
