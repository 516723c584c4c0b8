package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/secrets"
)

// restAfter is how long the files must have stayed as they are before they are said to rest.
const restAfter = 5 * time.Second

// restFile is in HAProxy's folder and says what the files were that a HAProxy ran with, at rest. They are synced
// before it. An agent that starts anew and finds just those starts HAProxy with them at once, and reads its journal
// meanwhile; what is wanted else HAProxy is then told as one that was left serving is.
const restFile = "rest.json"

// rested is what is in the file.
type rested struct {
	// Sums are the SHA-256 of all files, by path.
	Sums map[string]string `json:"sums"`
	// Sections are the text that a HAProxy has which reads them.
	Sections []haproxy.Section `json:"sections"`
}

// rest knows when the files have last changed. The loop writes it, the health watch reads it.
type rest struct {
	mu    sync.Mutex
	since time.Time
	want  haproxy.Config // zero while something else is on its way
	noted bool
}

// stir says that the files are about to change.
func (r *rest) stir() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = haproxy.Config{}
}

// settle says that HAProxy has what the files hold.
func (r *rest) settle(want haproxy.Config, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sameList(r.want.Sections, want.Sections) && sameList(r.want.Maps, want.Maps) && sameList(r.want.Backends, want.Backends) &&
		sameList(r.want.Certs, want.Certs) && sameList(r.want.CrtLists, want.CrtLists) {
		return
	}
	r.want, r.since, r.noted = want, now, false
}

// due gives what the files hold, once, when they have rested.
func (r *rest) due(now time.Time) (haproxy.Config, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.want.Sections) == 0 || r.noted || now.Sub(r.since) < restAfter {
		return haproxy.Config{}, false
	}
	r.noted = true
	return r.want, true
}

// still says that nothing has changed since due gave want.
func (r *rest) still(want haproxy.Config) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.noted && len(want.Sections) > 0 && sameList(r.want.Sections, want.Sections)
}

// note keeps the word that the files in a folder rest, which is no longer true, and harmless, when one of them
// changes.
func (r *rest) note(dir string, want haproxy.Config) error {
	note, before := rested{Sums: map[string]string{}, Sections: want.Sections}, readRested(dir)
	for _, name := range filesOf(want) {
		sum, err := sumOf(filepath.Join(dir, name))
		if err == nil && before.Sums[name] != sum { // else it was synced before
			err = syncFile(filepath.Join(dir, name))
		}
		if err != nil {
			return fmt.Errorf("note that the files rest: %w", err)
		}
		note.Sums[name] = sum
	}
	if !r.still(want) {
		return nil // some of them may be of the state before and some not
	}
	raw, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("note that the files rest: %w", err)
	}
	return secrets.WriteFile(filepath.Join(dir, restFile), raw, 0o600)
}

// readRested gives nothing when there is none or it can't be read.
func readRested(dir string) (note rested) {
	raw, err := os.ReadFile(filepath.Join(dir, restFile))
	if err != nil || json.Unmarshal(raw, &note) != nil {
		return rested{}
	}
	return note
}

// filesOf names all that a HAProxy reads of a configuration, but the servers' state.
func filesOf(c haproxy.Config) []string {
	names := []string{haproxy.ConfigFile, haproxy.PlaceholderCert}
	for _, m := range c.Maps {
		names = append(names, m.Path)
	}
	for _, l := range c.CrtLists {
		names = append(names, l.Path)
	}
	for _, cert := range c.Certs {
		names = append(names, cert.Path)
	}
	return names
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func sumOf(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// early is a HAProxy that was started before anything was known but its files.
type early struct {
	process  *hapctl.Process
	sections []haproxy.Section
	err      error
}

// startRested starts HAProxy if the files in its folder are those that were at rest. It gives no process, and no
// error, when they are not.
func startRested(ctx context.Context, o hapctl.Options) early {
	note := readRested(o.Dir)
	if len(note.Sections) == 0 || note.Sums[haproxy.ConfigFile] == "" {
		return early{}
	}
	for name, sum := range note.Sums {
		if have, err := sumOf(filepath.Join(o.Dir, name)); err != nil || have != sum {
			return early{}
		}
	}
	process, err := hapctl.Start(ctx, o)
	if errors.Is(err, hapctl.ErrRunning) {
		return early{} // it was left serving
	}
	return early{process, note.Sections, err}
}

// firstPatience is how long everything else waits for a HAProxy that is started early, since nobody is served before.
const firstPatience = 2 * time.Second

// firstOfAll starts HAProxy from files at rest, if they are there, and leaves it the machine until it serves.
func firstOfAll(ctx context.Context, o hapctl.Options, give chan<- early) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		give <- startRested(ctx, o)
	}()
	most := time.NewTimer(firstPatience)
	defer most.Stop()
	select {
	case <-done:
	case <-most.C:
	}
}

// adopt takes over a HAProxy that was started early, and notes what it has read as for one that was started here.
func (e *engine) adopt(ctx context.Context) error {
	if e.early == nil {
		return nil
	}
	var first early
	select {
	case first = <-e.early:
		e.early = nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if first.err != nil {
		e.log.Warn("HAProxy did not start with the files that were at rest; they are worked out again", "error", first.err)
	}
	if first.process == nil {
		return nil
	}
	e.log.Info("HAProxy was started with the files that were at rest", "master", first.process.Pid())
	return e.began(ctx, first.process, first.sections)
}
