package agent

import (
	"encoding/json"

	"weir/internal/haproxy"
	"weir/internal/ir"
)

// passing is a reason to hold an object that is not the object's, and what ends it.
type passing string

const (
	withKey   passing = "key"   // its private key is there again
	withFiles passing = "files" // HAProxy may have enough files open
)

// mayPass says that something is held for a reason that may pass.
func (q *quarantine) mayPass() bool {
	for _, h := range q.held {
		if h.Passes != "" {
			return true
		}
	}
	return false
}

// releasePassed lets go of certificates whose key is there again.
func (e *engine) releasePassed(all []*ir.Resource) error {
	return e.release(func(id string, h held) bool { return h.Passes == withKey && e.keyIsThere(id, all) })
}

// releaseFiles lets go of the servers that were too many, when there is room for all of them beside what is wanted now,
// and says whether there were any.
func (e *engine) releaseFiles(want haproxy.Config) (bool, error) {
	n := 0
	for _, h := range e.quarantine.held {
		if h.Passes == withFiles {
			n++
		}
	}
	if n == 0 || !e.roomFor(checks(want)+n) {
		return false, nil
	}
	return true, e.release(func(_ string, h held) bool { return h.Passes == withFiles })
}

func (e *engine) release(which func(id string, h held) bool) error {
	n := 0
	for id, h := range e.quarantine.held {
		if which(id, h) {
			delete(e.quarantine.held, id)
			n++
		}
	}
	if n == 0 {
		return nil
	}
	e.log.Info("what held objects has passed", "objects", n)
	return e.quarantine.save()
}

func (e *engine) keyIsThere(id string, all []*ir.Resource) bool {
	for _, r := range all {
		var c ir.Certificate
		if r.ID == id && json.Unmarshal(r.JSON(), &c) == nil && c.Key != nil {
			_, err := e.key(c.Name, *c.Key)
			return err == nil
		}
	}
	return false
}

// roomFor says whether HAProxy would start with so many servers that are checked.
func (e *engine) roomFor(servers int) bool {
	if e.process == nil || e.beside == 0 {
		return false
	}
	limit, ok := fileLimit(e.process.Pid())
	return !ok || e.beside+servers <= limit
}

// holdServers puts the servers away that HAProxy would not start again with.
func (e *engine) holdServers(many *tooManyFiles, all []*ir.Resource) ([]string, bool) {
	var ids []string
	for _, owner := range many.owners {
		ids = append(ids, resourcesOf(owner, all)...)
	}
	held, err := e.quarantine.holdUntil(withFiles, ids, all, e.good, "", many.Error())
	if err != nil {
		e.log.Error("quarantine", "error", err)
		return nil, false
	}
	if held {
		e.log.Warn("servers put into quarantine", "count", len(ids), "first", ids[0], "reason", many)
	}
	return many.owners, held
}
