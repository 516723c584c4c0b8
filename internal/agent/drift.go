package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"weir"
	"weir/internal/drift"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
)

// due is what HAProxy would have if no other hand had touched it.
func (e *engine) due() haproxy.Config {
	return drift.Overlay(e.have, e.want, drift.Places(e.hands.items))
}

// target is what HAProxy is brought to: what is wanted, but where another hand's work is to be left alone and the wish
// for just that is no newer.
func (e *engine) target(want haproxy.Config) haproxy.Config {
	if e.mode != weir.DriftReport || len(e.hands.items) == 0 {
		return want
	}
	return drift.Overlay(want, e.have, drift.Places(drift.Left(e.hands.items, want)))
}

// giveUp no longer leaves alone what stands in a map that is to be exchanged whole and can't be written again: it would
// keep what is wanted from coming. It says whether there is any.
func (e *engine) giveUp(p plan.Plan) bool {
	if len(e.hands.items) == 0 {
		return false
	}
	lost := map[string]map[string]bool{}
	for _, op := range p.Ops {
		if op.Kind != plan.MapSwap {
			continue
		}
		for _, entry := range op.Entries {
			if entry.Owner == "" && !hapctl.Writable(entry.Key, entry.Value) {
				if lost[op.Path] == nil {
					lost[op.Path] = map[string]bool{}
				}
				lost[op.Path][entry.Key] = true
			}
		}
	}
	return e.hands.giveUp(func(p drift.Place) bool {
		return p.Kind == drift.Entry && lost[p.At][p.Name] || p.Kind == drift.Map && lost[p.At] != nil
	}, e.clock())
}

// differs takes for had what was seen to differ from what was known, and notes what of it is another hand's. It says
// whether there is anything new.
func (e *engine) differs(delta []drift.Item, seen haproxy.Config) bool {
	if len(delta) == 0 {
		return false
	}
	due := e.due()
	e.have = drift.Overlay(e.have, seen, drift.Places(delta))
	e.tellHands(e.hands.take(append(drift.Find(due, e.have), e.hands.files()...), e.clock()))
	return true
}

// tellHands logs what another hand did.
func (e *engine) tellHands(fresh []drift.Item) {
	if len(fresh) == 0 {
		return
	}
	then := "it is brought back"
	if e.mode == weir.DriftReport {
		then = "it is left alone"
	}
	var first []string
	times := 0
	for i, item := range fresh {
		times = max(times, e.hands.times[item.Place])
		if i < 10 {
			first = append(first, sayItem(item))
		}
	}
	e.log.Warn("haproxy was changed by another hand", "changes", len(fresh), "first", first, "then", then, "broughtBackBefore", times)
}

func sayItem(i drift.Item) string {
	switch {
	case i.Server != "":
		return fmt.Sprintf("server %s in pool %s: %s", i.Server, i.Pool, i.Text)
	case i.Pool != "":
		return fmt.Sprintf("pool %s: %s", i.Pool, i.Text)
	case i.Object != "":
		return i.Object + ": " + i.Text
	}
	return i.Text
}

// reckon notes, when a pass is over, what differs still.
func (e *engine) reckon() {
	if len(e.hands.items) == 0 {
		return
	}
	still := append(drift.Find(e.due(), e.have), e.editsOf(e.folder.look(false))...)
	e.hands.settle(still, e.mode != weir.DriftReport, e.clock())
}

// lookWhole reads back all of HAProxy and its files, and says whether anything was found that is new.
func (e *engine) lookWhole(ctx context.Context) (bool, error) {
	another, err := e.lookProcess(ctx)
	if err != nil {
		return false, err
	}
	known := union(e.want, e.have)
	known.Sections = e.have.Sections
	seen, err := e.process.Client().Observe(ctx, known)
	if err != nil {
		return false, err
	}
	news := e.differs(drift.Find(e.have, seen), seen)
	return e.lookFiles(true) || news || another, nil
}

// lookPart reads back some of what HAProxy has.
func (e *engine) lookPart(ctx context.Context, known haproxy.Config) (bool, error) {
	seen, err := e.process.Client().ObservePart(ctx, known)
	if err != nil {
		return false, err
	}
	have := haproxy.Config{Maps: known.Maps, Certs: known.Certs, CrtLists: known.CrtLists}
	for _, b := range known.Backends {
		if i := slices.IndexFunc(e.have.Backends, func(h haproxy.Backend) bool { return h.Name == b.Name }); i >= 0 {
			have.Backends = append(have.Backends, e.have.Backends[i])
		}
	}
	return e.differs(drift.Find(have, seen), seen), nil
}

