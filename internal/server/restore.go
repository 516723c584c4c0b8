package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/store"
)

// sharedRestored is the value of the platform that tells of the restore that the store comes from.
const sharedRestored = "restored"

// BackupInfo says what a backup holds.
type BackupInfo = store.BackupInfo

// Restored says what a restore has made.
type Restored struct {
	Backup BackupInfo
	// Revision is that of the change that made the tokens void.
	Revision int64
	// Tokens counts those that were left behind.
	Tokens int
	// TokenFile holds the new first admin's token.
	TokenFile string
}

// VerifyBackup reads a backup to its end with the identities' text and says what is in it. With the text of a
// sealing key it also makes sure that the backup was made under that.
func VerifyBackup(in io.Reader, identities, sealingKey string) (BackupInfo, error) {
	ids, err := store.ParseIdentities(identities)
	if err != nil {
		return BackupInfo{}, fmt.Errorf("read identity: %w", err)
	}
	var ring *secrets.Keyring
	if sealingKey != "" {
		if ring, err = secrets.ParseKeyring(sealingKey); err != nil {
			return BackupInfo{}, err
		}
	}
	return store.VerifyBackup(in, ids, ring)
}

// Restore puts a backup into an empty store, that of o, and makes a new first admin's token. A server that is
// started on it is held until the restore is accepted. Of o the folder, the cluster, the sealing key, the log and
// the clock count.
func Restore(ctx context.Context, o Options, backup io.ReadSeeker, identities string) (Restored, error) {
	o.fill()
	ids, err := store.ParseIdentities(identities)
	if err != nil {
		return Restored{}, fmt.Errorf("read identity: %w", err)
	}
	s := &server{opts: o}
	defer s.close()
	if s.keyring, err = s.givenKeyring(); err != nil {
		return Restored{}, err
	}
	var done Restored
	done.Backup, err = store.Restore{
		Into: s.storeOptions(), From: backup, Identities: ids, Without: []string{sharedEpoch, sharedRestored},
		Finish: func(ctx context.Context, st *store.Store, info BackupInfo) error {
			s.store = st
			var err error
			done, err = s.finishRestore(ctx, info)
			return err
		},
	}.Run(ctx)
	if err != nil {
		return Restored{}, err
	}
	return done, s.auditRestore(done)
}

// givenKeyring opens the sealing key that there must be: a new one would open nothing.
func (s *server) givenKeyring() (*secrets.Keyring, error) {
	if s.opts.SealingKey != "" {
		return secrets.ParseKeyring(s.opts.SealingKey)
	}
	ring, err := secrets.OpenKeyring(s.path(keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("restore: the sealing key is missing: put that of the control plane that made the backup at %s (mode 0600), or name it with --sealing-key-file", s.path(keyFile))
	}
	return ring, err
}

// finishRestore leaves tokens behind, begins another history, and holds what will be served.
func (s *server) finishRestore(ctx context.Context, info BackupInfo) (Restored, error) {
	done := Restored{Backup: info, TokenFile: s.path(tokenFile)}
	if err := os.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return done, err
	}
	text, hash := secrets.NewToken("admin")
	if err := secrets.WriteFile(done.TokenFile, []byte(text+"\n"), 0o600); err != nil {
		return done, err
	}
	first := &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "first-admin"}, Spec: &weir.Token{Subject: "admin", Hash: hash}}
	writes := []weir.Write{{Put: first}}
	view := s.store.View()
	for o := range view.All("Token") {
		done.Tokens++
		if o.Ref() != first.Ref() {
			writes = append(writes, weir.Write{Delete: o.Ref()})
		}
	}
	if grant := missingGrant(view); grant != nil {
		writes = append(writes, weir.Write{Put: grant})
	}
	got, err := s.store.Apply(ctx, store.Request{
		Author: firstAuthor, Writes: writes,
		Reason: fmt.Sprintf("restored from the backup of %s, revision %d; tokens are left behind", info.At.UTC().Format(time.RFC3339), info.Revision),
	})
	if err != nil {
		return done, err
	}
	done.Revision = got.Revision
	if _, err := s.epoch(ctx); err != nil {
		return done, err
	}
	note, err := json.Marshal(api.Restored{BackupAt: info.At, BackupRevision: info.Revision, RestoredAt: s.opts.Clock().UTC().Truncate(time.Second), Held: true})
	if err != nil {
		return done, err
	}
	return done, s.store.SetPlatform(ctx, sharedRestored, note, 0)
}

// missingGrant gives the grant that makes admin an admin, unless there is one.
func missingGrant(view *weir.Set) *weir.Object {
	for o := range view.All("Grant") {
		if g := o.Spec.(*weir.Grant); g.Subject == "admin" && g.Role == "*" && g.Right == weir.Admin {
			return nil
		}
	}
	name := "admin"
	for i := 2; view.Get(weir.Ref{Kind: "Grant", Name: name}) != nil; i++ {
		name = fmt.Sprintf("admin-%d", i)
	}
	return &weir.Object{Kind: "Grant", Metadata: weir.Metadata{Name: name}, Spec: &weir.Grant{Subject: "admin", Role: "*", Right: weir.Admin}}
}

