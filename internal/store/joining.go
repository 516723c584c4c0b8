package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"weir/internal/secrets"
)

// ask gets what it takes to join, once, and keeps it, so that a start that is cut goes on from there. It gives
// nothing when there is nobody to ask: then this is the first member.
func (p *Peers) ask(ctx context.Context, dir string, ring *secrets.Keyring, u *url.URL) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, joinFile))
	switch {
	case err == nil:
		var members string
		if err := json.Unmarshal(raw, &members); err != nil {
			return "", fmt.Errorf("read %s: %w; remove it and join with a new token", joinFile, err)
		}
		return members, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case p.Join == nil:
		return "", nil
	case ring == nil:
		return "", errors.New("join: the server has no sealing key")
	}
	key, csr, err := newPeerKey()
	if err != nil {
		return "", err
	}
	answer, err := p.Join(ctx, JoinRequest{URL: u.String(), CSR: string(csr), SealingKey: ring.CurrentID()})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(answer.Members)
	if err != nil {
		return "", err
	}
	if err := keepPeer(dir, key, []byte(answer.Certificate), []byte(answer.CA)); err != nil {
		return "", err
	}
	return answer.Members, secrets.WriteFile(filepath.Join(dir, joinFile), text, 0o600)
}

// startPeer runs a member that others can reach: a new one of their store, the first of a new store, or again.
func startPeer(ctx context.Context, opts Options) (*embedded, error) {
	u, err := checkPeerURL(opts.Peers.URL)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	data, err := HasData(opts.Dir)
	if err != nil {
		return nil, err
	}
	others := ""
	if !data {
		if others, err = opts.Peers.ask(ctx, opts.Dir, opts.Keyring, u); err != nil {
			return nil, fmt.Errorf("join the store: %w", err)
		}
	}
	ready, err := grown(opts.Dir)
	if err != nil {
		return nil, err
	}
	if others == "" && (!ready || !data) {
		if err := becomePeer(ctx, opts); err != nil {
			return nil, fmt.Errorf("get ready for further members: %w", err)
		}
	}
	if err := checkPeerFiles(opts.Dir, u); err != nil {
		return nil, err
	}
	e, err := startMember(ctx, opts, func(cfg *embed.Config) {
		withPeers(cfg, opts.Dir, u)
		if others != "" {
			cfg.InitialCluster, cfg.ClusterState = others, embed.ClusterStateFlagExisting
		}
	})
	if err != nil {
		return nil, err
	}
	if err := e.settle(ctx, opts, u); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

// becomePeer gives the only member of a store, which listens for nobody yet, what it takes to do so.
func becomePeer(ctx context.Context, opts Options) error {
	e, err := startMember(ctx, opts, nil)
	if err != nil {
		return err
	}
	s := &Store{client: e.client, embedded: e, opts: opts}
	return errors.Join(s.issuePeer(ctx), e.stop())
}

// settle waits for the vote of a member, and tells the others where it is.
func (e *embedded) settle(ctx context.Context, opts Options, u *url.URL) error {
	if err := e.awaitVote(ctx); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(opts.Dir, joinFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	own := uint64(e.etcd.Server.MemberID())
	list, err := e.client.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, m := range list.Members {
		if m.ID == own && !slices.Equal(m.PeerURLs, []string{u.String()}) {
			if _, err := e.client.MemberUpdate(ctx, own, []string{u.String()}); err != nil {
				return fmt.Errorf("tell the store where this member is: %w", err)
			}
		}
	}
	return nil
}

// awaitVote waits until a new member has caught up and the others have given it its vote.
func (e *embedded) awaitVote(ctx context.Context) error {
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		state, err := e.client.Status(try, e.client.Endpoints()[0])
		cancel()
		if err == nil && !state.IsLearner {
			return nil
		}
		wait := time.NewTimer(learnPatience)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-e.etcd.Server.StopNotify():
			wait.Stop()
			return errRemoved
		}
	}
}

var errRemoved = errors.New("etcd has stopped by itself: this member was removed from the store, unless the log says otherwise; to come back, empty the folder and join with a new token (weir token server)")
