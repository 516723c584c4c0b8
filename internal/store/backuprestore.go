package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"weir"
)

// Restore says what goes where.
type Restore struct {
	// Into is the store, which must be empty, and its Keyring the one that the backup was made under.
	Into Options
	// From is the backup; it is read twice.
	From io.ReadSeeker
	// Identities open it.
	Identities Identities
	// Without names the values of the platform that are left out.
	Without []string
	// Finish completes the store while nobody else can open it. What it returns undoes nothing: the restore is
	// then to be run again.
	Finish func(ctx context.Context, s *Store, info BackupInfo) error
}

// restoring is the value of the key that keeps everybody else out.
type restoring struct {
	Nonce string    `json:"nonce"`
	Since time.Time `json:"since"`
	// At is when the backup was made, that of the one who reads this.
	At time.Time `json:"at"`
}

// Run puts a backup into an empty store. Nothing is written unless the whole backup was read and found good, and
// until all of it is there the store opens for nobody; a Run that was cut off is run again and starts over.
func (r Restore) Run(ctx context.Context) (BackupInfo, error) {
	r.Into.fill()
	if r.Into.Keyring == nil {
		return BackupInfo{}, errors.New("restore: the sealing key is needed that the backup was made under")
	}
	info, err := VerifyBackup(r.From, r.Identities, r.Into.Keyring)
	if err != nil {
		return info, fmt.Errorf("restore: %w; nothing was written", err)
	}
	if _, err := r.From.Seek(0, io.SeekStart); err != nil {
		return info, fmt.Errorf("restore: %w", err)
	}
	client, e, err := r.reach(ctx)
	if err != nil {
		return info, fmt.Errorf("restore into %s: %w", r.Into.place(), err)
	}
	err = r.into(ctx, client, info)
	if e != nil {
		err = errors.Join(err, e.stop())
	} else {
		err = errors.Join(err, ignoreCancelled(client.Close()))
	}
	if err != nil {
		return info, fmt.Errorf("restore into %s: %w", r.Into.place(), err)
	}
	return info, nil
}

// place names the store for people.
func (o *Options) place() string {
	if o.Cluster != nil {
		return strings.Join(o.Cluster.Endpoints, ", ")
	}
	return o.Dir
}

func (r Restore) reach(ctx context.Context) (*clientv3.Client, *embedded, error) {
	if r.Into.Cluster != nil {
		client, err := connect(ctx, *r.Into.Cluster, r.Into)
		return client, nil, err
	}
	e, err := startEmbedded(ctx, r.Into)
	if err != nil {
		return nil, nil, err
	}
	return e.client, e, nil
}

func (r Restore) into(ctx context.Context, client *clientv3.Client, info BackupInfo) error {
	marker, err := r.begin(ctx, client, info)
	if err != nil {
		return err
	}
	if err := r.load(ctx, client, marker); err != nil {
		return err
	}
	opts := r.Into
	opts.restoring, opts.Cluster = marker, nil // the client is closed by Run
	s, err := open(ctx, client, nil, opts)
	if err != nil {
		return err
	}
	if err = errors.Join(r.Finish(ctx, s, info), s.Close()); err != nil {
		return err
	}
	return end(ctx, client, marker)
}

// begin takes the empty store, or what an earlier restore left of one, and gives the marker that says so.
func (r Restore) begin(ctx context.Context, client *clientv3.Client, info BackupInfo) (string, error) {
	raw, err := json.Marshal(restoring{rand.Text(), r.Into.Clock().UTC().Truncate(time.Second), info.At})
	if err != nil {
		return "", err
	}
	marker := string(raw)
	found, err := client.Txn(ctx).Then(clientv3.OpGet(keyRestore), clientv3.OpGet(root, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly()), clientv3.OpGet(keyHead)).Commit()
	if err != nil {
		return "", err
	}
	before := found.Responses[0].GetResponseRange().Kvs
	ops := []clientv3.Op{clientv3.OpPut(keyRestore, marker)}
	same := clientv3.Compare(clientv3.ModRevision(keyRestore), "=", 0)
	switch {
	case len(before) > 0:
		// Around the marker, since one transaction may write a key only once.
		ops = append(ops,
			clientv3.OpDelete(root, clientv3.WithRange(keyRestore)),
			clientv3.OpDelete(keyRestore+"\x00", clientv3.WithRange(clientv3.GetPrefixRangeEnd(root))))
		same = clientv3.Compare(clientv3.ModRevision(keyRestore), "=", before[0].ModRevision)
		r.Into.Logger.Info("an earlier restore did not finish; starting over")
	case len(found.Responses[1].GetResponseRange().Kvs) > 0:
		holds := "something"
		if head := found.Responses[2].GetResponseRange().Kvs; len(head) > 0 {
			holds = "revision " + string(head[0].Value)
		}
		return "", weir.Errorf(weir.Conflict, "the store is not empty, it holds %s; %s; nothing was written", holds, r.elsewhere())
	}
	// A server that starts at this moment makes the head.
	none := clientv3.Compare(clientv3.Version(keyHead), "=", 0)
	compares := []clientv3.Cmp{same, none}
	if len(before) > 0 {
		compares = compares[:1]
	}
	got, err := client.Txn(ctx).If(compares...).Then(ops...).Commit()
	if err == nil && !got.Succeeded {
		err = errOtherRestore
	}
	return marker, err
}