func (s *server) auditRestore(done Restored) error {
	audit, err := secrets.OpenAudit(s.path(auditFile), auditBytes, auditKeep, s.opts.Clock)
	if err != nil {
		return err
	}
	err = audit.Append(secrets.AuditEntry{
		Author: firstAuthor, What: "restore", Outcome: "accepted",
		Reason: fmt.Sprintf("from the backup of %s, revision %d; %d tokens left behind", done.Backup.At.UTC().Format(time.RFC3339), done.Backup.Revision, done.Tokens),
	})
	return errors.Join(err, audit.Close())
}

// readRestored reads it once, before agents are let in.
func (s *server) readRestored(ctx context.Context) error {
	value, _, err := s.store.Platform(ctx, sharedRestored)
	if weir.KindOf(err) == weir.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was restored: %w", err)
	}
	return s.noteRestored(value)
}

func (s *server) noteRestored(value secrets.Secret) error {
	r := new(api.Restored)
	if err := json.Unmarshal(value.Bytes(), r); err != nil {
		return fmt.Errorf("read what was restored: %w", err)
	}
	s.restored.Store(r)
	return nil
}

// followRestored lets go when the restore is accepted, here or on another server, until ctx ends.
func (s *server) followRestored(ctx context.Context) {
	s.store.FollowPlatform(ctx, sharedRestored, func(value secrets.Secret, _ int64) {
		if err := s.noteRestored(value); err != nil {
			s.opts.Log.Error("follow the restore", "error", err)
			return
		}
		if r := s.restored.Load(); !r.Held && s.hub.Held() {
			s.opts.Log.Info("the restore is accepted; load balancers are sent what is wanted", "by", r.AcceptedBy, "reason", r.Reason)
			s.hub.Release()
		}
	})
}

// held tells that nothing is to be sent to agents.
func (s *server) held() bool {
	r := s.restored.Load()
	return r != nil && r.Held
}

// accepted is work that begins once no restore waits to be accepted: what the world outside would see of it can't be
// taken back.
func (s *server) accepted(work func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-s.hub.Released():
			return work(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Restored implements api.RestoreSource.
func (s *server) Restored() *api.Restored { return s.restored.Load() }

// AcceptRestore implements api.RestoreSource.
func (s *server) AcceptRestore(ctx context.Context, by, reason string) (api.Restored, error) {
	value, generation, err := s.store.Platform(ctx, sharedRestored)
	if err != nil {
		return api.Restored{}, err
	}
	var r api.Restored
	if err := json.Unmarshal(value.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read what was restored: %w", err)
	}
	if !r.Held {
		return r, weir.Errorf(weir.Conflict, "the restore was accepted by %s at %s already", r.AcceptedBy, r.AcceptedAt.UTC().Format(time.RFC3339))
	}
	r.Held, r.AcceptedAt, r.AcceptedBy, r.Reason = false, s.opts.Clock().UTC().Truncate(time.Second), by, reason
	raw, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	if err := s.store.SetPlatform(ctx, sharedRestored, raw, generation); err != nil {
		return r, err
	}
	s.restored.Store(&r)
	s.hub.Release()
	return r, nil
}

// RestorePlan implements api.RestoreSource.
func (s *server) RestorePlan(ctx context.Context) (api.RestorePlan, error) {
	r := s.restored.Load()
	if r == nil || !s.hub.Held() {
		return api.RestorePlan{}, weir.Errorf(weir.Conflict, "nothing is held: the restore was accepted, and what load balancers do is in weir status")
	}
	silent := s.gather(ctx)
	plan, err := s.fleet.restorePlan(ctx)
	plan.Restored, plan.Silent, plan.Strangers = *r, silent, s.fleet.strangers()
	if plan.Strangers == nil {
		plan.Strangers = []api.Stranger{}
	}
	return plan, err
}

// gather asks the other servers of the store what their agents have, and names those that don't say.
func (s *server) gather(ctx context.Context) (silent []string) {
	looking, cancel := context.WithTimeout(ctx, gatherWithin)
	defer cancel()
	var others []store.Member
	s.store.FollowMembers(looking, func(members []store.Member) {
		others = slices.DeleteFunc(slices.Clone(members), func(m store.Member) bool { return m.ID == s.store.ID() })
		cancel()
	})
	for _, m := range others {
		if err := s.hub.Gather(ctx, m.URL, s.showItself); err != nil {
			s.opts.Log.Warn("ask another control plane what its agents have", "url", m.URL, "error", err)
			silent = append(silent, fmt.Sprintf("%s (%s) does not say what its agents have: %s", m.Name, m.URL, strings.TrimSpace(err.Error())))
		}
	}
	return silent
}

// gatherWithin is how long it may take to learn which servers there are.
const gatherWithin = 5 * time.Second
