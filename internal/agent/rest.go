package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
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
	var sums summer
	for names := range slices.Chunk(filesOf(want), settledAtOnce) {
		if !r.still(want) {
			return nil // what comes must not wait for the disk with this
		}
		var fresh []string
		for _, name := range names {
			sum, err := sums.of(filepath.Join(dir, name))
			if err != nil {
				return fmt.Errorf("note that the files rest: %w", err)
			}
			if note.Sums[name] = sum; before.Sums[name] != sum { // else it was synced before
				fresh = append(fresh, filepath.Join(dir, name))
			}
		}
		if err := secrets.SyncFiles(fresh...); err != nil {
			return fmt.Errorf("note that the files rest: %w", err)
		}
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

// summer gives the SHA-256 of files, and reads them all into the same space: thousands that come and go wake the collector.
type summer struct{ space bytes.Buffer }

func (s *summer) of(path string) (string, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	s.space.Reset()
	if _, err = s.space.ReadFrom(in); err != nil {
		return "", errors.Join(err, in.Close())
	}
	sum := sha256.Sum256(s.space.Bytes())
	return hex.EncodeToString(sum[:]), in.Close()
}

// holds says that all files in a folder are as they were noted.
func (n rested) holds(dir string) bool {
	var other atomic.Bool
	var all sync.WaitGroup
	names := slices.Collect(maps.Keys(n.Sums))
	for some := range slices.Chunk(names, max(len(names)/runtime.GOMAXPROCS(0), 1)) {
		all.Go(func() {
			var sums summer
			for _, name := range some {
				if have, err := sums.of(filepath.Join(dir, name)); err != nil || have != n.Sums[name] || other.Load() {
					other.Store(true)
					return
				}
			}
		})
	}
	all.Wait()
	return !other.Load()
}

// early is a HAProxy that was started before anything was known but its files.
type early struct {
	process  *hapctl.Process
	sections []haproxy.Section
	err      error
}

// start starts HAProxy if the files in its folder are those that were at rest. It gives no process, and no error, when
// they are not.
func (n rested) start(ctx context.Context, o hapctl.Options) early {
	if len(n.Sections) == 0 || n.Sums[haproxy.ConfigFile] == "" || !n.holds(o.Dir) {
		return early{}
	}
	process, err := hapctl.Start(ctx, o)
	if errors.Is(err, hapctl.ErrRunning) {
		return early{} // it was left serving
	}
	return early{process, n.Sections, err}
}

// firstPatience is how long everything else waits for a HAProxy that is started early, since nobody is served before; of
// one that reads many files firstOfFile more for each, two or three times what a certificate takes it.
const (
	firstPatience = 2 * time.Second
	firstOfFile   = time.Millisecond
)

// firstOfAll starts HAProxy from files at rest, if they are there, and leaves it the machine until it serves.
func firstOfAll(ctx context.Context, o hapctl.Options, give chan<- early) {
	note, done := readRested(o.Dir), make(chan struct{})
	go func() {
		defer close(done)
		give <- note.start(ctx, o)
	}()
	most := time.NewTimer(firstPatience + time.Duration(len(note.Sums))*firstOfFile)
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
