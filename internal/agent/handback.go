package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"weir/internal/hapctl"
	"weir/internal/link"
)

// HandBackOptions say how a HAProxy goes back to whom it was taken over from.
type HandBackOptions struct {
	// Keep leaves Weir's configuration in place, as a plain file that nobody looks after.
	Keep bool
	// Undo takes back that HAProxy was handed back: the next agent takes it over anew.
	Undo bool
	// Now is the clock; the default is time.Now.
	Now func() time.Time
}

// HandBack gives a HAProxy back that the agent of a folder has taken over, and says in a sentence what it did. The agent must
// not run. Unless Weir's configuration is kept, the one that was found is put back and HAProxy reads it; the listeners that
// both name pass from one worker to the other. If HAProxy refuses it, everything stays as it was.
func HandBack(ctx context.Context, dir string, o HandBackOptions) (string, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("hand back: %w", err)
	}
	lock, err := link.Lock(filepath.Join(dir, linkDir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("hand back: %s is not the folder of an agent", dir)
	case err != nil:
		return "", fmt.Errorf("hand back: stop the agent first: %w", err)
	}
	defer lock.Close()
	r, err := readTakeover(dir)
	switch {
	case err != nil:
		return "", fmt.Errorf("hand back: %w", err)
	case r.Taken.IsZero():
		return "", fmt.Errorf("hand back: the agent of %s has taken no HAProxy over", dir)
	case o.Undo:
		return r.undoHandBack(dir)
	case !r.HandedBack.IsZero():
		return "", fmt.Errorf("hand back: HAProxy was handed back on %s already", r.HandedBack.Format(time.RFC3339))
	}
	said := fmt.Sprintf("HAProxy goes on with Weir's configuration in %s, which reads files in %s: keep that folder.", r.Config, filepath.Join(dir, haproxyDir))
	if !o.Keep {
		if said, err = r.putBack(ctx, dir); err != nil {
			return "", fmt.Errorf("hand back: %w", err)
		}
	}
	r.HandedBack, r.Kept = o.Now().UTC(), o.Keep
	if err := r.save(dir); err != nil {
		return "", fmt.Errorf("hand back: HAProxy has its own configuration again, but an agent that is started would take it over anew: %w", err)
	}
	return said, nil
}

// putBack puts the configuration that was found in its place and lets HAProxy read it.
func (r takeover) putBack(ctx context.Context, dir string) (string, error) {
	found, err := r.found(dir)
	if err != nil {
		return "", err
	}
	ours, err := r.ours(dir, found)
	if err != nil {
		return "", err
	}
	if err := place(r.Config, found, r.Mode, r.FileUID, r.FileGID); err != nil {
		return "", err
	}
	err = hapctl.HandBack(ctx, r.Master)
	switch {
	case errors.Is(err, hapctl.ErrAway):
		_ = os.Remove(filepath.Join(dir, oursFile))
		return fmt.Sprintf("The configuration that was found is in %s again; HAProxy is not running, and starts with it.", r.Config), nil
	case err != nil && ours == "":
		return "", fmt.Errorf("%w; the configuration that was found is in %s all the same, since there was none", err, r.Config)
	case err != nil:
		return "", errors.Join(err, place(r.Config, ours, r.Mode, r.FileUID, r.FileGID))
	}
	_ = os.Remove(filepath.Join(dir, oursFile))
	return fmt.Sprintf("HAProxy has read the configuration that was found, which is in %s again.", r.Config), nil
}

// oursFile holds Weir's configuration while HAProxy is handed back, for whoever is killed on the way and tries again.
const oursFile = foundDir + "/weir.cfg"

// ours gives the configuration that is put back when HAProxy refuses the one that was found; "" when there is none.
func (r takeover) ours(dir, found string) (string, error) {
	path := filepath.Join(dir, oursFile)
	text, err := os.ReadFile(r.Config)
	switch {
	case err == nil && string(text) != found:
		// On a full disk HAProxy is handed back all the same; the text is at hand unless somebody kills this.
		_ = writeOwned(path, text)
		if !(&host{dir: dir}).isOurs(string(text)) {
			if name, err := keepFound(dir, string(text)); err == nil {
				_ = ownAsFolder(filepath.Join(dir, foundDir, name))
			}
		}
		return string(text), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if kept, err := os.ReadFile(path); err == nil {
		return string(kept), nil
	}
	return string(text), nil
}

// undoHandBack lets the next agent look at HAProxy as it is by then. What was found stays kept, under its digest.
func (r takeover) undoHandBack(dir string) (string, error) {
	if r.HandedBack.IsZero() {
		return "", errors.New("hand back: there is nothing to undo, HAProxy was not handed back")
	}
	r.Displaced, r.Retaken = time.Time{}, time.Time{}
	if r.HandedBack = (time.Time{}); !r.Kept {
		r.Taken = time.Time{}
	}
	r.Kept = false
	if err := r.save(dir); err != nil {
		return "", fmt.Errorf("hand back: %w", err)
	}
	return "The agent takes HAProxy over again when it starts.", nil
}
