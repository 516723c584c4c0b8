package agent

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"weir/internal/haproxy"
	"weir/internal/secrets"
)

// running is which text a HAProxy worker has read, for an agent that starts anew while HAProxy goes on.
type running struct {
	Worker   int               `json:"worker"`
	Sections []haproxy.Section `json:"sections"`
	// Next is the text that HAProxy is about to be told to read: another worker than that one has this, unless it is
	// of nobody's making.
	Next []haproxy.Section `json:"next,omitempty"`
	// Beside is how many files it counts besides checks.
	Beside int `json:"beside,omitempty"`
}

// note keeps which text runs, now or in a later pass: an agent that starts anew without knowing would reload.
func (e *engine) note() {
	if e.unnoted == nil {
		return
	}
	if err := e.keepRunning(*e.unnoted); err != nil {
		e.log.Warn("an agent that starts anew would reload, since it can't be kept which text runs", "error", err)
		return
	}
	e.unnoted = nil
}

// noteNext keeps which text HAProxy is about to read, for an agent that is to start anew because this one ended before
// it could note that.
func (e *engine) noteNext(ctx context.Context, want haproxy.Config) {
	info, err := e.process.Client().Info(ctx)
	if err == nil {
		e.unnoted = &running{Worker: info.Pid, Sections: e.have.Sections, Beside: e.beside} // for when HAProxy refuses it
		err = e.keepRunning(running{Worker: info.Pid, Sections: e.have.Sections, Next: want.Sections, Beside: e.beside})
	}
	if err != nil {
		e.log.Debug("an agent that is to start anew during the reload would reload again", "error", err)
	}
}

func (e *engine) keepRunning(r running) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return secrets.WriteFile(e.runningPath(), raw, 0o600)
}

// runningSections gives the text that the present worker has read, nil when that isn't known: everything is
// then different, and a reload brings what is wanted.
func (e *engine) runningSections(ctx context.Context) []haproxy.Section {
	raw, err := os.ReadFile(e.runningPath())
	if err != nil {
		return nil
	}
	var r running
	if json.Unmarshal(raw, &r) != nil {
		return nil
	}
	info, err := e.process.Client().Info(ctx)
	if err != nil {
		return nil
	}
	if info.Pid != r.Worker {
		return r.Next
	}
	e.beside = r.Beside
	return r.Sections
}

func (e *engine) runningPath() string { return filepath.Join(e.folder.dir, "running.json") }
