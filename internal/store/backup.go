package store

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// Recipients are those who can read a backup.
type Recipients struct{ list []age.Recipient }

// maxRecipients bounds the recipients of one backup.
const maxRecipients = 32

// ParseRecipients reads public keys of age ("age1…"), one a line; empty lines and lines that begin with '#' are
// passed over.
func ParseRecipients(text string) (Recipients, error) {
	list, err := age.ParseRecipients(strings.NewReader(text))
	switch {
	case err != nil:
		// Not the parser's error: it may quote a private key that was given by mistake.
		return Recipients{}, weir.Errorf(weir.Invalid, "read recipients: give public keys of age, such as age1…, one a line, as age-keygen prints them")
	case len(list) > maxRecipients:
		return Recipients{}, weir.Errorf(weir.Invalid, "read recipients: %d are too many; at most %d are allowed", len(list), maxRecipients)
	}
	return Recipients{list}, nil
}

const (
	// catchUpPatience is how long a backup waits for large changes to be under o/; what is not there then is in
	// the backup as changes, and worked in when that is restored.
	catchUpPatience = 5 * time.Second
	// backupTries is how often a backup begins anew because etcd has tidied its moment away.
	backupTries = 5
	// pageBytes is how much is asked of etcd at once, about.
	pageBytes = 2 << 20
)

// Backup writes all there is at one moment to f, which it empties first, encrypted to the recipients: objects,
// kept changes, sealed secrets and sealed values of the platform, and never the key that opens them. It takes
// memory for a few megabytes however much there is. version is who writes, for people.
func (s *Store) Backup(ctx context.Context, f *os.File, to Recipients, version string) (BackupInfo, error) {
	if len(to.list) == 0 {
		return BackupInfo{}, weir.Errorf(weir.Invalid, "back up: name at least one recipient, a public key of age such as age1…")
	}
	if s.keyring() == nil {
		return BackupInfo{}, weir.Errorf(weir.Unavailable, "back up: the server has no sealing key")
	}
	if err := s.caughtUp(ctx, catchUpPatience); err != nil {
		return BackupInfo{}, err
	}
	var err error
	for range backupTries {
		if err = empty(f); err != nil {
			break
		}
		var info BackupInfo
		if info, err = s.backup(ctx, f, to, version); err == nil {
			return info, nil
		}
		if !errors.Is(err, rpctypes.ErrCompacted) {
			break
		}
	}
	if weir.KindOf(err) == "" {
		err = &weir.Error{Kind: weir.Unavailable, Message: "back up: it could not be written; the server's log says why", Cause: err}
	}
	return BackupInfo{}, err
}

func empty(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return errors.Join(err, f.Truncate(0))
}

// caughtUp waits until all changes are under o/, or for so long; the error is of ctx alone.
func (s *Store) caughtUp(ctx context.Context, within time.Duration) error {
	patience, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for patience.Err() == nil {
		if live, mat := s.present(); mat >= live.Revision {
			return nil
		}
		s.pauseFor(patience, 10*time.Millisecond)
	}
	return ctx.Err()
}

// backup is one try.
func (s *Store) backup(ctx context.Context, f *os.File, to Recipients, version string) (info BackupInfo, err error) {
	heads, err := s.client.Txn(ctx).Then(clientv3.OpGet(keyHead), clientv3.OpGet(keyMat)).Commit()
	if err != nil {
		return info, &weir.Error{Kind: weir.Unavailable, Message: "back up: etcd does not answer", Cause: err}
	}
	head, err := revisionIn(heads.Responses[0].GetResponseRange().Kvs, keyHead)
	if err != nil {
		return info, err
	}
	sealed, err := age.Encrypt(f, to.list...)
	if err != nil {
		return info, fmt.Errorf("encrypt: %w", err)
	}
	packed, _ := gzip.NewWriterLevel(sealed, gzip.BestSpeed) // the level is a known one
	w := newBackupWriter(packed, s.keyring())
	w.header(BackupInfo{Revision: head, At: s.opts.Clock().UTC().Truncate(time.Second), Version: version})
	err = s.adaptivePages(ctx, root, clientv3.GetPrefixRangeEnd(root), heads.Header.Revision, func(kvs []*mvccpb.KeyValue) error {
		for _, kv := range kvs {
			if key := string(kv.Key); kv.Lease == 0 && !passing(key) {
				w.record(record{Key: strings.TrimPrefix(key, root), Value: kv.Value, Generation: generationOf(kv)})
			}
		}
		return w.err
	})
	if err == nil {
		err = w.close()
	}
	if err == nil {
		err = errors.Join(packed.Close(), sealed.Close(), f.Sync())
	}
	return w.info, err
}

// passing tells the keys that belong to servers that run, and not to what they keep, and those that must not outlive
// their time. Which key seals is found out anew by the store that is restored.
func passing(key string) bool {
	return strings.HasPrefix(key, prefixPlatform+PrefixTickets) || strings.HasPrefix(key, prefixLead) || strings.HasPrefix(key, keySealing) || strings.HasPrefix(key, prefixMember) || strings.HasPrefix(key, prefixRegistration) || strings.HasPrefix(key, prefixHeard) || strings.HasPrefix(key, prefixSession) || strings.HasPrefix(key, prefixSpent) || key == keyRestore
}

// generationOf is that of a value of the platform, which etcd counts; 0 for all else.
func generationOf(kv *mvccpb.KeyValue) int64 {
	if strings.HasPrefix(string(kv.Key), prefixPlatform) {
		return kv.Version
	}
	return 0
}

// adaptivePages is pages with as many keys at a time as are of about pageBytes.
func (s *Store) adaptivePages(ctx context.Context, start, end string, at int64, f func([]*mvccpb.KeyValue) error) error {
	for limit := int64(32); ; {
		got, err := s.client.Get(ctx, start, clientv3.WithRange(end), clientv3.WithLimit(limit), clientv3.WithRev(at))
		if err != nil {
			return err
		}
		if err := f(got.Kvs); err != nil {
			return err
		}
		if !got.More {
			return nil
		}
		start = string(got.Kvs[len(got.Kvs)-1].Key) + "\x00"
		size := 1
		for _, kv := range got.Kvs {
			size += len(kv.Key) + len(kv.Value)
		}
		limit = min(max(limit*pageBytes/int64(size), 4), 2*limit, 4096)
	}
}
