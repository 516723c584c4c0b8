package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/plan"
	"weir/internal/secrets"
)

// meetHost looks for a HAProxy of somebody else, unless the agent is attached to it.
func (e *engine) meetHost(ctx context.Context) error {
	if e.host == nil || e.process != nil {
		return nil
	}
	err := e.host.meet(ctx)
	e.env.SocketUser = e.host.socketUser()
	return err
}

// join brings an engine that is attached to nothing to a HAProxy of somebody else: it attaches to one that has Weir's
// configuration, takes over one that has not, and keeps the files for one that is not there.
func (e *engine) join(ctx context.Context, want haproxy.Config, out *outcome) error {
	h := e.host
	if !h.away && !h.record.Taken.IsZero() {
		err := e.attachTaken(ctx)
		if err == nil {
			return e.joined(ctx, want)
		}
		if !errors.Is(err, hapctl.ErrNotRunning) {
			return err
		}
		if err := h.waitDisplaced(e.mode); err != nil {
			return err
		}
	}
	var look Look
	if !h.away {
		if h.refused != nil && h.now().Before(h.refusedUntil) {
			return h.refused
		}
		var err error
		if look, err = h.look(ctx, want); err != nil {
			return err
		}
		if why := look.Refusal(); why != "" {
			return &hostError{text: why, again: unsuitedWait}
		}
	}
	e.folder.doubt()
	if !e.folder.holds(want) {
		if err := e.check(ctx, want); err != nil {
			return err
		}
	}
	if h.away {
		if err := e.folder.save(want, e.keys); err != nil {
			return e.unkept(err)
		}
		return h.waited()
	}
	if e.refuseBinds(ctx, want) {
		return nil
	}
	return e.take(ctx, want, look, out)
}

// bootPatience is how long a worker of a master that answers may take to listen at its socket, and bootPace how often it is
// looked for.
const (
	bootPatience = 3 * time.Second
	bootPace     = 20 * time.Millisecond
)

// attachTaken attaches to a HAProxy that was taken over before. The error is hapctl.ErrNotRunning when it runs with
// another configuration than Weir's.
func (e *engine) attachTaken(ctx context.Context) error {
	for end := time.Now().Add(bootPatience); ; {
		process, err := hapctl.Attach(ctx, e.options)
		if err == nil {
			e.process = process
			e.tickets.runs(process)
			return nil
		}
		// One that begins with Weir's configuration listens there soon.
		text, rerr := os.ReadFile(e.host.want.Config)
		if rerr != nil || !e.host.isOurs(string(text)) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(bootPace):
		}
	}
}

// joined reads back a HAProxy that has read Weir's configuration without the agent: the one that it finds in place, or an
// older one, in which case it is loaded again.
func (e *engine) joined(ctx context.Context, want haproxy.Config) error {
	if err := e.host.regained(e.clock()); err != nil {
		return e.unkept(err)
	}
	if err := e.process.Client().AbortCert(ctx); err != nil {
		return err
	}
	running := e.runningSections(ctx)
	if running == nil && e.readBefore(ctx, want) {
		return e.loaded(ctx, want)
	}
	known := union(want, haproxy.Named(running))
	known.Sections = running
	return e.observeBroken(ctx, known)
}

// readBefore says whether the worker that serves began after the files in place were written, and they are those of want.
func (e *engine) readBefore(ctx context.Context, want haproxy.Config) bool {
	info, err := e.process.Client().Info(ctx)
	if err != nil {
		return false
	}
	file, err := os.Stat(e.folder.config)
	// A second for that the uptime is told in whole ones, and one for a clock that is set.
	began := time.Now().Add(-info.Uptime - 2*time.Second)
	e.folder.doubt()
	return err == nil && file.ModTime().Before(began) && e.folder.holds(want)
}

