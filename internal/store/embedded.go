package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// embedded is an etcd inside this process, reached over a unix socket in its data directory and by nothing
// else: it listens on no network address.
type embedded struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	socket *socket
	lock   *os.File
}

// readyPatience is how often a member that waits for others says so.
const readyPatience = 10 * time.Second

// Neither is dialled or listened on while there is one member; growing replaces the peer's address.
var (
	peerURL   = url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	memberURL = "weir=http://127.0.0.1:2380"
)

func startEmbedded(ctx context.Context, opts Options) (*embedded, error) {
	if opts.Peers != nil {
		return startPeer(ctx, opts)
	}
	ready, err := grown(opts.Dir)
	if err != nil {
		return nil, err
	}
	if ready {
		return nil, errors.New("it is a member of a store that is on several machines: start the server with --store-peer https://HOST:PORT, as before")
	}
	return startMember(ctx, opts, nil)
}

// startMember runs etcd, with settings that edit has seen last, and waits until it is ready, which takes a majority
// of the members.
func startMember(ctx context.Context, opts Options, edit func(*embed.Config)) (e *embedded, err error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	e = &embedded{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop())
		}
	}()
	if e.lock, err = lockDir(opts.Dir); err != nil {
		return e, err
	}
	if e.socket, err = newSocket(opts.Dir); err != nil {
		return e, err
	}
	log := zap.New(&logCore{log: opts.Logger})
	cfg := etcdConfig(opts, e.socket.path, log)
	if edit != nil {
		edit(cfg)
	}
	if err := checkDatabase(filepath.Join(cfg.Dir, "member", "snap", "db")); err != nil {
		return e, err
	}
	if e.etcd, err = embed.StartEtcd(cfg); err != nil {
		return e, fmt.Errorf("start etcd: %w", err)
	}
	if err := e.ready(ctx, opts.Logger); err != nil {
		return e, err
	}
	e.client, err = clientv3.New(clientv3.Config{
		Endpoints:   []string{"unix://" + e.socket.path},
		DialTimeout: 10 * time.Second,
		Logger:      log,
	})
	if err != nil {
		return e, fmt.Errorf("reach etcd: %w", err)
	}
	if opts.Peers == nil {
		// What is asked all the time goes without a connection, which costs more than the answer. A member of several
		// keeps it: how it is cut off from the others is judged by the connection.
		e.client.KV = v3client.New(e.etcd.Server).KV
	}
	return e, nil
}

// ready waits until etcd serves, and now and then says that it does.
func (e *embedded) ready(ctx context.Context, log *slog.Logger) error {
	tell := time.NewTicker(readyPatience)
	defer tell.Stop()
	for {
		select {
		case <-e.etcd.Server.ReadyNotify():
			return nil
		case <-e.etcd.Server.StopNotify():
			return errRemoved
		case err := <-e.etcd.Err():
			select {
			case <-e.etcd.Server.StoppingNotify():
				return errRemoved
			default:
				return fmt.Errorf("start etcd: %w", err)
			}
		case <-tell.C:
			log.Warn("store: waiting for a majority of the members of the store")
		case <-ctx.Done():
			return fmt.Errorf("start etcd: %w", ctx.Err())
		}
	}
}

// bury ends what servers hold that run no more, so that this one need not wait until it runs out: when there is one
// member, its folder is locked, so all who wrote that were processes before this one.
func (e *embedded) bury(ctx context.Context) error {
	if len(e.etcd.Server.Cluster().Members()) > 1 {
		return nil
	}
	_, err := e.client.Txn(ctx).Then(
		clientv3.OpDelete(prefixLead, clientv3.WithPrefix()), clientv3.OpDelete(prefixMember, clientv3.WithPrefix()),
	).Commit()
	return err
}

func etcdConfig(opts Options, socket string, log *zap.Logger) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "weir"
	cfg.Dir = filepath.Join(opts.Dir, "etcd")
	cfg.InitialCluster = memberURL
	cfg.InitialClusterToken = "weir"
	client := url.URL{Scheme: "unix", Path: socket}
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{peerURL}
	cfg.ListenClientUrls = []url.URL{client}
	cfg.AdvertiseClientUrls = []url.URL{client}
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log)
	cfg.QuotaBackendBytes = opts.QuotaBytes
	// Our changes are keys of their own; of etcd's revisions only the last few are ever read.
	cfg.AutoCompactionMode = embed.CompactorModeRevision
	cfg.AutoCompactionRetention = "1000"
	// One member has no slow follower to feed from memory, where an entry can be a megabyte.
	cfg.SnapshotCatchUpEntries = 10
	// What came since the last snapshot is in memory, and read again by the next start.
	cfg.SnapshotCount = 2000
	// One member waits for nobody's vote, only for the time in which others might speak up.
	cfg.TickMs, cfg.ElectionMs = 50, 500
	return cfg
}

// stop ends whatever was started, in reverse, within about 15 s.
func (e *embedded) stop() error {
	var problems []error
	if e.client != nil {
		problems = append(problems, ignoreCancelled(e.client.Close()))
	}
	if e.etcd != nil {
		done := make(chan struct{})
		go func() { e.etcd.Close(); close(done) }()
		bound := time.NewTimer(15 * time.Second)
		defer bound.Stop()
		select {
		case <-done:
		case <-bound.C:
			// The lock stays: what still runs may still write.
			return errors.Join(append(problems, errors.New("etcd did not stop within 15 s"))...)
		}
	}
	if e.socket != nil {
		problems = append(problems, e.socket.close())
	}
	if e.lock != nil {
		problems = append(problems, e.lock.Close())
	}
	return errors.Join(problems...)
}

func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// socket is the path by which etcd's unix socket can be reached, whatever the data directory is called.
type socket struct {
	path string
	dir  *os.File // held open when the path leads through it
}

// maxSocketPath is what fits sun_path on every system that we know, with its terminator.
const maxSocketPath = 103

func newSocket(dir string) (*socket, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(abs, "etcd.sock")
	if len(path) <= maxSocketPath && !strings.ContainsAny(path, " %?#\\") {
		return &socket{path: path}, nil
	}
	// A long path doesn't fit a socket's address, an odd one not a URL: go in through an open descriptor.
	f, err := os.Open(abs)
	if err != nil {
		return nil, err
	}
	path = fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	if _, err := os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: the path is too long or too odd for a unix socket here; choose one of at most %d plain characters", abs, maxSocketPath-len("/etcd.sock")), f.Close())
	}
	return &socket{path: path + "/etcd.sock", dir: f}, nil
}

func (s *socket) close() error {
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}
