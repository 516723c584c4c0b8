package agent

import (
	"context"
	"encoding/json"
	"fmt"
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

func (e *engine) note(r running) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("note what runs: %w", err)
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
	if err != nil || info.Pid != r.Worker {
		return nil
	}
	return r.Sections
}

func (e *engine) runningPath() string { return filepath.Join(e.folder.dir, "running.json") }