// take puts Weir's configuration in the place of the one that was found and lets HAProxy read it.
func (e *engine) take(ctx context.Context, want haproxy.Config, look Look, out *outcome) error {
	h := e.host
	before := h.record
	if err := h.keep(look); err != nil {
		return err
	}
	err := secrets.WriteFile(e.folder.path(haproxy.StateFile), []byte(haproxy.SeedState(look.rows, want)), 0o600)
	if err == nil {
		err = e.folder.save(want, e.keys)
	}
	if err != nil {
		return errors.Join(e.unkept(err), h.undo(look.text, before))
	}
	e.stateFile.Lock()
	defer e.stateFile.Unlock()
	read := e.tickets.reading()
	process, err := hapctl.TakeOver(ctx, e.options)
	read()
	if errors.As(err, new(*hapctl.ReloadError)) || errors.Is(err, hapctl.ErrEnded) {
		return h.refuse(err, h.undo(look.text, before))
	}
	if err != nil {
		return err // what became of it shows the next look
	}
	e.process = process
	e.tickets.runs(process)
	if err := h.regained(e.clock()); err != nil {
		return e.unkept(err)
	}
	e.log.Info("haproxy was taken over", "config", h.want.Config, "found", h.record.Found, "master", process.Pid())
	reason := plan.Reason{Text: "HAProxy was taken over"}
	out.Plan.Reload, out.Reloaded = []plan.Reason{reason}, true
	e.reloads.Count++
	e.reloads.Last, e.reloads.Reasons = e.clock(), []string{reason.String()}
	return e.loaded(ctx, want)
}

// refuse says that HAProxy did not take Weir's configuration although its check was content: that is the machine's doing, no
// object's, and each try may close the listeners for a moment. So it is tried again rarely.
func (h *host) refuse(why, undone error) error {
	h.refusedUntil = h.now().Add(refusedPause)
	h.refused = &hostError{text: fmt.Sprintf("HAProxy serves on with the configuration that was found; it did not take Weir's: %v; that is tried again every %s, or when the agent is started anew", why, refusedPause), again: unsuitedWait}
	if undone != nil {
		return errors.Join(why, undone)
	}
	return h.refused
}

// keep keeps the configuration that was found before anything is put in its place. What was found first is what is
// handed back; what somebody put there since is kept beside it.
func (h *host) keep(look Look) error {
	name, err := keepFound(h.dir, look.text)
	if err != nil {
		return err
	}
	if !h.record.Taken.IsZero() {
		return nil
	}
	info, err := os.Stat(h.want.Config)
	if err != nil {
		return fmt.Errorf("keep the configuration that was found: %w", err)
	}
	st := info.Sys().(*syscall.Stat_t)
	h.record = takeover{
		Master: h.want.Master, Config: h.want.Config, Found: name, Mode: info.Mode().Perm(),
		FileUID: int(st.Uid), FileGID: int(st.Gid), UID: h.met.UID, Taken: h.now().UTC(),
	}
	return h.record.save(h.dir)
}

// undo puts the configuration that was found back in its place, after HAProxy has refused another.
func (h *host) undo(text string, before takeover) error {
	r := h.record
	if err := place(r.Config, text, r.Mode, r.FileUID, r.FileGID); err != nil {
		return fmt.Errorf("put back the configuration that was found: %w", err)
	}
	h.record = before
	return before.save(h.dir)
}

// heldBinds are the addresses that HAProxy has already, for testing others. A HAProxy of another account shares a
// port between all addresses and single ones with itself, which the agent could not try.
func (e *engine) heldBinds(ctx context.Context, want haproxy.Config) []spot {
	var ours []spot
	if e.process != nil {
		for _, b := range e.have.Binds() {
			if b.UDP {
				continue // which HAProxies share
			}
			ours = append(ours, spotOf(b))
		}
	}
	if e.host == nil {
		return ours
	}
	if e.process == nil {
		for _, at := range e.host.listening(ctx) {
			ours = append(ours, spot{AddrPort: at})
		}
	}
	for _, b := range want.Binds() {
		if b.UDP {
			continue
		}
		for _, o := range ours {
			if o.namespace == b.Namespace && o.Port() == b.Port() && o.Addr().IsUnspecified() != b.Addr().IsUnspecified() {
				ours = append(ours, spotOf(b))
				break
			}
		}
	}
	return ours
}

// listening are the addresses of the configuration that was found.
func (h *host) listening(ctx context.Context) []netip.AddrPort {
	look, err := h.look(ctx, haproxy.Config{})
	if err != nil {
		return nil
	}
	var list []netip.AddrPort
	for _, k := range look.Kept {
		if k.Addr.IsValid() {
			list = append(list, k.Addr)
		}
	}
	return list
}