// lookAt reads back some backends.
func (e *engine) lookAt(ctx context.Context, names []string) (bool, error) {
	var known haproxy.Config
	both := [][]haproxy.Backend{e.have.Backends, e.want.Backends}
	for _, name := range names {
		b := haproxy.Backend{Name: name}
		for _, list := range both {
			if i := slices.IndexFunc(list, func(h haproxy.Backend) bool { return h.Name == name }); i >= 0 {
				b = list[i]
				break
			}
		}
		known.Backends = append(known.Backends, b)
	}
	return e.lookPart(ctx, known)
}

// lookFiles notes the files that somebody has edited, and says whether anything was found that is new.
func (e *engine) lookFiles(all bool) bool {
	edits, before := e.editsOf(e.folder.look(all)), e.hands.files()
	if len(edits) == 0 && len(before) == 0 {
		return false
	}
	rest := slices.DeleteFunc(slices.Clone(e.hands.items), func(i drift.Item) bool { return i.Kind == drift.File })
	fresh := e.hands.take(append(rest, edits...), e.clock())
	e.tellHands(fresh)
	return len(fresh) > 0
}

func (e *engine) editsOf(edits []edit) []drift.Item {
	var items []drift.Item
	for _, d := range edits {
		item := drift.Item{Place: drift.Place{Kind: drift.File, At: d.name}, Is: fmt.Sprint(d.stamp.changed.UnixNano(), d.stamp.size, d.gone)}
		switch {
		case d.gone:
			item.Text = "file " + d.name + " deleted"
		case d.line == 0:
			item.Text = "file " + d.name + " edited"
		default:
			item.Text = d.name + " line " + strconv.Itoa(d.line) + " edited"
			item.Object = ownerAt(e.want, d.name, d.line)
		}
		items = append(items, item)
	}
	return items
}

// rewriteEdited has the files that were edited written anew at the next save, unless they are to be left alone.
func (e *engine) rewriteEdited() {
	if e.mode == weir.DriftReport {
		return
	}
	for _, item := range e.hands.files() {
		e.folder.mistrust(item.At)
	}
}

// worker is HAProxy's process that serves, as it was known last; the zero value is none.
type worker struct {
	pid     int
	version string
}

// meet notes which worker serves.
func (e *engine) meet(info haproxy.Info) { e.worker = worker{info.Pid, info.Version} }

// lookProcess finds a worker that this agent has not started, and says whether it runs another text than is wanted. It
// has read the files: if they are as they were written, its text is the one that ran before.
func (e *engine) lookProcess(ctx context.Context) (another bool, err error) {
	info, err := e.process.Client().Info(ctx)
	if errors.Is(err, hapctl.ErrStaleWorker) { // the session was with the one before
		info, err = e.process.Client().Info(ctx)
	}
	if err != nil || info.Pid == e.worker.pid {
		return false, err
	}
	if e.worker.pid != 0 {
		e.strange(fmt.Sprintf("HAProxy was reloaded by another hand: worker %d → %d", e.worker.pid, info.Pid), info)
		e.lookFiles(true)
		if _, edited := e.folder.edits[haproxy.ConfigFile]; edited && e.mode != weir.DriftReport {
			e.have.Sections, another = nil, true
		} else {
			e.unnoted = &running{Worker: info.Pid, Sections: e.have.Sections}
			e.note()
		}
	}
	e.meet(info)
	return another, nil
}

// strange notes that another hand's HAProxy process serves.
func (e *engine) strange(text string, info haproxy.Info) {
	if e.worker.version != "" && e.worker.version != info.Version {
		text += fmt.Sprintf(", version %s → %s", e.worker.version, info.Version)
	}
	text += ", begun " + e.clock().Add(-info.Uptime).UTC().Format(time.RFC3339)
	e.log.Warn("haproxy was changed by another hand", "first", text)
	e.hands.happened(drift.Place{Kind: drift.Restarted, At: strconv.Itoa(info.Pid)}, text, e.clock())
}

// aside gives what was seen to differ from before and no operation is about: another hand did it meanwhile.
func aside(delta []drift.Item, ops []plan.Op) []drift.Item {
	backends, servers, paths := map[string]bool{}, map[[2]string]bool{}, map[string]bool{}
	for _, op := range ops {
		switch {
		case op.Path != "":
			paths[op.Path] = true
		case op.Server != "":
			servers[[2]string{op.Backend, op.Server}] = true
		default:
			for _, name := range op.Servers {
				servers[[2]string{op.Backend, name}] = true
			}
			backends[op.Backend] = backends[op.Backend] || len(op.Servers) == 0
		}
	}
	return slices.DeleteFunc(slices.Clone(delta), func(i drift.Item) bool {
		return backends[i.At] || paths[i.At] || servers[[2]string{i.At, i.Name}]
	})
}
