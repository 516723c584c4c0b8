package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"weir"
	"weir/internal/drift"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

// displaced notes that somebody has put another configuration in the place of Weir's and had HAProxy, which was
// taken over, read it: then it must be taken over anew. looked is the error of the last look at HAProxy, if any.
func (a *Agent) displaced(ctx context.Context, looked error) bool {
	e := a.engine
	if e.host == nil || e.process == nil || !silent(looked) && !e.edited() {
		return false
	}
	met, err := hapctl.Survey(ctx, e.host.want.Master)
	if err != nil || met.Worker == e.worker.pid || !silent(e.host.socketError(ctx)) {
		return false // whoever reads Weir's configuration listens at its socket before it serves
	}
	text := fmt.Sprintf("HAProxy was reloaded by another hand, which has put another configuration in place of Weir's: worker %d → %d; %s",
		e.worker.pid, met.Worker, e.host.cure())
	a.log.Warn("haproxy was changed by another hand", "first", text)
	e.process.LetGo()
	e.process, e.have, e.worker = nil, haproxy.Config{}, worker{}
	e.hands.settle(nil, false, a.opts.Clock())
	e.hands.happened(drift.Place{Kind: drift.Restarted, At: e.host.want.Config}, text, a.opts.Clock())
	a.report.process(nil)
	if err := e.host.noteDisplaced(a.opts.Clock()); err != nil {
		a.log.Warn("an agent that is started anew does not know that somebody put another configuration in place", "error", err)
	}
	return true
}

// silent says that nobody listens at a run-time socket.
func silent(err error) bool {
	return errors.Is(err, hapctl.ErrNoAnswer) && (errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist))
}

// edited says that the configuration in place is no longer the one that was written.
func (e *engine) edited() bool {
	was, known := e.folder.stamps[haproxy.ConfigFile]
	now, there := stampOf(e.host.want.Config)
	return known && (!there || now != was)
}

// socketError is what becomes of a new connection to the run-time socket of Weir's configuration.
func (h *host) socketError(ctx context.Context) error {
	client := hapctl.NewClient(h.socket())
	defer client.Close()
	_, err := client.Pid(ctx)
	return err
}

// noteDisplaced keeps that somebody has put another configuration in place, until Weir's is read again.
func (h *host) noteDisplaced(now time.Time) error {
	if !h.record.Displaced.IsZero() {
		return nil
	}
	h.record.Displaced = now.UTC()
	return h.record.save(h.dir)
}

// regained keeps that Weir's configuration is read again, at now.
func (h *host) regained(now time.Time) error {
	if h.record.Displaced.IsZero() {
		return nil
	}
	h.record.Displaced, h.record.Retaken = time.Time{}, now.UTC()
	return h.record.save(h.dir)
}

// waitDisplaced says why a HAProxy that somebody gave another configuration is not taken over again, or not yet; nil
// when it is to be. Whoever did it may do it again at once, and each time is two reloads.
func (h *host) waitDisplaced(mode weir.DriftMode) error {
	r := h.record
	if r.Displaced.IsZero() {
		return nil
	}
	then := "its group has drift: report, so that is left alone until the group has drift: correct"
	if mode != weir.DriftReport {
		next := r.Retaken.Add(refusedPause)
		if !h.now().Before(next) {
			return nil
		}
		then = fmt.Sprintf("Weir's was put in place again at %s, and will be next at %s", r.Retaken.Format(time.RFC3339), next.Format(time.RFC3339))
	}
	return &hostError{
		text: fmt.Sprintf("somebody, such as configuration management, has put another configuration in the place of Weir's and reloaded HAProxy, noticed at %s; HAProxy serves with that one; %s; %s",
			r.Displaced.Format(time.RFC3339), then, h.cure()),
		again: unsuitedWait, failed: true,
	}
}

// cure is what to do about two who write one file.
func (h *host) cure() string {
	return fmt.Sprintf("take %s out of configuration management, or stop the agent and hand HAProxy back: weir agent handback --dir %s", h.want.Config, h.dir)
}

func (h *host) socket() string { return filepath.Join(h.dir, haproxyDir, haproxy.AdminSocket) }

// keepDisplaced keeps what somebody has put in the place of Weir's configuration, before that is written again.
func (h *host) keepDisplaced() error {
	text, err := os.ReadFile(h.want.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep the configuration that is in place: %w", err)
	}
	if h.isOurs(string(text)) {
		return nil
	}
	if _, err := keepFound(h.dir, string(text)); err != nil {
		return err
	}
	h.latest = string(text)
	return nil
}
