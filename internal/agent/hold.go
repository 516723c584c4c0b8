package agent

import (
	"context"
	"errors"
	"slices"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// hold finds out which objects a failure comes from and puts them into quarantine. all are the resources as
// wished, list those that were tried. False means that nothing more could be held.
func (e *engine) hold(ctx context.Context, failure error, all, list []*ir.Resource, want haproxy.Config) ([]string, bool) {
	if many := (*tooManyFiles)(nil); errors.As(failure, &many) {
		return e.holdServers(many, all)
	}
	found := map[string]blamed{}
	for _, b := range e.guilty(failure, want) {
		found[b.Owner] = b
	}
	var owners []string
	any := false
	for owner, b := range found {
		reason := b.Err.Error()
		held, err := e.quarantine.holdUntil(b.Passes, resourcesOf(owner, all), all, e.good, owner, reason)
		if err != nil {
			e.log.Error("quarantine", "error", err)
			return owners, false
		}
		if held {
			e.log.Warn("object put into quarantine", "object", owner, "reason", reason)
			owners = append(owners, owner)
			any = true
		}
	}
	if any {
		return owners, true
	}
	if owners, held := e.holdByHalves(ctx, failure, all, list); held {
		return owners, true
	}
	return e.holdChanged(failure, all, want)
}

// holdChanged is for what only a start shows, such as more files than the system gives: HAProxy's check is content
// with it and its words name no object. One object at a time is held of those that changed the text, what is the
// whole process's first.
func (e *engine) holdChanged(failure error, all []*ir.Resource, want haproxy.Config) ([]string, bool) {
	if !errors.As(failure, new(*hapctl.ReloadError)) && !errors.As(failure, new(*hapctl.StartError)) {
		return nil, false
	}
	for _, owner := range suspects(e.have, want) {
		held, err := e.quarantine.hold(resourcesOf(owner, all), all, e.good, owner, failure.Error())
		if err != nil {
			e.log.Error("quarantine", "error", err)
			return nil, false
		}
		if held {
			e.log.Warn("object put into quarantine, since it changed what HAProxy starts with", "object", owner, "reason", failure)
			return []string{owner}, true
		}
	}
	return nil, false
}

// suspects are the owners of the text that differs, those of the global section first.
func suspects(have, want haproxy.Config) []string {
	var first, others []string
	old := map[string]bool{}
	for _, s := range have.Sections {
		for _, l := range s.Lines {
			old[s.Kind+"\n"+s.Name+"\n"+l.Text] = true
		}
	}
	for _, s := range want.Sections {
		for _, l := range s.Lines {
			switch {
			case l.Owner == "" || old[s.Kind+"\n"+s.Name+"\n"+l.Text]:
			case s.Kind == "global":
				first = append(first, l.Owner)
			default:
				others = append(others, l.Owner)
			}
		}
	}
	return append(first, others...)
}

// guilty gives the objects that HAProxy's words name.
func (e *engine) guilty(failure error, want haproxy.Config) []blamed {
	var one *blamed
	if errors.As(failure, &one) && one.Owner != "" {
		return []blamed{*one}
	}
	var lines []hapctl.LogLine
	var check *hapctl.CheckError
	var reload *hapctl.ReloadError
	var start *hapctl.StartError
	var op *hapctl.OpError
	switch {
	case errors.As(failure, &op):
		if owner := blame(want, complaint{Text: op.Op.Path + ": " + op.Err.Error()}); op.Op.Owner == "" && owner != "" {
			return []blamed{{Owner: owner, Err: op.Err}}
		}
		if op.Op.Owner == "" {
			return nil
		}
		return []blamed{{Owner: op.Op.Owner, Err: op.Err}}
	case errors.As(failure, &check):
		lines = check.Lines
	case errors.As(failure, &reload):
		lines = reload.Lines
	case errors.As(failure, &start):
		lines = start.Lines
	}
	var list []blamed
	for _, l := range lines {
		owner := blame(want, complaint{File: l.File, Line: l.Line, Text: l.Text})
		if owner != "" && !slices.ContainsFunc(list, func(b blamed) bool { return b.Owner == owner }) {
			list = append(list, blamed{Owner: owner, Err: errors.New(l.Text)})
		}
	}
	return list
}

// holdByHalves is for failures whose words don't tell: it tries parts of what has changed until those
// resources are left without which HAProxy accepts the rest.
func (e *engine) holdByHalves(ctx context.Context, failure error, all, list []*ir.Resource) ([]string, bool) {
	var check *hapctl.CheckError
	var reload *hapctl.ReloadError
	var start *hapctl.StartError
	if !errors.As(failure, &check) && !errors.As(failure, &reload) && !errors.As(failure, &start) {
		return nil, false
	}
	accepts := func(try []*ir.Resource) bool {
		node, err := ir.Assemble(try)
		if err != nil {
			return false
		}
		node, _ = node.At(e.clock())
		return e.check(ctx, e.render(node)) == nil
	}
	var owners []string
	any := false
	for _, r := range culprits(e.good, changedSince(list, e.good), accepts) {
		owner := ir.Owner(r.ID)
		held, err := e.quarantine.hold([]string{r.ID}, all, e.good, owner, failure.Error())
		if err != nil {
			e.log.Error("quarantine", "error", err)
			return owners, false
		}
		if held {
			e.log.Warn("object put into quarantine, found by trying", "object", owner, "reason", failure)
			owners, any = append(owners, owner), true
		}
	}
	return owners, any
}
