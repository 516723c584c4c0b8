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
}

// note keeps which text runs, now or in a later pass: an agent that starts anew without knowing would reload.
func (e *engine) note() {
	if e.unnoted == nil {
		return
	}
	raw, err := json.Marshal(e.unnoted)
	if err == nil {
		err = secrets.WriteFile(e.runningPath(), raw, 0o600)
	}
	if err != nil {
		e.log.Warn("an agent that starts anew would reload, since it can't be kept which text runs", "error", err)
		return
	}
	e.unnoted = nil
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
	if err != nil || info.Pid != r.Worker {
		return nil
	}
	return r.Sections
}

func (e *engine) runningPath() string { return filepath.Join(e.folder.dir, "running.json") }
