package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/internal/api"
	"weir/internal/store"
)

// Backups says that one server of the store makes backups by itself.
type Backups struct {
	// Dir is where they go; it is made when absent.
	Dir string
	// Recipients are the public keys of age of those who can read them.
	Recipients []string
	// Every is how long after one the next is made.
	Every time.Duration
	// Keep is how many stay; older ones are removed once another is whole.
	Keep int
}

const (
	// leadBackup is the work of making backups, which one server does.
	leadBackup = "backup"
	// backupRetry is the pause after a backup that failed.
	backupRetry = 5 * time.Minute
	// heldPause is between two looks at whether a restore is still held.
	heldPause = 10 * time.Second
)

// ownBackup is what the files that may be removed are called.
var ownBackup = regexp.MustCompile(`^weir-([0-9]{8}T[0-9]{6}Z)-r[0-9]+\.age$`)

// backups makes backups and removes old ones.
type backups struct {
	*Backups
	*server
	to store.Recipients
}

// openBackups makes sure, before anything is served, that backups can be made as asked.
func (s *server) openBackups(context.Context) error {
	b := s.opts.Backups
	if b == nil {
		return nil
	}
	to, err := store.ParseRecipients(strings.Join(b.Recipients, "\n"))
	switch {
	case err != nil:
		return err
	case b.Dir == "" || b.Every <= 0 || b.Keep < 1:
		return errors.New("make backups: a folder, a time between two, and a number to keep are needed")
	}
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return fmt.Errorf("make backups: %w", err)
	}
	s.backups = &backups{Backups: b, server: s, to: to}
	if _, err := s.backups.files(); err != nil {
		return fmt.Errorf("make backups: %w", err)
	}
	return nil
}

// registerBackups tells in metrics when the last backup in this server's folder was made.
func (s *server) registerBackups(r prometheus.Registerer) {
	if s.backups == nil {
		return
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_backup_timestamp_seconds", Help: "When the newest backup in the server's folder was made, in seconds since 1970; 0 for none.",
	}, func() float64 {
		files, err := s.backups.files()
		if err != nil || len(files) == 0 {
			return 0
		}
		return float64(timeOf(files[len(files)-1]).Unix())
	}))
}

// run makes backups until ctx ends.
func (b *backups) run(ctx context.Context) error {
	for {
		wait, err := b.next(ctx)
		if err != nil {
			b.opts.Log.Error("make a backup; trying again", "folder", b.Dir, "again", min(b.Every, backupRetry), "error", err)
			wait = min(b.Every, backupRetry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// next makes a backup if it is time, and tells when to look again. None is made of a store whose restore nobody has
// accepted yet: in the end it would push out the one that it came from.
func (b *backups) next(ctx context.Context) (time.Duration, error) {
	if b.held() {
		return heldPause, nil
	}
	files, err := b.files()
	if err != nil {
		return 0, err
	}
	if len(files) > 0 {
		if rest := timeOf(files[len(files)-1]).Add(b.Every).Sub(b.opts.Clock()); rest > 0 {
			return min(rest, b.Every), nil
		}
	}
	if err := b.write(ctx); err != nil {
		return 0, err
	}
	return b.Every, b.prune()
}

// write makes one backup, under its name only when it is whole.
func (b *backups) write(ctx context.Context) (err error) {
	began := time.Now()
	f, err := os.CreateTemp(b.Dir, ".backup-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	info, err := b.store.Backup(ctx, f, b.to, b.opts.Version)
	if err != nil {
		return errors.Join(err, errors.Unwrap(err))
	}
	name := filepath.Join(b.Dir, api.BackupName(info.At, info.Revision))
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	b.opts.Log.Info("made a backup", "file", name, "revision", info.Revision, "records", info.Records, "took", time.Since(began).Round(time.Millisecond))
	return f.Close()
}

// files lists the backups in the folder, the oldest first.
func (b *backups) files() ([]string, error) {
	entries, err := os.ReadDir(b.Dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if ownBackup.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// timeOf reads the time in a backup's name.
func timeOf(name string) time.Time {
	at, err := time.Parse("20060102T150405Z", ownBackup.FindStringSubmatch(name)[1])
	if err != nil {
		return time.Time{}
	}
	return at
}

// prune removes the oldest, and what a server that died has left half done.
func (b *backups) prune() error {
	files, err := b.files()
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range files[:max(0, len(files)-b.Keep)] {
		problems = append(problems, os.Remove(filepath.Join(b.Dir, name)))
	}
	left, err := filepath.Glob(filepath.Join(b.Dir, ".backup-*"))
	for _, path := range left {
		if info, serr := os.Stat(path); serr == nil && time.Since(info.ModTime()) > time.Hour {
			problems = append(problems, os.Remove(path))
		}
	}
	return errors.Join(append(problems, err)...)
}
