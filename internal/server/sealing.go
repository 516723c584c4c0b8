package server

import (
	"context"
	"fmt"
	"os"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/store"
)

// KeyFile is the name of the file with the sealing keys in the data folder, unless they are elsewhere.
const KeyFile = "sealing.key"

const (
	// leadSealing is the work of changing the sealing key, which one server does.
	leadSealing = "sealing"
	// lookAtKeys is how often a server looks whether its key file has changed.
	lookAtKeys = 2 * time.Second
	// sealingRetry is the pause after a sealing anew that did not come to its end.
	sealingRetry = 30 * time.Second
)

// keyPath is the file with the sealing keys; empty when they come from the environment.
func (s *server) keyPath() string {
	switch {
	case s.opts.SealingKeyFile != "":
		return s.opts.SealingKeyFile
	case s.opts.SealingKey != "":
		return ""
	}
	return s.path(keyFile)
}

// readKeyFile opens the file of --sealing-key-file, whose mode is its owner's matter: some of those who bring secrets
// to machines let a group read them.
func readKeyFile(path string) (*secrets.Keyring, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read sealing key: %w", err)
	}
	ring, err := secrets.ParseKeyring(string(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ring, nil
}

// followKeyFile takes over what the key file holds whenever it was changed, and calls changed, until ctx ends.
func (s *server) followKeyFile(ctx context.Context, changed func()) {
	path := s.keyPath()
	if path == "" {
		return
	}
	var last os.FileInfo
	tick := time.NewTicker(lookAtKeys)
	defer tick.Stop()
	told := ""
	for {
		info, err := os.Stat(path)
		if err == nil && (last == nil || !os.SameFile(last, info) || !last.ModTime().Equal(info.ModTime()) || last.Size() != info.Size()) {
			if err = s.takeKeyFile(ctx, path, changed); err == nil {
				last = info
			}
		}
		switch {
		case err == nil:
			told = ""
		case err.Error() != told && ctx.Err() == nil:
			told = err.Error()
			s.opts.Log.Error("take over the key file; the keys from before stay", "file", path, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *server) takeKeyFile(ctx context.Context, path string, changed func()) error {
	ring, err := readKeyFile(path)
	if err != nil {
		return err
	}
	before := fmt.Sprint(s.store.SealingKeys())
	if before == fmt.Sprint(ring.IDs()) {
		return nil
	}
	if err := s.store.UseKeyring(ctx, ring); err != nil {
		return err
	}
	s.opts.Log.Info("the key file has changed", "file", path, "keys", ring.IDs())
	changed()
	return nil
}

// driveSealing lets the key seal that all servers have first, and seals anew what older ones have sealed.
func (s *server) driveSealing(ctx context.Context) error {
	moved := make(chan struct{}, 1)
	go s.store.FollowMembers(ctx, func([]store.Member) {
		select {
		case moved <- struct{}{}:
		default:
		}
	})
	for {
		if err := s.changeSealing(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Error("change the sealing key; trying again", "again", sealingRetry, "error", err)
		}
		again := time.NewTimer(sealingRetry)
		select {
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		case <-moved:
		case <-again.C:
		}
		again.Stop()
	}
}

func (s *server) changeSealing(ctx context.Context) error {
	switched, err := s.store.SwitchSealing(ctx)
	if err != nil {
		return err
	}
	state, err := s.store.Sealing(ctx)
	if err != nil {
		return err
	}
	if switched {
		s.auditSealing("change sealing key", fmt.Sprintf("%s seals; what %v have sealed is sealed anew", state.Key, state.Older))
	}
	if len(state.Older) == 0 {
		return nil
	}
	if err := s.store.SealAnew(ctx); err != nil {
		return err
	}
	s.auditSealing("seal anew", "everything is sealed with "+state.Key)
	return nil
}

func (s *server) auditSealing(what, said string) {
	s.opts.Log.Info(what, "what", said)
	if err := s.audit.Append(secrets.AuditEntry{Author: firstAuthor, What: what, Object: "sealing key", Outcome: "accepted", Reason: said}); err != nil {
		s.opts.Log.Error("write audit", "error", err)
	}
}

// sealing tells how the sealing key stands; nil of a store that has nothing sealed.
func (m memberSource) sealing(ctx context.Context) (*api.SealingStatus, error) {
	state, err := m.store.Sealing(ctx)
	if weir.KindOf(err) == weir.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &api.SealingStatus{
		Key: state.Key, Since: state.Since, Older: state.Older, Total: state.Total, Done: state.Done, Finished: state.Finished, Stuck: state.Stuck,
	}, nil
}
