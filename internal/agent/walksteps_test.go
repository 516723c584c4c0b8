package agent

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"weir"
	"weir/internal/haproxy"
	"weir/internal/plan"
)

// leave abandons the engine, as an agent does that ends; HAProxy goes on.
func (w *walk) leave() {
	w.process.Client().Close()
	w.open()
	if err := w.resume(w.t.Context(), w.resources()); err != nil {
		w.fail("resume: %v", err)
	}
	if w.process == nil {
		w.fail("the running HAProxy was not found")
	}
	w.seen.Resumed++
}

// kill ends HAProxy as the kernel does when memory is short, and lets it be started anew.
func (w *walk) kill() {
	w.t.Helper()
	w.client.stop()
	w.sampler.stop()
	if err := unix.Kill(-w.process.Pid(), unix.SIGKILL); err != nil {
		w.fail("kill: %v", err)
	}
	<-w.process.Done()
	w.process, w.have = nil, haproxy.Config{} // as the agent's loop does
	if out, err := w.pass(w.t.Context()); err != nil || len(out.Held) > 0 {
		w.fail("start anew: %v, held %v", err, out.Held)
	}
	w.settle()
	w.watch()
	w.seen.Killed++
}

// interrupt begins a step and ends the engine in the middle of it; a new one goes on.
func (w *walk) interrupt(before *weir.Set) {
	w.t.Helper()
	old, want := w.wanted(before), w.wanted(w.all())
	planned := plan.Diff(plan.WithSpare(old, want, w.spare()), want)
	w.sampler.begin()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.rng.IntN(8_000))*time.Microsecond)
	defer cancel()
	_, err := w.pass(ctx)
	if err == nil {
		w.seen.Late++
	} else if ctx.Err() == nil {
		w.fail("converge: %v", err)
	}
	w.leave()
	out, err := w.pass(w.t.Context())
	switch {
	case err != nil:
		w.fail("converge after an interruption: %v", err)
	case len(out.Held) > 0:
		w.fail("held after an interruption %v: %v", out.Held, w.quarantine.held)
	case (out.Started || out.Reloaded) && len(planned.Reload) == 0:
		w.fail("an interruption takes a reload: %v", out.Plan.Reload)
	}
	w.held(out.Plan)
	w.seen.Interrupted++
}

// held is what holds after every step.
func (w *walk) held(done plan.Plan) {
	w.t.Helper()
	w.settle()
	if said := w.sampler.end(); said != "" {
		w.fail("%s\nplan:\n%s", said, script(done))
	}
	switch said := w.client.failures(); {
	case said == "":
	case w.sampler.wasLate("canary"):
		w.seen.Busy++
	default:
		w.fail("%s\nplan:\n%s", said, script(done))
	}
	w.said = nil
}

// watch lets clients ask and somebody count servers from now on.
func (w *walk) watch() {
	w.t.Helper()
	w.client.serves()
	w.client.start()
	w.sampler.start()
}

// back undoes the last changes, in one go.
func (w *walk) back(changes int) {
	w.t.Helper()
	before := w.all()
	for range min(changes, len(w.undo)) {
		last := w.undo[len(w.undo)-1]
		w.undo = w.undo[:len(w.undo)-1]
		w.make(last)
	}
	w.step(before)
}