func (r Restore) elsewhere() string {
	if r.Into.Cluster != nil {
		return "a backup goes only into an empty one: stop all servers on it, take a last backup if it is worth one, and remove what is there with etcdctl del --prefix " + root + ", or name another cluster"
	}
	return "a backup goes only into an empty one: stop the server, move the folder away, put the sealing key into a new one, and restore there"
}

var errOtherRestore = errors.New("a server or another restore came to the store at the same time; stop those and run the restore again")

// load writes the records, some at a time, as long as the marker is this restore's.
func (r Restore) load(ctx context.Context, client *clientv3.Client, marker string) error {
	w := &loader{ctx: ctx, client: client, marker: marker}
	_, err := readBackup(r.From, r.Identities, r.Into.Keyring, func(_ BackupInfo, one record) error {
		if name, ok := strings.CutPrefix(root+one.Key, prefixPlatform); ok {
			return r.platform(w, name, one)
		}
		w.put(root+one.Key, one.Value)
		return w.err
	})
	w.flush()
	return errors.Join(err, w.err)
}

// platform seals a value of the platform anew: its generation is etcd's count of the key, which begins again.
func (r Restore) platform(w *loader, name string, one record) error {
	for _, left := range r.Without {
		if name == left {
			return nil
		}
	}
	value, err := unsealRecord(r.Into.Keyring, one)
	if err != nil {
		return err
	}
	sealed, err := r.Into.Keyring.Seal(platformKind, name, 1, value.Bytes())
	if err != nil {
		return err
	}
	raw, err := sealed.MarshalBinary()
	if err != nil {
		return err
	}
	w.put(root+one.Key, raw)
	return w.err
}

// loader collects puts into transactions.
type loader struct {
	ctx    context.Context
	client *clientv3.Client
	marker string
	ops    []clientv3.Op
	size   int
	err    error
}

func (w *loader) put(key string, value []byte) {
	if len(w.ops) >= maxTxnOps || w.size+len(value) > maxTxnBytes {
		w.flush()
	}
	w.ops, w.size = append(w.ops, clientv3.OpPut(key, string(value))), w.size+len(key)+len(value)
}

func (w *loader) flush() {
	if w.err != nil || len(w.ops) == 0 {
		return
	}
	mine := clientv3.Compare(clientv3.Value(keyRestore), "=", w.marker)
	got, err := w.client.Txn(w.ctx).If(mine).Then(w.ops...).Commit()
	if err == nil && !got.Succeeded {
		err = errOtherRestore
	}
	w.ops, w.size, w.err = w.ops[:0], 0, err
}

// end lets everybody in.
func end(ctx context.Context, client *clientv3.Client, marker string) error {
	mine := clientv3.Compare(clientv3.Value(keyRestore), "=", marker)
	got, err := client.Txn(ctx).If(mine).Then(clientv3.OpDelete(keyRestore)).Commit()
	if err == nil && !got.Succeeded {
		err = errOtherRestore
	}
	return err
}

// enter makes an empty store one's own, and refuses one into which a restore has not come to its end.
func (s *Store) enter(ctx context.Context) error {
	absent := func(key string) clientv3.Cmp { return clientv3.Compare(clientv3.Version(key), "=", 0) }
	got, err := s.client.Txn(ctx).If(absent(keyHead), absent(keyRestore)).
		Then(clientv3.OpPut(keyHead, "0"), clientv3.OpPut(keyMat, "0")).Else(clientv3.OpGet(keyRestore)).Commit()
	if err != nil {
		return fmt.Errorf("reach etcd: %w", err)
	}
	if got.Succeeded {
		return nil
	}
	found := got.Responses[0].GetResponseRange().Kvs
	if len(found) == 0 || string(found[0].Value) == s.opts.restoring {
		return nil
	}
	var who restoring
	since := ""
	if json.Unmarshal(found[0].Value, &who) == nil {
		since = fmt.Sprintf(" that began at %s, of the backup of %s,", who.Since.Format(time.RFC3339), who.At.Format(time.RFC3339))
	}
	return weir.Errorf(weir.Unavailable, "a restore%s has not come to its end: a part of the backup is there and nothing is served from it; run weir server restore again, which starts over", since)
}
