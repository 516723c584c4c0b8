package agent

import (
	"weir/internal/ir"
)

// effective gives what is to be brought into HAProxy: what this agent does not understand, and what HAProxy refused, is
// replaced by its last good form.
func (e *engine) effective(all []*ir.Resource) ([]*ir.Resource, error) {
	put, _, ok := ir.Changes(e.judged, all)
	if !ok {
		put = all
	}
	var strange []*ir.Resource
	var why []error
	for _, r := range put {
		delete(e.halfKnown, r.ID)
		err := ir.Understand(r)
		switch {
		case err == nil:
		case ir.Needed(r.ID):
			e.halfKnown[r.ID] = err.Error()
		default:
			strange, why = append(strange, r), append(why, err)
		}
	}
	if len(strange) > 0 {
		e.log.Warn("the control plane is newer than this agent, which leaves out what it does not understand", "resources", len(strange), "first", strange[0].ID, "why", why[0])
		if err := e.quarantine.setAside(strange, why, e.good); err != nil {
			return nil, err
		}
	}
	e.judged = all
	return e.quarantine.effective(all)
}
